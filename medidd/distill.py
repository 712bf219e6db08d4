"""The one outer loop.

A method is a generator of losses: the paper's nested loops stay nested, its local variables are
its state, and each ``yield`` is the place where the caller steps S.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Protocol

import torch
from torch import Tensor

from medidd.data import Source, SyntheticSet


class Method(Protocol):
    """What a dataset distillation method contributes.

    Attributes:
        steps: how many updates of S it takes unless the user says otherwise.
    """

    @property
    def steps(self) -> int:
        """Updates of S by default."""

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        """Returns the optimizer over those tensors of S that the method learns."""

    def losses(
        self, synthetic: SyntheticSet, real: Source, rng: torch.Generator
    ) -> Iterator[Tensor]:
        """Yields losses; between two of them the caller steps S.

        A generator cannot be saved, so a run is resumed where its randomness alone decides what
        follows: whatever the generator draws after a ``yield`` must come from ``rng``.
        """


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
) -> Iterator[float]:
    """Steps ``synthetic`` in place down the method's losses.

    Args:
        method: what is minimised.
        synthetic: S, changed in place.
        real: T, or a private source.
        steps: updates of S.
        rng: the run's generator.
        optimizer: one restored from a checkpoint; by default the method's own, fresh.

    Yields:
        The value of each loss, after S has been stepped down it.

    Raises:
        FloatingPointError: a loss is not finite; S has not been stepped down it.
    """
    optimizer = optimizer or method.optimizer(synthetic)
    for tensor in learned(optimizer):
        tensor.requires_grad_()
    for loss in islice(method.losses(synthetic, real, rng), steps):
        if not loss.isfinite():
            raise FloatingPointError("the loss is not finite; lower the learning rate")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        yield loss.item()
