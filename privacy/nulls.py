"""Null releases: the same method run without the patients it is scored on.

Some films lie close to any release, a noise image included. What a patient scores against
releases that never saw him is therefore subtracted from what he scores against the real one.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from privacy.release import Films, Release

Score = Callable[[Release, Films], Tensor]
"""Scores every patient of the films against a release, (P,); high says "member"."""


@dataclass(frozen=True)
class Nulls:
    """Null releases and who may be scored on which.

    Attributes:
        releases: null k is distilled from the controls outside fold k, members never; or all of
            them from people who are neither members nor controls.
        fold_of: the fold of every patient, members too; None for nulls made of other people.
    """

    releases: tuple[Release, ...]
    fold_of: Mapping[Hashable, int] | None

    def __post_init__(self) -> None:
        if not self.releases:
            raise ValueError("nulls: there is no null release")
        if self.fold_of is not None and set(self.fold_of.values()) != set(
            range(len(self.releases))
        ):
            raise ValueError("nulls: the folds must be 0 to k - 1 for k null releases")


def folds(films: Films, rng: torch.Generator, k: int = 5) -> dict[Hashable, int]:
    """Returns a fold, 0 to k - 1, for each patient; equally many in each class as far as can be."""
    fold_of: dict[Hashable, int] = {}
    start = 0
    for stratum in sorted(set(films.strata.tolist())):
        inside = (films.strata == stratum).nonzero().flatten().tolist()
        for place in torch.randperm(len(inside), generator=rng).tolist():
            fold_of[films.ids[inside[place]]] = start % k
            start += 1
    return fold_of


def calibrate(score: Score, release: Release, nulls: Nulls, films: Films) -> Tensor:
    """Returns each patient's score minus that on the null release of his fold, (P,).

    Nulls made of other people know nobody, and everyone is compared with their mean. Otherwise a
    member is compared with one null as a control is. The mean of all nulls would be less noisy
    for members only, and then fewer members than controls have extreme scores though nothing leaks.
    """
    against = torch.stack([score(null, films) for null in nulls.releases])
    if nulls.fold_of is None:
        return score(release, films) - against.mean(0)
    fold = torch.tensor([nulls.fold_of[one] for one in films.ids], device=against.device)
    return score(release, films) - against.gather(0, fold.unsqueeze(0)).squeeze(0)
