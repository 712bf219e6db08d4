"""The one outer loop.

A method is a generator of losses. The paper's nested loops stay nested, the local variables are the
state, and at each ``yield`` the caller takes one step on S.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from math import isfinite
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from medidd.data import Source, SyntheticSet

Preset = Mapping[int, Mapping[str, Any]]
"""Values of a method's fields by images per class; each holds up to the next larger number."""


class Method(Protocol):
    """What a dataset distillation method contributes.

    Attributes:
        steps: updates of S, unless the user sets another number.
        paper: the authors' values for the fields.
        private: values that suit a private source, which has to add the more noise the more often
            it is asked.
    """

    paper: ClassVar[Preset]
    private: ClassVar[Mapping[str, Any]]

    @property
    def steps(self) -> int:
        """Updates of S by default."""

    def releases(self, classes: int) -> int:
        """Returns how often a run of ``steps`` updates asks T about ``classes`` classes.

        A private source must know before it answers, for its noise depends on this number.
        """

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        """Returns the optimizer over those tensors of S that the method learns."""

    def losses(
        self, synthetic: SyntheticSet, real: Source, rng: torch.Generator
    ) -> Iterator[Tensor]:
        """Yields the losses along one path; between two losses the caller takes one step on S.

        A path starts with fresh weights, and the outer loop asks for one path after another. A
        generator cannot be saved, so a run is resumed at the start of a path. For this reason a
        path must depend only on S, ``rng`` and ``real``.
        """


@runtime_checkable
class Prepares(Protocol):
    """A method whose S needs more than a start gives, such as its own step sizes."""

    def prepare(self, synthetic: SyntheticSet) -> SyntheticSet:
        """Returns the S that the method starts with."""


@runtime_checkable
class Requires(Protocol):
    """A method that not every number of images suits."""

    def require(self, ipc: int) -> None:
        """Refuses so many images per class, before any film is read.

        Raises:
            ValueError: they do not suit.
        """


@runtime_checkable
class Starts(Protocol):
    """A method that learns more if S does not start from noise.

    Attributes:
        start: the name of the start.
    """

    start: ClassVar[str]


@runtime_checkable
class DrawsImages(Protocol):
    """A method that draws its images from a model that it trains on T (``SyntheticSet.model``).

    Attributes:
        origin: what such images start from, for audits: neither noise nor films.
    """

    origin: ClassVar[str]


@runtime_checkable
class Decodes(Protocol):
    """A method that learns something other than the images it releases.

    Attributes:
        shown: released images per learned one.
    """

    @property
    def shown(self) -> int:
        """Released images per learned one."""

    def encode(self, synthetic: SyntheticSet) -> SyntheticSet:
        """Returns S as it is learned, from a start with ``shown`` times as many images."""

    def decode(self, synthetic: SyntheticSet) -> SyntheticSet:
        """Returns S as it is released, from S as it is learned."""


@runtime_checkable
class Classifies(Protocol):
    """A method with its own classifier, in addition to those that anybody can train on S.

    Attributes:
        classifies_by: the classifier's name, for people.
    """

    classifies_by: ClassVar[str]

    def classifier(
        self, synthetic: SyntheticSet, rng: torch.Generator
    ) -> Callable[[Tensor], Tensor]:
        """Returns a function from images (n, C, H, W) to class probabilities (n, K)."""


def by_ipc(preset: Preset, ipc: int) -> Mapping[str, Any]:
    """Returns the values for the largest number of images per class that is at most ``ipc``."""
    return preset[max((known for known in preset if known <= ipc), default=min(preset))]


def learned(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Returns the tensors that an optimizer holds, in its order."""
    return [tensor for group in optimizer.param_groups for tensor in group["params"]]


def distill(
    method: Method,
    synthetic: SyntheticSet,
    real: Source,
    *,
    steps: int,
    rng: torch.Generator,
    optimizer: torch.optim.Optimizer | None = None,
    between: Callable[[int], None] = lambda _: None,
    read_every: int = 1,
) -> Iterator[float]:
    """Minimises the method's losses, changing ``synthetic`` in place.

    Args:
        method: gives the losses.
        synthetic: S, changed in place.
        real: T, or a private source.
        steps: updates of S.
        rng: the run's generator.
        optimizer: one restored from a checkpoint; by default a fresh one of the method.
        between: called with the number of updates so far after each path, and after all steps;
            there the run can be saved, for all losses so far have been read and are finite.
        read_every: updates after which losses are read, and at the end of each path. A GPU waits
            wherever one is read. With 1, each is read before its step on S.

    Yields:
        The value of each loss, after the step on S, and after as many more as losses are read at
        once.

    Raises:
        FloatingPointError: a loss is not finite. The step on S that follows the reading is not
            taken; with ``read_every`` above 1, S may have taken others since, and is of no use.
    """
    optimizer = optimizer or method.optimizer(synthetic)
    for tensor in learned(optimizer):
        tensor.requires_grad_()
    taken, unread = 0, list[Tensor]()
    while taken < steps:
        try:
            for loss in islice(method.losses(synthetic, real, rng), steps - taken):
                unread.append(loss.detach())
                values = _read(unread) if len(unread) == read_every else []
                if not all(map(isfinite, values)):
                    break
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                taken += 1
                if values:
                    unread.clear()
                    yield from values
        except RuntimeError:  # as of a matrix of what a loss that nobody has read yet left behind
            if all(map(isfinite, _read(unread))):
                raise
        for value in _read(unread):
            if not isfinite(value):
                raise FloatingPointError("the loss is not finite; lower the learning rate")
            yield value
        unread.clear()
        between(taken)


READ_EVERY = 10
"""Updates after which a run on a GPU reads its losses."""


def _read(losses: list[Tensor]) -> list[float]:
    """Returns the values of losses, for which a device is waited for once."""
    values: list[float] = torch.stack(losses).tolist() if losses else []
    return values
