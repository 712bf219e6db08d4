"""Differentiable siamese augmentation (DSA; Zhao & Bilen, ICML 2021, arXiv:2102.08259).

Randomness and arithmetic are apart: ``draw`` makes omega from a generator, ``Omega`` applies it.
One omega applied to the real and to the synthetic batch is what makes the augmentation siamese.
As in the authors' code one operation is drawn per call and every image of the batch gets the same
parameter. Flip and rotation are left out unless asked for: a mirrored chest has its heart on the
wrong side.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

RADIOGRAPH = ("brightness", "contrast", "crop", "cutout", "scale")
"""The operations that leave left and right, and up and down, where they are."""


@dataclass(frozen=True)
class Omega:
    """One operation with its parameters, applied to a batch.

    Attributes:
        name: a key of ``OPERATIONS``.
        u: two uniform draws in [0, 1), from which the operation takes its parameters.
    """

    name: str
    u: tuple[float, float]

    def __call__(self, x: Tensor) -> Tensor:
        """Returns A_omega(x) for images (n, C, H, W)."""
        return OPERATIONS[self.name](x, *self.u)


def draw(rng: torch.Generator, operations: tuple[str, ...] = RADIOGRAPH) -> Omega:
    """Draws one of ``operations`` and its parameters; of none, the identity."""
    operations = operations or ("identity",)
    which = int(torch.randint(len(operations), (), generator=rng))
    first, second = torch.rand(2, generator=rng).tolist()
    return Omega(operations[which], (first, second))


def _brightness(x: Tensor, u: float, _: float) -> Tensor:
    return x + (u - 0.5)


def _contrast(x: Tensor, u: float, _: float) -> Tensor:
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return (x - mean) * (u + 0.5) + mean


def _crop(x: Tensor, u: float, v: float) -> Tensor:
    """Shifts by up to an eighth of the image; what comes in is 0, the mean intensity."""
    height, width = x.shape[2:]
    reach = int(height * 0.125 + 0.5)
    down, right = int(u * (2 * reach + 1)), int(v * (2 * reach + 1))
    return pad(x, [reach] * 4)[:, :, down : down + height, right : right + width]


def _cutout(x: Tensor, u: float, v: float) -> Tensor:
    """Zeroes a square of half the image's side, centred anywhere."""
    height, width = x.shape[2:]
    half = int(height * 0.5 + 0.5) // 2
    row, column = int(u * height), int(v * width)
    mask = torch.ones_like(x[:1, :1])
    mask[:, :, max(row - half, 0) : row + half, max(column - half, 0) : column + half] = 0
    return x * mask


def _flip(x: Tensor, u: float, _: float) -> Tensor:
    return x.flip(3) if u < 0.5 else x


def _scale(x: Tensor, u: float, v: float) -> Tensor:
    """Stretches each axis by 1/1.2 to 1.2."""
    low, high = 1 / 1.2, 1.2
    return _affine(x, [[low + (high - low) * u, 0, 0], [0, low + (high - low) * v, 0]])


def _identity(x: Tensor, _: float, __: float) -> Tensor:
    return x


def _rotate(x: Tensor, u: float, _: float) -> Tensor:
    """Rotates by up to 15 degrees."""
    angle = torch.deg2rad(torch.tensor((u - 0.5) * 2 * 15.0))
    cos, sin = float(angle.cos()), float(angle.sin())
    return _affine(x, [[cos, sin, 0], [-sin, cos, 0]])


def _affine(x: Tensor, matrix: list[list[float]]) -> Tensor:
    theta = x.new_tensor(matrix).expand(len(x), 2, 3)
    grid = affine_grid(theta, list(x.shape), align_corners=True)
    return grid_sample(x, grid, align_corners=True)


OPERATIONS: dict[str, Callable[[Tensor, float, float], Tensor]] = {
    "brightness": _brightness,
    "contrast": _contrast,
    "crop": _crop,
    "cutout": _cutout,
    "flip": _flip,
    "identity": _identity,
    "rotate": _rotate,
    "scale": _scale,
}
