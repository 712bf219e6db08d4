"""Null releases: the same method, run without the patients that are scored on them.

Some films lie close to any release, even to a noise image. Each patient therefore gets two scores:
one against the release, and one against releases that never saw this patient. What the second
predicts of the first is subtracted.
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

    def unseen(self, score: Score, films: Films) -> Tensor:
        """Returns each patient's score against a null release that never saw the patient, (P,).

        Nulls made from other people saw no member and no control, so this is the mean over all.
        Otherwise a member is scored on one null, just as a control is. The mean of all nulls would
        be less noisy for members only: fewer members than controls would then have extreme scores,
        even if nothing leaks.
        """
        rows = torch.stack([score(null, films) for null in self.releases])
        if self.fold_of is None:
            return rows.mean(0)
        fold = torch.tensor([self.fold_of[one] for one in films.ids], device=rows.device)
        return rows.gather(0, fold.unsqueeze(0)).squeeze(0)


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


def calibrate(scores: Tensor, against: Tensor, strata: Tensor) -> Tensor:
    """Returns each patient's score without what null releases explain of it, (P,).

    A null made of few people is mostly noise. Subtracting it whole would hide a leak behind that
    noise, so only the share is subtracted that predicts the scores best, over all patients of a
    class and without regard to membership (a control variate; Owen 2013, section 8.9). If nulls
    explain nothing, the scores stay as they are.

    Args:
        scores: against the release, (P,).
        against: what ``Nulls.unseen`` gives, (P,).
        strata: the patients' classes, (P,).
    """
    return scores - explained(scores, against, strata) * against


def explained(scores: Tensor, nulls: Tensor, strata: Tensor) -> float:
    """Returns the share of the null scores that predicts scores best within classes, 0 to 1."""
    together = both = 0.0
    for stratum in sorted(set(strata.tolist())):
        inside = strata == stratum
        x = (nulls[inside] - nulls[inside].mean()).double()
        together += float(x @ (scores[inside] - scores[inside].mean()).double())
        both += float(x @ x)
    return min(1.0, max(0.0, together / both)) if both > 0 else 0.0
