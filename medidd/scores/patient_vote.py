"""From patches to patients: a patient is called by what most of the patches look like.

Each patch of a patient's films votes for its most probable class; patches that look like background
have no vote. With two classes of films, a patient is positive if the share of positive votes is
above a threshold, which is chosen on patients of the training set. So gastric radiographs are
judged in Li et al., ICIP 2020 (arXiv:2104.02857).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ballot:
    """Whose patches have a vote, and what is true of these patients.

    Attributes:
        patients: the patient of each patch, (n,).
        whole: class of the film that each patch is of, (n,).
        counted: classes that films have, sorted; patches of other classes have no vote.
    """

    patients: Sequence[str]
    whole: NDArray[np.int64]
    counted: Sequence[int]

    @cached_property
    def _each(self) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
        """The patients, sorted, (P,), and the place of each patch's among them, (n,)."""
        names, owner = np.unique(np.array(self.patients, np.str_), return_inverse=True)
        return names, owner

    @property
    def names(self) -> NDArray[np.str_]:
        """The patients, sorted, (P,)."""
        return self._each[0]

    @property
    def truth(self) -> NDArray[np.int64]:
        """The class of each patient: a place in ``counted``, (P,).

        Of a patient with films of several classes it is the last: one positive film is enough.
        """
        names, owner = self._each
        found = np.zeros(len(names), np.int64)
        np.maximum.at(found, owner, np.searchsorted(self.counted, self.whole))
        return found

    def shares(self, probabilities: Floats) -> Floats:
        """Returns the shares of the votes of each patient, (P, counted).

        A patient whose patches all look like background is not positive; with more than two classes
        the shares are then equal.

        Args:
            probabilities: of each patch's classes, (n, K).
        """
        names, owner = self._each
        voted = probabilities.argmax(1)
        votes = np.zeros((len(names), len(self.counted)))
        for place, label in enumerate(self.counted):
            np.add.at(votes[:, place], owner[voted == label], 1)
        total = votes.sum(1, keepdims=True)
        nobody = np.array([1.0, 0.0]) if len(self.counted) == 2 else 1 / len(self.counted)
        return np.where(total > 0, votes / np.maximum(total, 1), nobody)


def threshold(shares: Floats, positive: NDArray[np.bool_]) -> float:
    """Returns the share above which a patient is called positive.

    It has the largest harmonic mean of sensitivity and specificity; of several, it is the middle
    one.

    Args:
        shares: of positive votes, (P,), of patients of the training set.
        positive: whether they are, (P,).
    """
    seen = np.unique(np.concatenate([[0.0, 1.0], shares]))
    tried = (seen[1:] + seen[:-1]) / 2
    called = shares[None] > tried[:, None]
    sensitivity = (called & positive).sum(1) / max(positive.sum(), 1)
    specificity = (~called & ~positive).sum(1) / max((~positive).sum(), 1)
    together = 2 * sensitivity * specificity
    hm = together / np.maximum(sensitivity + specificity, np.finfo(float).tiny)
    best = tried[hm >= hm.max() - 1e-12]
    return float(best[len(best) // 2])


def called(shares: Floats, at: float) -> Floats:
    """Returns shares of two classes, (P, 2), moved so that the threshold ``at`` comes to .5.

    Their order stays, so the ROC curve does, too.
    """
    share = shares[:, 1]
    moved = np.where(share <= at, share / at / 2, 0.5 + (share - at) / (1 - at) / 2)
    # Exactly at the threshold a patient is not positive, and argmax takes the first of two.
    return np.stack([1 - moved, moved], axis=1)
