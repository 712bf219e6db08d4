"""The one outer loop.

A method is a generator of losses: the paper's nested loops stay nested, its local variables are
its state, and each ``yield`` is the place where the caller steps S.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from medidd.data import Source, SyntheticSet

Preset = Mapping[int, Mapping[str, Any]]
"""Values of a method's fields by images per class, each good up to the next greater number."""


class Method(Protocol):
    """What a dataset distillation method contributes.

    Attributes:
        steps: how many updates of S it takes unless the user says otherwise.
        paper: the values of its fields that the authors use.
    """

    paper: ClassVar[Preset]

    @property
    def steps(self) -> int:
        """Updates of S by default."""

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        """Returns the optimizer over those tensors of S that the method learns."""

    def losses(
        self, synthetic: SyntheticSet, real: Source, rng: torch.Generator
    ) -> Iterator[Tensor]:
        """Yields the losses along one path; between two of them the caller steps S.

        A path is what begins with fresh weights. The outer loop asks for one after another. A
        generator cannot be saved, so a run is resumed where a path begins, and there its randomness
        alone decides what follows: whatever a path holds comes from S, ``rng`` and ``real``.
        """


@runtime_checkable
class Prepares(Protocol):
    """A method that needs more of S than a start gives, such as step sizes of its own."""

    def prepare(self, synthetic: SyntheticSet) -> SyntheticSet:
        """Returns S as the method begins with it."""


@runtime_checkable
class Decodes(Protocol):
    """A method that learns something else than the images it shows.

    Attributes:
        shown: released images per learned one.
    """

    @property
    def shown(self) -> int:
        """Released images per learned one."""

    def encode(self, synthetic: SyntheticSet) -> SyntheticSet:
        """Returns S as it is learned, from a start of ``shown`` times as many images."""

    def decode(self, synthetic: SyntheticSet) -> SyntheticSet:
        """Returns S as it is released, from S as it is learned."""


@runtime_checkable
class Classifies(Protocol):
    """A method that has a classifier of its own, besides those anybody may train on S.

    Attributes:
        classifies_by: its name, for people.
    """

    classifies_by: ClassVar[str]

    def classifier(
        self, synthetic: SyntheticSet, rng: torch.Generator
    ) -> Callable[[Tensor], Tensor]:
        """Returns a function from images (n, C, H, W) to class probabilities (n, K)."""


def by_ipc(preset: Preset, ipc: int) -> Mapping[str, Any]:
    """Returns the values for the greatest number of images per class that is not above ``ipc``."""
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
) -> Iterator[float]:
    """Steps ``synthetic`` in place down the method's losses.

    Args:
        method: what is minimised.
        synthetic: S, changed in place.
        real: T, or a private source.
        steps: updates of S.
        rng: the run's generator.
        optimizer: one restored from a checkpoint; by default the method's own, fresh.
        between: called with the number of updates so far wherever a path has ended, or all steps
            are taken; there the run can be saved.

    Yields:
        The value of each loss, after S has been stepped down it.

    Raises:
        FloatingPointError: a loss is not finite; S has not been stepped down it.
    """
    optimizer = optimizer or method.optimizer(synthetic)
    for tensor in learned(optimizer):
        tensor.requires_grad_()
    taken = 0
    while taken < steps:
        for loss in islice(method.losses(synthetic, real, rng), steps - taken):
            if not loss.isfinite():
                raise FloatingPointError("the loss is not finite; lower the learning rate")
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            taken += 1
            yield loss.item()
        between(taken)
