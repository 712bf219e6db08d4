"""G4 sees text that is drawn on images and pictures, and no text on films, noise and markers."""

import base64
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from invented_radiographs import cohort, encode, labelled, noise, radiographs
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from privacy import Evidence, Finding, Policy, Release, Verdict
from privacy.gates import burned_in
from privacy.gates.burned_in import CERTAIN, UNCERTAIN, alphabets, legibility
from privacy.gates.formats import LARGEST_PICTURE, frames
from privacy.gates.layers import UnreadableError
from privacy.gates.leaks import leaks

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
DATA = Path(__file__).parents[4] / "shared" / "data" / "kermany_pneumonia_128_dev.npz"
SANS = str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
NAME = "K4R829"


def font(capital: int) -> ImageFont.FreeTypeFont:
    """Returns DejaVu Sans, of which the detector knows nothing, with capitals that high."""
    for size in range(4, 99):
        drawn = ImageFont.truetype(SANS, size)
        _, top, _, bottom = drawn.getbbox("H")
        if bottom - top >= capital:
            return drawn
    raise AssertionError


def written(image: Tensor, text: str, kind: Font, contrast: float = 0.5) -> Tensor:
    """Returns an image (H, W) with the text in its upper left, clipped to [0, 1]."""
    mask = Image.new("L", (image.shape[1], image.shape[0]))
    ImageDraw.Draw(mask).text((2, 1), text, fill=255, font=kind)
    return (image + contrast * torch.from_numpy(np.asarray(mask).copy()) / 255).clamp(0, 1)


def grey(side: int = 64, level: float = 0.3) -> Tensor:
    rng = torch.Generator().manual_seed(5)
    return level + 0.02 * torch.randn(side, side, generator=rng)


def fit(image: Tensor) -> float:
    (found,) = legibility([image])
    return found


