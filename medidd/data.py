"""The two sets of the field: S, which is learned, and T, which may not leave the house.

A method never touches a patient's image. It asks a ``Source`` for the mean of a function over a
batch, and whoever answers decides how: ``RealSet`` plainly, a private source with clipping, noise
and an account. The contract that makes both possible: ``f`` of a batch is the mean of ``f`` over
its single images, which is why no network here keeps batch statistics.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

Statistic = TypeVar("Statistic")


@dataclass(frozen=True)
class Normalization:
    """Display values in [0, 1] to the standardised values that networks see, and back.

    The constants are public: a mean taken over the cohort would be a statistic of its patients.

    Attributes:
        mean: display value that becomes 0.
        std: display values per standardised unit.
    """

    mean: float = 0.5
    std: float = 0.25

    def standardize(self, pixels: Tensor) -> Tensor:
        """Returns standardised values for display values in [0, 1]."""
        return (pixels - self.mean) / self.std

    def display(self, images: Tensor) -> Tensor:
        """Returns display values, which learned images may push outside [0, 1]."""
        return images * self.std + self.mean


NORMALIZATION = Normalization()
"""The one in use everywhere, and stated in every release."""


@dataclass
class SyntheticSet:
    """S: the few learned images and their labels, class after class.

    What is learned is what the method's optimizer holds; there are no flags.

    Attributes:
        images: standardised intensities, (K * ipc, C, H, W); rows c*ipc to (c+1)*ipc start as
            images of class c.
        labels: soft labels, (K * ipc, K); rows sum to one.
        log_lr: logarithm of the step size at which networks are trained on S, ().
    """

    images: Tensor
    labels: Tensor
    log_lr: Tensor

    @property
    def classes(self) -> int:
        """K, the number of classes."""
        return self.labels.shape[1]

    @property
    def ipc(self) -> int:
        """Images per class."""
        return len(self.images) // self.classes

    def of_class(self, label: int) -> tuple[Tensor, Tensor]:
        """Returns images (ipc, C, H, W) and labels (ipc, K) that started as class ``label``."""
        rows = slice(label * self.ipc, (label + 1) * self.ipc)
        return self.images[rows], self.labels[rows]

    def tensors(self) -> dict[str, Tensor]:
        """Returns the three tensors by name."""
        return {"images": self.images, "labels": self.labels, "log_lr": self.log_lr}


class Source(Protocol):
    """What a method may ask about the real images T."""

    @property
    def classes(self) -> int:
        """K, the number of classes."""

    def mean(self, f: Callable[[Tensor, Tensor], Statistic], *, label: int, size: int) -> Statistic:
        """Returns the mean of ``f`` over ``size`` real images of class ``label``.

        Args:
            f: takes images (n, C, H, W) and labels (n, K); its value for a batch must be the mean
                of its values for the single images.
            label: the class to draw from.
            size: images to draw; a smaller class gives all it has.
        """


class RealSet:
    """T, answered plainly: the mean over a batch drawn without replacement.

    Args:
        images: standardised intensities, (n, C, H, W).
        labels: hard labels, (n,), int64.
        classes: K.
        rng: the generator that batches are drawn from.
    """

    def __init__(self, images: Tensor, labels: Tensor, classes: int, rng: torch.Generator) -> None:
        self._images = images
        self._labels = torch.nn.functional.one_hot(labels, classes).to(images.dtype)
        self._rows = [(labels == label).nonzero().squeeze(1) for label in range(classes)]
        self._rng = rng
        self.classes = classes

    def mean(self, f: Callable[[Tensor, Tensor], Statistic], *, label: int, size: int) -> Statistic:
        """Returns ``f`` of a fresh batch; see ``Source.mean``."""
        rows = self._rows[label]
        draw = torch.randperm(len(rows), generator=self._rng)[:size]
        batch = rows[draw.to(rows.device)]
        # Nothing of T is learned; a gradient that f takes itself enables grad itself.
        with torch.no_grad():
            return f(self._images[batch], self._labels[batch])
