"""What the arrays of somebody else's set mean: intensities as display values, labels as rows."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from medidd.data import Normalization
from pipelines.run.errors import Exit

Array = npt.NDArray[Any]

SIDES = range(16, 257)
"""Heights and widths that films can be read at, pixels."""

MOST_CLASSES = 1000

GRAY = 0.5 / 255
"""Channels that differ by less show the same gray."""


class UnusableError(ValueError):
    """A file gives no set. One line says why and what to do, without the file's name.

    Attributes:
        code: the exit code.
    """

    def __init__(self, message: str, code: Exit = Exit.DATA) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Scale:
    """What floats mean, because no file says it: display value = intensity * std + mean.

    Attributes:
        mean: one for all channels, or one for each; empty if intensities are display values.
        std: likewise.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            UnusableError: they are not one pair, or one for each channel.
        """
        numbers = all(map(math.isfinite, (*self.mean, *self.std))) and all(s > 0 for s in self.std)
        if not numbers or len(self.mean) != len(self.std) or len(self.mean) not in (0, 1, 3):
            raise UnusableError(
                "--mean and --std go together: one of each, or three of each for three channels, "
                "and every --std above 0",
                Exit.USAGE,
            )

    def display(self, images: Tensor) -> Tensor:
        """Returns display values of intensities (n, C, H, W).

        Raises:
            UnusableError: there are constants for another number of channels.
        """
        if len(self.mean) not in (1, images.shape[1]):
            raise UnusableError(
                f"images of {images.shape[1]} channels, {len(self.mean)} of --mean and --std; give "
                "one of each, or one per channel",
                Exit.USAGE,
            )
        one = len(self.mean) == 1
        mean, std = (self.mean[0], self.std[0]) if one else (self.mean, self.std)
        return Normalization(mean, std).display(images)


def intensities(values: Array, how: Scale, levels: int | None) -> tuple[Tensor, str]:
    """Returns display values (n, 1, H, W) in float32, and a description of the original values.

    Values that are learned without bounds may be slightly outside [0, 1]. They are kept, because a
    recipient gets them, too.

    Args:
        values: images (n, H, W), (n, C, H, W) or (n, H, W, C).
        how: what floats mean.
        levels: steps from black to white, if the file gives them; None if its type does.

    Raises:
        UnusableError: they are not gray images, or their scale is not known.
    """
    images = _channels_first(values)
    if images.dtype in (np.uint8, np.uint16):
        white = levels or int(np.iinfo(images.dtype).max)
        if how.mean:
            raise UnusableError(
                f"intensities are {images.dtype}, whose scale is known; leave out --mean and --std",
                Exit.USAGE,
            )
        shown = torch.from_numpy(images.astype(np.float32)) / white
        said = f"{images.dtype}, white at {white}"
    elif images.dtype.kind == "f":
        shown = torch.from_numpy(images.astype(np.float32))
        shown, said = _of_floats(shown, how)
    else:
        raise UnusableError(f"intensities are {images.dtype}; save uint8, uint16 or floats")
    if shown.min() < -1e-6 or shown.max() > 1 + 1e-6:
        _require_mostly_shown(shown)
    return _gray(shown), said


def targets(values: Array, images: int) -> tuple[Tensor, bool, str]:
    """Returns labels (n, K), whether they were class numbers, and a description of them.

    Rows that do not sum to one are used without change: some methods learn labels without a
    constraint, and a recipient trains on these. medidd cannot distinguish them from logits.

    Args:
        values: class numbers (n,), or rows (n, K).
        images: n.

    Raises:
        UnusableError: they are neither class numbers nor rows.
    """
    if values.dtype.kind not in "uifb":
        raise UnusableError(f"labels are {values.dtype}; save class numbers or rows of floats")
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim not in (1, 2) or len(values) != images:
        raise UnusableError(
            f"{images} images and labels of shape {values.shape}; give one number, or one row of "
            "K numbers, for each image"
        )
    if not np.isfinite(values.astype(np.float32)).all():
        raise UnusableError("a label is not a finite number; make the set again")
    if values.ndim == 2:
        rows = torch.from_numpy(values.astype(np.float32))
        if rows.shape[1] > MOST_CLASSES:
            raise UnusableError(f"labels of {rows.shape[1]} classes; the most is {MOST_CLASSES}")
        sums = bool(rows.min() >= -1e-6) and bool(((rows.sum(1) - 1).abs() < 0.01).all())
        free = "labels that do not sum to one, used as they are; if logits, save their softmax"
        return rows, False, "soft labels" if sums else free
    numbers = values.astype(np.int64)
    if (numbers != values).any() or numbers.min() < 0 or numbers.max() >= MOST_CLASSES:
        raise UnusableError(
            f"labels from {values.min():g} to {values.max():g}; number the classes from 0, or save "
            "one row of K numbers for each image"
        )
    classes = max(2, int(numbers.max()) + 1)
    rows = torch.nn.functional.one_hot(torch.from_numpy(numbers), classes).float()
    return rows, True, "class numbers"


def _channels_first(values: Array) -> Array:
    """Returns images (n, C, H, W) with C of 1 or 3, square, of a size that films can have."""
    images = values[:, None] if values.ndim == 3 else values
    if images.ndim != 4 or not images.size:
        raise UnusableError(
            f"images of shape {values.shape}; give (n, H, W), (n, C, H, W) or (n, H, W, C)"
        )
    if images.shape[1] not in (1, 3) and images.shape[3] in (1, 3):
        images = np.moveaxis(images, 3, 1)
    if images.shape[1] not in (1, 3):
        raise UnusableError(f"images of {images.shape[1]} channels; give gray images")
    height, width = images.shape[2:]
    if height != width or height not in SIDES:
        raise UnusableError(
            f"images of {height}x{width} px; medidd reads films as squares of {SIDES[0]} "
            f"to {SIDES[-1]} px, so give a set of such squares"
        )
    return images


def _of_floats(shown: Tensor, how: Scale) -> tuple[Tensor, str]:
    if not shown.isfinite().all():
        raise UnusableError("an intensity is not a finite number; make the set again")
    low, high = float(shown.min()), float(shown.max())
    found = f"floats from {low:.3g} to {high:.3g}"
    if how.mean:
        return how.display(shown), f"{found}, standardised by --mean and --std"
    if low < 0 or high > 1:
        raise UnusableError(
            f"{found} are not display values; pass the --mean and --std that standardised them, "
            "where display value = intensity * std + mean, or save uint8",
            Exit.USAGE,
        )
    return shown, found


def _require_mostly_shown(shown: Tensor) -> None:
    share = float(((shown >= 0) & (shown <= 1)).float().mean())
    if share < 0.5:
        raise UnusableError(
            f"only {share:.0%} of the intensities are display values, between 0 and 1 (they run "
            f"from {float(shown.min()):.3g} to {float(shown.max()):.3g}); check --mean and --std, "
            "with which display value = intensity * std + mean",
            Exit.USAGE,
        )


def _gray(shown: Tensor) -> Tensor:
    """Returns the first channel of images whose channels are equal."""
    if (shown - shown[:, :1]).abs().max() > GRAY:
        raise UnusableError(
            "color images, and films are gray; audit a gray set (the audits would not see the "
            "colors)"
        )
    return shown[:, :1].contiguous()
