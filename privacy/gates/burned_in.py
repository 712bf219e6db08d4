"""Text burned into pixels: is a line of letters or digits drawn on an image?

The attacker looks at the images. Overlays and scanners write names and numbers into films, and an
image that was distilled from such films, or started as one, may still show them. Every place of a
picture is compared with drawn capitals and digits of several sizes. If four in a row fit well, they
are text. One letter alone, such as the side marker of a film, is not text.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

CERTAIN = 0.70
UNCERTAIN = 0.65
"""Mean correlation of four glyphs in a row. No noise and no distilled image exceeded 0.63, and
none of 1,200 films of at most 64 pixels above 0.64 (docs/privacy.md, G4)."""

_IN_A_ROW = 4
_HEIGHTS = (5, 6, 7, 8, 9)  # of a capital, in pixels; larger ones are found in a smaller copy
_GLYPHS = "ABCDEFGHJKLMNOPQRSTUVWXYZ023456789"  # no I and no 1: they are bars, like ribs
_STEPS = (0.6, 0.75, 0.9, 1.05)  # from one glyph to the next, in heights of a capital
_FAINTEST = 0.08  # deviation within a glyph, of a picture from 0 to 1
_SMALLEST = 16
_STRIP = 2**17  # pixels searched at once: a large picture must not need memory for 70 copies


@dataclass(frozen=True, eq=False)
class Alphabet:
    """Drawn glyphs of one height, each with a border of a pixel.

    Attributes:
        height: of a capital.
        glyphs: each with mean 0 and length 1, padded to one width, (G, 1, h, w).
        windows: takes the mean over a glyph's own box, one for each width, (W, 1, h, w).
        window_of: (G,) the index of each glyph's window.
        pixels: (W,) pixels in each window.
    """

    height: int
    glyphs: Tensor
    windows: Tensor
    window_of: Tensor
    pixels: Tensor


def legibility(pictures: Iterable[Tensor]) -> list[float]:
    """Returns how well the best line of text fits, 0 to 1, in each different picture (H, W).

    Pictures that are equal up to brightness and contrast are searched once, because a release
    holds its images as tensors and as previews.
    """
    seen: dict[tuple[int, bytes], float] = {}
    for picture in pictures:
        shown = picture.detach().cpu().float()
        low, high = shown.min(), shown.max()
        levels = ((shown - low) / (high - low).clamp_min(1e-12) * 255).round()
        key = (len(shown), levels.byte().numpy().tobytes())
        if key not in seen:
            seen[key] = _best(levels / 255)
    return list(seen.values())


def _best(picture: Tensor) -> float:
    """Returns the best line in any size, upright or turned by a right angle to either side."""
    best = 0.0
    while min(picture.shape) >= _SMALLEST:
        for turns in (0, 1, 3):
            turned = F.pad(picture.rot90(turns)[None, None], (1, 1, 1, 1), mode="replicate")
            for alphabet in alphabets():
                best = max(best, _line(turned, alphabet))
        picture = F.avg_pool2d(picture[None], 2)[0]
    return best


def _line(picture: Tensor, alphabet: Alphabet) -> float:
    """Returns the best mean of four glyphs in a row in a picture (1, 1, H, W)."""
    (height, width), box = picture.shape[-2:], alphabet.glyphs.shape[-2:]
    if height < box[0] or width < box[1]:
        return 0.0
    rows = max(1, _STRIP // width)
    strips = (picture[..., top : top + rows + box[0] - 1, :] for top in range(0, height, rows))
    return max(_row(one, alphabet) for one in strips if one.shape[-2] >= box[0])


def _row(strip: Tensor, alphabet: Alphabet) -> float:
    mean = F.conv2d(strip, alphabet.windows)
    variance = (F.conv2d(strip * strip, alphabet.windows) - mean * mean).clamp_min(0)
    spread = (variance * alphabet.pixels[:, None, None]).sqrt()
    faint = variance.sqrt() < _FAINTEST
    fit = F.conv2d(strip, alphabet.glyphs) / (spread + 1e-6)[:, alphabet.window_of]
    fit = fit.masked_fill(faint[:, alphabet.window_of], 0)[0]
    best = 0.0
    for polarity in (fit.amax(0), -fit.amin(0)):  # bright text, dark text
        near = F.max_pool2d(polarity[None], (1, 3), stride=1, padding=(0, 1))[0]
        for step in sorted({round(one * alphabet.height) for one in _STEPS}):
            places = near.shape[1] - (_IN_A_ROW - 1) * step
            if places > 0:
                four = sum(near[:, k * step : k * step + places] for k in range(_IN_A_ROW))
                best = max(best, float(torch.as_tensor(four).max()) / _IN_A_ROW)
    return best


@cache
def alphabets() -> tuple[Alphabet, ...]:
    """Returns the glyphs of every height, as Pillow's own fonts draw them."""
    return tuple(_alphabet(height) for height in _HEIGHTS)


def _alphabet(height: int) -> Alphabet:
    drawn = [_drawn(glyph, _outlines(height), height) for glyph in _GLYPHS]
    # Many devices write with a bitmap font; it is usually seven pixels high.
    if height == 7:
        pixels = ImageFont.load_default_imagefont()
        drawn += [_drawn(glyph, pixels, height) for glyph in _GLYPHS]
    widths = [one.shape[1] for one in drawn]
    different = sorted(set(widths))
    glyphs, windows = [], []
    for one in drawn:
        centred = one - one.mean()
        glyphs.append(F.pad(centred / centred.norm(), (0, different[-1] - one.shape[1])))
    for width in different:
        box = torch.full((height + 2, width), 1 / ((height + 2) * width))
        windows.append(F.pad(box, (0, different[-1] - width)))
    return Alphabet(
        height,
        torch.stack(glyphs).unsqueeze(1),
        torch.stack(windows).unsqueeze(1),
        torch.tensor([different.index(width) for width in widths]),
        torch.tensor([float((height + 2) * width) for width in different]),
    )


def _outlines(height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Returns the smallest font whose capitals have that height."""
    size = height
    while True:
        font = ImageFont.load_default(size)
        _, top, _, bottom = font.getbbox("H")
        if bottom - top >= height:
            return font
        size += 1


def _drawn(glyph: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, height: int) -> Tensor:
    """Returns one glyph, (height + 2, its width + 2), white on black, on the line of an H."""
    canvas = Image.new("L", (4 * height + 8, 4 * height + 8))
    ImageDraw.Draw(canvas).text((height, height), glyph, fill=255, font=font)
    line = Image.new("L", canvas.size)
    ImageDraw.Draw(line).text((height, height), "H", fill=255, font=font)
    left, _, right, _ = canvas.getbbox() or (0, 0, 1, 1)
    _, top, _, _ = line.getbbox() or (0, 0, 0, 0)
    box = canvas.crop((left - 1, top - 1, right + 1, top + height + 1))
    return torch.from_numpy(np.asarray(box).astype(np.float32)) / 255
