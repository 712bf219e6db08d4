"""Null releases: the same method, run without the patients that are scored on them.

Some films lie close to any release, even to a noise image. Each patient therefore gets two scores:
one against the release, and one against releases that never saw this patient. The second is
subtracted from the first.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from privacy.release import Films, Release

Score = Callable[[Release, Films], Tensor]
"""Scores every patient of the films against a release, (P,); a high score says "member"."""


@dataclass(frozen=True)
class Nulls:
    """Null releases, and which patients may be scored on which.

    Attributes:
        releases: null k is distilled from the controls outside fold k, never from members; or all
            nulls are distilled from people who are neither members nor controls.
        fold_of: the fold of every patient, members too; None for nulls made from other people.
    """

    releases: tuple[Release, ...]
    fold_of: Mapping[Hashable, int] | None

    def __post_init__(self) -> None:
        if not self.releases:
            raise ValueError("nulls: there is no null release; give at least one")
        if self.fold_of is not None and set(self.fold_of.values()) != set(
            range(len(self.releases))
        ):
            raise ValueError("nulls: the folds must be 0 to k - 1 for k null releases")


def folds(films: Films, rng: torch.Generator, k: int = 5) -> dict[Hashable, int]:
    """Returns a fold, 0 to k - 1, for each patient; equal numbers per class, as far as possible."""
    fold_of: dict[Hashable, int] = {}
    start = 0
    for stratum in sorted(set(films.strata.tolist())):
        inside = (films.strata == stratum).nonzero().flatten().tolist()
        for place in torch.randperm(len(inside), generator=rng).tolist():
            fold_of[films.ids[inside[place]]] = start % k
            start += 1
    return fold_of


def calibrate(score: Score, release: Release, nulls: Nulls, films: Films) -> Tensor:
    """Returns each patient's score minus the score on the null release of the same fold, (P,).

    Nulls made from other people saw no member and no control, so each patient is compared with
    their mean. Otherwise a member is compared with one null, just as a control is. The mean of all
    nulls would be less noisy for members only: fewer members than controls would then have extreme
    scores, even if nothing leaks.
    """
    against = torch.stack([score(null, films) for null in nulls.releases])
    if nulls.fold_of is None:
        return score(release, films) - against.mean(0)
    fold = torch.tensor([nulls.fold_of[one] for one in films.ids], device=against.device)
    return score(release, films) - against.gather(0, fold.unsqueeze(0)).squeeze(0)
