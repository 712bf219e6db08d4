"""Five ways to look at a film, and the small moves that a copy may have made.

A copy can hide behind a changed contrast, added noise or a shift of a few pixels. Each view is
blind to one of these; the moves undo flips and shifts.
"""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

LARGEST_SIDE = 48  # finer detail costs time and memory, and does not help to find copies
REFERENCE_SIDE = 32  # shifts and blurs are given in pixels of a film of this side

View = Callable[[Tensor], Tensor]


def shrink(images: Tensor) -> Tensor:
    """Returns images (n, C, H, W) averaged down to at most 48 pixels a side, float32."""
    height, width = (min(side, LARGEST_SIDE) for side in images.shape[-2:])
    return F.adaptive_avg_pool2d(images.float(), (height, width))


def moves(images: Tensor) -> Tensor:
    """Returns all flips and shifts of images (n, C, H, W), cropped: (n, moves, C, h, w).

    Shifts reach 1/32 of the side in steps of a pixel: 18 moves at 32 pixels, 50 at 48. Coarser
    steps lose copies that lie between two of them. The moves are windows inside the image, not
    images with a padded border, so that a shifted copy can match its film exactly.
    """
    reach = _reach(images)
    height, width = (side - 2 * reach for side in images.shape[-2:])
    windows = [
        side[..., top : top + height, left : left + width]
        for side in (images, images.flip(-1))
        for top, left in product(range(2 * reach + 1), repeat=2)
    ]
    return torch.stack(windows, dim=1)


def still(images: Tensor) -> Tensor:
    """Returns the middle window of images (n, C, H, W), as large as those of :func:`moves`."""
    reach = _reach(images)
    return images[..., reach : images.shape[-2] - reach, reach : images.shape[-1] - reach]


def standardise(images: Tensor) -> Tensor:
    """Returns images (..., C, h, w) with mean 0 and variance 1 each; a blank image stays 0."""
    flat = images.flatten(-3)
    centred = flat - flat.mean(-1, keepdim=True)
    spread = centred.square().mean(-1, keepdim=True).sqrt()
    return (centred / spread.clamp_min(1e-6)).view_as(images)


def blur(images: Tensor, width: float) -> Tensor:
    """Returns images (n, C, H, W) smoothed by a Gaussian; width in pixels of a 32-pixel film."""
    sigma = width * max(1.0, images.shape[-1] / REFERENCE_SIDE)
    reach = int(3 * sigma + 0.5)
    at = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-(at**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    planes = images.flatten(0, 1).unsqueeze(1)
    planes = F.pad(planes, (reach, reach, reach, reach), mode="replicate")
    planes = F.conv2d(F.conv2d(planes, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
    return planes.view_as(images)


def _reach(images: Tensor) -> int:
    return max(1, round(images.shape[-1] / REFERENCE_SIDE))


def _raw(images: Tensor) -> Tensor:
    return images


# What is done to an image before the moves; all views but the raw one are standardised after them.
VIEWS: dict[str, View] = {
    "raw": _raw,
    "contrast-free": _raw,
    "low-pass 1": lambda images: blur(images, 1.0),
    "low-pass 2": lambda images: blur(images, 2.0),
    "high-pass": lambda images: images - blur(images, 1.0),
}
