"""How the films of a run are asked: plainly, or under a guarantee."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medidd.data import NORMALIZATION, Question, RealSet, Source, at_once
from medidd.machine.ranks import ALONE, Ranks
from medidd.shared import Shared
from pipelines.run.budget import Budget
from privacy.dp.mechanism import BudgetSpentError, PatientGaussian
from privacy.dp.phantoms import phantoms
from privacy.dp.source import PrivateSource
from privacy.release import Films

Asking = Callable[[int, int, Films, torch.device, torch.Generator], Source]
"""Takes how often is asked in all (T), the number of classes, the films, a device and the run's
generator; returns what the method may ask."""

PHANTOMS = 32
"""Public pictures on which centers and radii of answers are measured."""

CLIP = 1.0
"""Length of a patient's vector at most. Vectors are scaled by public radii, so 1 fits them all."""


def standardized(films: Films, device: torch.device) -> tuple[Tensor, Tensor]:
    """Returns films as methods see them, (n, C, H, W), and their classes, (n,)."""
    return NORMALIZATION.standardize(films.images).to(device), films.labels.to(device)


def plainly(
    releases: int,  # noqa: ARG001 - exact answers cost nothing
    classes: int,
    films: Films,
    device: torch.device,
    rng: torch.Generator,
) -> Source:
    """Returns a source that answers exactly."""
    return RealSet(*standardized(films, device), classes, rng)


@dataclass(frozen=True)
class Jointly:
    """Asks exactly, and several processes compute the answers together.

    Attributes:
        ranks: the processes.
    """

    ranks: Ranks

    def __call__(
        self,
        releases: int,  # noqa: ARG002 - exact answers cost nothing
        classes: int,
        films: Films,
        device: torch.device,
        rng: torch.Generator,
    ) -> Source:
        """Returns a source that every process must ask the same."""
        images, labels = standardized(films, device)
        chunk = at_once(images) * self.ranks.count
        return Shared(RealSet(images, labels, classes, rng, chunk), self.ranks)


@dataclass(frozen=True)
class Silent:
    """A source for methods that ask nothing, because their experts have asked before them.

    Attributes:
        classes: K.
    """

    classes: int

    def means(self, questions: Sequence[Question[Any]], *, size: int) -> list[Any]:  # noqa: ARG002
        """Refuses every question."""
        raise BudgetSpentError("a method that declared no question has asked one")


@dataclass(frozen=True)
class Privately:
    """Asks under a guarantee.

    Attributes:
        budget: what may be spent.
        folder: where noisy answers are kept, so that a run that was stopped gets the same ones;
            None to keep none.
    """

    budget: Budget
    folder: Path | None

    def __call__(
        self,
        releases: int,
        classes: int,
        films: Films,
        device: torch.device,
        rng: torch.Generator,  # noqa: ARG002 - noise must not come from a seed
    ) -> Source:
        """Returns a source that clips each patient and adds noise."""
        if not releases:
            return Silent(classes)
        images, labels = standardized(films, device)
        _, channels, size, _ = images.shape
        public = NORMALIZATION.standardize(phantoms(PHANTOMS, size, channels)).to(device)
        mechanism = PatientGaussian(self.budget.series(releases), self.budget.patients, CLIP)
        return PrivateSource(
            images, labels, films.patients, classes, mechanism, public, self.folder
        )


def asking(budget: Budget | None, folder: Path | None, ranks: Ranks = ALONE) -> Asking:
    """Returns how films are asked under a budget, or without one; see ``Privately``.

    Raises:
        ValueError: several processes would spend one budget.
    """
    if budget is None:
        return plainly if ranks.count == 1 else Jointly(ranks)
    if ranks.count > 1:
        raise ValueError("noise and account belong to one process")
    return Privately(budget, folder)