def film(seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return radiographs(1, torch.zeros(1), rng)[0, 0]


def judged(
    release: Release, policy: Policy, outgoing: Mapping[str, bytes] | None = None
) -> Finding:
    rng = torch.Generator().manual_seed(0)
    case = Evidence(
        noise(2, rng),
        cohort(4, rng, "IN"),
        cohort(4, rng, "OUT"),
        outgoing=encode(noise(2, rng)) if outgoing is None else outgoing,
        is_identifier=lambda _: False,
    )
    side = release.images.shape[-1]
    sides = [
        replace(one, images=torch.zeros(len(one), 1, side, side))
        for one in (case.members, case.controls)
    ]
    case = replace(case, release=release, members=sides[0], controls=sides[1])
    return leaks(case, policy, rng)


def saved(pixels: NDArray[np.generic], kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("capital", [5, 6, 7, 8, 10, 14])
def test_text_of_another_font_is_seen_in_many_sizes(capital: int) -> None:
    assert fit(written(grey(96), NAME, font(capital))) >= CERTAIN


@pytest.mark.parametrize("contrast", [0.5, -0.28, 0.2])
def test_text_is_seen_bright_or_dark(contrast: float) -> None:
    assert fit(written(grey(), NAME, ImageFont.load_default_imagefont(), contrast)) >= CERTAIN


@pytest.mark.parametrize("turns", [1, 3])
def test_text_is_seen_on_a_film_that_was_turned(turns: int) -> None:
    assert fit(written(grey(), NAME, font(7)).rot90(turns)) >= CERTAIN


def test_text_is_seen_in_a_picture_of_nothing_else() -> None:
    assert fit(written(torch.zeros(16, 40), NAME, font(7), 1.0)) >= UNCERTAIN


@pytest.mark.parametrize("rows", [1, 4, 7])
def test_a_picture_that_is_searched_in_strips_loses_nothing(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = written(grey(48), NAME, font(8))
    whole = fit(picture)
    assert whole >= CERTAIN
    monkeypatch.setattr(burned_in, "_STRIP", rows * 50)
    assert fit(picture) == pytest.approx(whole, abs=1e-5)


def test_a_side_marker_and_three_letters_are_no_text() -> None:
    for text in ("R", "L", "AP", "A-P"):
        assert fit(written(grey(), text, font(7))) < UNCERTAIN


def test_invented_films_and_noise_are_no_text() -> None:
    rng = torch.Generator().manual_seed(0)
    images = [film(seed) for seed in range(12)]
    images += [torch.rand(side, side, generator=rng) for side in (16, 32, 64) for _ in range(3)]
    images += [(torch.rand(32, 32, generator=rng) > 0.5).float() for _ in range(3)]
    images += [torch.full((32, 32), 0.5), torch.linspace(0, 1, 1024).view(32, 32)]
    assert max(legibility(images)) < UNCERTAIN


def test_real_films_are_no_text() -> None:
    if not DATA.exists():
        pytest.skip(f"{DATA.name} is not in ../shared/data")
    with np.load(DATA) as data:
        chosen = np.random.default_rng(3).permutation(len(data["images"]))[:30]
        images = torch.from_numpy(data["images"][chosen]).float().unsqueeze(1) / 255
    small = torch.nn.functional.adaptive_avg_pool2d(images, 32)[:, 0]
    assert max(legibility(list(small))) < UNCERTAIN
    named = [written(one * 0.5, NAME, ImageFont.load_default_imagefont()) for one in small[:10]]
    assert sum(one >= CERTAIN for one in legibility(named)) >= 7


def test_equal_pictures_are_looked_at_once() -> None:
    image = film()
    assert len(legibility([image, image * 0.5 + 0.25, image * 65535, film(1)])) == 2
    assert len(legibility([torch.zeros(16, 20), torch.zeros(20, 16)])) == 2


def test_the_naive_correlation_is_the_same() -> None:
    picture = written(grey(32), "ABCD", ImageFont.load_default_imagefont())[:16, :30]
    low, high = picture.min(), picture.max()
    scaled = ((picture - low) / (high - low) * 255).round() / 255
    alphabet = next(one for one in alphabets() if one.height == 7)
    padded = np.pad(scaled.numpy().astype(np.float64), 1, mode="edge")
    fits = np.full((2, *(side - 8 for side in padded.shape)), -1.0)
    for glyph, window in zip(
        alphabet.glyphs[:, 0].numpy(), alphabet.window_of.tolist(), strict=True
    ):
        width = int((alphabet.windows[window, 0, 0] > 0).sum())
        for y in range(padded.shape[0] - 8):
            for x in range(padded.shape[1] - glyph.shape[1] + 1):
                box = padded[y : y + 9, x : x + width]
                if box.std() < 0.08:
                    value = 0.0
                else:
                    value = np.corrcoef(box.ravel(), glyph[:, :width].ravel())[0, 1]
                fits[0, y, x] = max(fits[0, y, x], value)
                fits[1, y, x] = max(fits[1, y, x], -value)
    wide = padded.shape[1] - alphabet.glyphs.shape[-1] + 1
    best = 0.0
    for one in fits[..., :wide]:
        near = np.maximum(one, np.maximum(np.roll(one, 1, 1), np.roll(one, -1, 1)))
        near[:, 0], near[:, -1] = one[:, :2].max(1), one[:, -2:].max(1)
        for step in {round(part * 7) for part in (0.6, 0.75, 0.9, 1.05)}:
            for x in range(wide - 3 * step):
                best = max(best, float(near[:, x : x + 3 * step + 1 : step].mean(1).max()))
    assert best > CERTAIN
    assert fit(picture) == pytest.approx(best, abs=1e-4)


def test_text_on_a_released_image_fails_and_doubt_needs_a_person(policy: Policy) -> None:
    clean = torch.stack([grey(), grey(level=0.5)]).unsqueeze(1)
    finding = judged(labelled(clean), policy)
    assert (finding.verdict, finding.details["with text"]) == (Verdict.PASS, 0)
    named = clean.clone()
    named[1, 0] = written(named[1, 0], NAME, font(8), 0.4)
    finding = judged(labelled(named), policy)
    assert (finding.verdict, finding.value) == (Verdict.FAIL, 1)
    assert "drawn on 1 picture" in finding.text
    assert NAME not in str(finding)


def test_doubtful_text_is_for_a_person_to_decide(policy: Policy) -> None:
    rng = torch.Generator().manual_seed(1)
    for strength in np.linspace(0, 0.4, 41):
        unclear = written(grey(), NAME, font(6), 0.4)
        unclear = unclear + float(strength) * torch.randn(64, 64, generator=rng)
        if UNCERTAIN + 0.005 < fit(unclear) < CERTAIN - 0.005:
            break
    finding = judged(labelled(unclear.expand(2, 1, 64, 64)), policy)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "a person has to look" in finding.text


NAMED = written(grey(), NAME, font(8)).numpy()
NOTHING = np.zeros_like(NAMED)


def bytes_of(*planes: NDArray[np.float32]) -> NDArray[np.uint8]:
    return (np.stack(planes, -1) * 255).astype(np.uint8).squeeze()


PICTURES = {
    "8 bits": {"a.png": saved(bytes_of(NAMED))},
    "16 bits": {"a.png": saved((NAMED * 65535).astype(np.uint16))},
    "red": {"a.png": saved(bytes_of(NAMED, NOTHING, NOTHING))},
    "transparency": {"a.png": saved(bytes_of(NOTHING, NOTHING, NOTHING, NAMED))},
    "jpeg": {"a.jpg": saved(bytes_of(NAMED), "JPEG")},
    "picture in html": {
        "a.html": b"data:image/png;base64," + base64.b64encode(saved(bytes_of(NAMED)))
    },
}


@pytest.mark.parametrize("kind", PICTURES)
def test_text_on_an_outgoing_picture_fails(kind: str, policy: Policy) -> None:
    finding = judged(labelled(grey().expand(2, 1, 64, 64)), policy, PICTURES[kind])
    assert finding.verdict is Verdict.FAIL
    assert finding.details["found"] == {}


def test_the_same_pictures_without_text_pass(policy: Policy) -> None:
    plain = grey().numpy()
    files = {
        "a.png": saved((plain * 65535).astype(np.uint16)),
        "b.png": saved(bytes_of(plain)),
        "c.jpg": saved(bytes_of(plain), "JPEG"),
    }
    assert judged(labelled(grey().expand(2, 1, 64, 64)), policy, files).verdict is Verdict.PASS


def test_a_picture_that_cannot_be_decoded_is_invalid(policy: Policy) -> None:
    whole = saved(bytes_of(NAMED))
    release = labelled(grey().expand(2, 1, 64, 64))
    assert judged(release, policy, {"a.png": whole[:200]}).verdict is Verdict.INVALID
    huge = bytearray(whole)
    huge[16:24] = (LARGEST_PICTURE // 1000).to_bytes(4) + (1001).to_bytes(4)
    with pytest.raises(UnreadableError):
        list(frames(bytes(huge)))
