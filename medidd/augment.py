"""Differentiable siamese augmentation (DSA; Zhao & Bilen, ICML 2021, arXiv:2102.08259).

Randomness and arithmetic are separate: ``draw`` makes omega from a generator, ``Omega`` applies it.
The augmentation is siamese because the same omega is applied to the real and the synthetic batch.
As in the authors' code, one operation is drawn per call, and every image of the batch gets the same
parameter. In the training of a network, each image gets its own parameter. Flip and rotation are
used only on request: a mirrored chest has its heart on the wrong side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

Augmentation = Callable[[Tensor], Tensor]
"""Takes images (n, C, H, W) and returns images of the same shape."""

Operation = Literal[
    "brightness",
    "color",
    "contrast",
    "crop",
    "cutout",
    "flip",
    "identity",
    "rotate",
    "saturation",
    "scale",
]
"""The operations by name."""

Operations = tuple[Operation, ...]

RADIOGRAPH: Operations = ("brightness", "contrast", "crop", "cutout", "scale")
"""The operations that do not exchange left and right, or up and down."""

PHOTOGRAPH: Operations = ("color", "crop", "cutout", "flip", "scale", "rotate")
"""The strategy of DSA's authors."""

DIGIT: Operations = ("color", "crop", "cutout", "scale", "rotate")
"""The same without the flip, which would turn digits into other signs."""


@dataclass(frozen=True)
class Omega:
    """One operation with its parameters, applied to a batch.

    Attributes:
        name: name of the operation.
        u: uniform draws in [0, 1), from which the operation computes its parameters: (3, 1) for the
            same parameters in the whole batch, (3, n) for separate parameters per image.
    """

    name: Operation
    u: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Returns A_omega(x) for images (n, C, H, W)."""
        return OPERATIONS[self.name](x, self.u.to(x)[:, :, None, None, None])


@dataclass(frozen=True)
class Chain:
    """Several operations, one after another."""

    omegas: tuple[Omega, ...]

    def __call__(self, x: Tensor) -> Tensor:
        """Returns the images after all of them."""
        for omega in self.omegas:
            x = omega(x)
        return x


def draw(rng: torch.Generator, operations: Operations = RADIOGRAPH, *, images: int = 1) -> Omega:
    """Draws one of ``operations`` with its parameters; without operations, the identity.

    Args:
        rng: the run's generator.
        operations: their names.
        images: for how many images parameters are drawn; with 1, a whole batch gets the same.
    """
    operations = operations or ("identity",)
    which = int(torch.randint(len(operations), (), generator=rng))
    return Omega(operations[which], torch.rand(3, images, generator=rng))


def draw_each(rng: torch.Generator, operations: Operations, *, images: int = 1) -> Chain:
    """Draws parameters for each of ``operations``, which are applied in their order."""
    return Chain(tuple(draw(rng, (name,), images=images) for name in operations))


def each_its_own(augmentations: Sequence[Augmentation], x: Tensor) -> Tensor:
    """Returns batches (R, n, C, H, W), each after its own augmentation.

    Batches for which the same operation was drawn go through it together.

    Args:
        augmentations: R of them.
        x: the batches.
    """
    alike: dict[str | int, list[int]] = {}
    for number, omega in enumerate(augmentations):
        alike.setdefault(omega.name if isinstance(omega, Omega) else number, []).append(number)
    done = torch.empty_like(x)
    for numbers in alike.values():
        drawn = [augmentations[number] for number in numbers]
        seen = x[numbers]
        omegas = [omega for omega in drawn if isinstance(omega, Omega)]
        if omegas:
            u = torch.cat([omega.u.expand(-1, x.shape[1]) for omega in omegas], 1)
            seen = Omega(omegas[0].name, u)(seen.flatten(0, 1)).view_as(seen)
        else:
            seen = drawn[0](seen[0])[None]
        done[numbers] = seen
    return done


# The operations take images (n, C, H, W) and draws (3, 1 or n, 1, 1, 1).


def _brightness(x: Tensor, u: Tensor) -> Tensor:
    return x + (u[0] - 0.5)


def _saturation(x: Tensor, u: Tensor) -> Tensor:
    """Moves each channel away from or to the mean of all; a gray image does not change."""
    mean = x.mean(dim=1, keepdim=True)
    return (x - mean) * (2 * u[0]) + mean


def _contrast(x: Tensor, u: Tensor) -> Tensor:
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return (x - mean) * (u[0] + 0.5) + mean


def _color(x: Tensor, u: Tensor) -> Tensor:
    return _contrast(_saturation(_brightness(x, u), u[1:]), u[2:])


def _crop(x: Tensor, u: Tensor) -> Tensor:
    """Shifts by up to an eighth of the image; new pixels are 0, the mean intensity."""
    height, width = x.shape[2:]
    reach = int(height * 0.125 + 0.5)
    corners = (u[:2].flatten(1) * (2 * reach + 1)).int().T.tolist()
    padded = pad(x, [reach] * 4)
    shifted = [
        part[:, :, down : down + height, right : right + width]
        for part, (down, right) in zip(padded.chunk(len(corners)), corners, strict=True)
    ]
    return torch.cat(shifted)


def _cutout(x: Tensor, u: Tensor) -> Tensor:
    """Sets a square of half the image's side, centred anywhere, to 0."""
    height, width = x.shape[2:]
    side = int(height * 0.5 + 0.5)
    rows = torch.arange(height, device=x.device)[:, None] - (u[0] * height).floor() + side // 2
    columns = torch.arange(width, device=x.device) - (u[1] * width).floor() + side // 2
    inside = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
    return x * ~inside


def _flip(x: Tensor, u: Tensor) -> Tensor:
    return torch.where(u[0] < 0.5, x.flip(3), x)


def _scale(x: Tensor, u: Tensor) -> Tensor:
    """Stretches each axis by 1/1.2 to 1.2."""
    low, high = 1 / 1.2, 1.2
    across, down = (low + (high - low) * u[axis].flatten() for axis in (0, 1))
    zero = torch.zeros_like(across)
    return _affine(x, [[across, zero, zero], [zero, down, zero]])


def _rotate(x: Tensor, u: Tensor) -> Tensor:
    """Rotates by up to 15 degrees."""
    angle = torch.deg2rad((u[0].flatten() - 0.5) * 2 * 15.0)
    zero = torch.zeros_like(angle)
    return _affine(x, [[angle.cos(), angle.sin(), zero], [-angle.sin(), angle.cos(), zero]])


def _identity(x: Tensor, _: Tensor) -> Tensor:
    return x


def _affine(x: Tensor, matrix: list[list[Tensor]]) -> Tensor:
    theta = torch.stack([torch.stack(row, -1) for row in matrix], -2).expand(len(x), 2, 3)
    grid = affine_grid(theta, list(x.shape), align_corners=True)
    return grid_sample(x, grid, align_corners=True)


OPERATIONS: dict[Operation, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": _brightness,
    "color": _color,
    "contrast": _contrast,
    "crop": _crop,
    "cutout": _cutout,
    "flip": _flip,
    "identity": _identity,
    "rotate": _rotate,
    "saturation": _saturation,
    "scale": _scale,
}
"""The function of each operation."""
