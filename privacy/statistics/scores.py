"""How well a score tells members from controls, and how sure this is.

Scores are per patient; a high score says "member". All bounds are one-sided. Members are compared
only with controls of the same stratum (class), because membership was drawn within the class.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import beta, norm, rankdata
from torch import Tensor

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scores:
    """Attack scores of patients.

    Attributes:
        members: (n1,) of patients in the training set.
        controls: (n0,) of patients known not to be in it.
        member_strata: (n1,) classes; one class if left out.
        control_strata: (n0,).
    """

    members: Tensor
    controls: Tensor
    member_strata: Tensor | None = None
    control_strata: Tensor | None = None

    def by_stratum(self) -> list[tuple[Array, Array]]:
        """Returns members' and controls' scores of each stratum that has both."""
        members, controls = (_array(x) for x in (self.members, self.controls))
        if self.member_strata is None or self.control_strata is None:
            return [(members, controls)]
        of_member, of_control = _array(self.member_strata), _array(self.control_strata)
        pairs = [(members[of_member == s], controls[of_control == s]) for s in np.unique(of_member)]
        return [(x, y) for x, y in pairs if len(x) and len(y)]

    def pooled(self) -> tuple[Array, Array]:
        """Returns the scores of all members and controls whose stratum has both."""
        strata = self.by_stratum()
        members, controls = zip(*strata, strict=True) if strata else ((np.empty(0),),) * 2
        return np.concatenate(members), np.concatenate(controls)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Members and controls of each stratum that has both."""
        return [(len(x), len(y)) for x, y in self.by_stratum()]


def auc(scores: Scores) -> float:
    """Returns the share of pairs of one class in which the member scores higher; ties are half."""
    strata = scores.by_stratum()
    wins = sum(_rank_sum(x, y) for x, y in strata)
    return float(wins / sum(len(x) * len(y) for x, y in strata))


def null_se(sizes: Sequence[tuple[int, int]]) -> float:
    """Returns the standard error of the AUC without leakage.

    Args:
        sizes: members and controls of each stratum.
    """
    variance = sum(n1 * n0 * (n1 + n0 + 1) / 12 for n1, n0 in sizes)
    return math.sqrt(variance) / sum(n1 * n0 for n1, n0 in sizes)


def permutation_p(scores: Scores, rng: torch.Generator, rounds: int = 10_000) -> float:
    """Returns the chance of an AUC this high if membership were drawn again within each class."""
    strata = scores.by_stratum()
    observed = sum(_rank_sum(x, y) for x, y in strata)
    draws = _numpy_rng(rng)
    total = np.zeros(rounds)
    for x, y in strata:
        ranks = rankdata(np.concatenate([x, y]))
        n1 = len(x)
        for chunk in np.array_split(np.arange(rounds), max(1, rounds * len(ranks) // 2_000_000)):
            shuffled = draws.permuted(np.tile(ranks, (len(chunk), 1)), axis=1)
            total[chunk] += shuffled[:, :n1].sum(axis=1) - n1 * (n1 + 1) / 2
    return float((1 + (total >= observed - 1e-9).sum()) / (rounds + 1))


class AucBounds:
    """One-sided bounds of the AUC from resampling patients within each class.

    If scores hardly overlap or patients are few, the bootstrap shows too little spread. So no bound
    is tighter than the standard error without leakage allows.
    """

    def __init__(self, scores: Scores, rng: torch.Generator, rounds: int = 2_000) -> None:
        self._value = auc(scores)
        self._floor = null_se(scores.sizes)
        draws = _numpy_rng(rng)
        strata = scores.by_stratum()
        wins = np.zeros(rounds)
        for x, y in strata:
            won = (x[:, None] > y).astype(float) + 0.5 * (x[:, None] == y)
            times_x = draws.multinomial(len(x), np.full(len(x), 1 / len(x)), rounds)
            times_y = draws.multinomial(len(y), np.full(len(y), 1 / len(y)), rounds)
            wins += ((times_x @ won) * times_y).sum(axis=1)
        self._resampled = wins / sum(len(x) * len(y) for x, y in strata)

    def low(self, level: float = 0.95) -> float:
        """Returns the lower bound."""
        half = float(norm.ppf(level)) * self._floor
        return max(0.0, min(float(np.quantile(self._resampled, 1 - level)), self._value - half))

    def high(self, level: float = 0.95) -> float:
        """Returns the upper bound."""
        half = float(norm.ppf(level)) * self._floor
        return min(1.0, max(float(np.quantile(self._resampled, level)), self._value + half))


def clopper_pearson(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Returns exact one-sided lower and upper bounds of a share, each at ``level``."""
    low = 0.0 if hits == 0 else float(beta.ppf(1 - level, hits, n - hits + 1))
    high = 1.0 if hits == n else float(beta.ppf(level, hits + 1, n - hits))
    return low, high


@dataclass(frozen=True)
class Tail:
    """The attack at a threshold that few controls reach.

    The threshold t is itself a control's score, the k-th largest of n0. So the number of controls
    at or above it is not random: it is k by choice. What is random is the share of the whole
    population above t; for continuous scores it follows Beta(k, n0 + 1 - k) exactly. Members do not
    influence t, so their hits are binomial given t. Patients who share the score t are put in
    random order: the expected number of such members counts, and each bound rounds it outward.

    Attributes:
        hits: members whose score is at least the threshold.
        n1: members.
        k: the threshold is the k-th largest control score.
        n0: controls.
    """

    hits: float
    n1: int
    k: int
    n0: int

    @property
    def tpr(self) -> float:
        """Share of members caught."""
        return self.hits / self.n1

    @property
    def fpr(self) -> float:
        """Expected share of fresh controls caught."""
        return self.k / (self.n0 + 1)

    def tpr_bounds(self, level: float = 0.95) -> tuple[float, float]:
        """Returns lower and upper bound of the true-positive rate at this threshold."""
        low, _ = clopper_pearson(math.floor(self.hits), self.n1, level)
        _, high = clopper_pearson(math.ceil(self.hits), self.n1, level)
        return low, high

    def fpr_bounds(self, level: float = 0.95) -> tuple[float, float]:
        """Returns lower and upper bound of the false-positive rate at this threshold."""
        low, high = beta.ppf([1 - level, level], self.k, self.n0 + 1 - self.k)
        return float(low), float(high)

    @property
    def risk(self) -> float:
        """Residual risk R = (TPR - FPR) / (1 - FPR)."""
        return 1 - (1 - self.tpr) / (1 - self.fpr)

    def risk_bounds(self, level: float = 0.95) -> tuple[float, float]:
        """Returns lower and upper bound of R, by MOVER (Newcombe 1998) from those of the rates."""
        tpr_low, tpr_high = self.tpr_bounds(level)
        fpr_low, fpr_high = self.fpr_bounds(level)
        down = np.hypot(self.tpr - tpr_low, fpr_high - self.fpr)
        up = np.hypot(tpr_high - self.tpr, self.fpr - fpr_low)
        difference = self.tpr - self.fpr
        return float((difference - down) / (1 - self.fpr)), float(
            (difference + up) / (1 - self.fpr)
        )


def tail(scores: Scores, fpr: float = 0.05) -> Tail:
    """Returns the attack at the threshold whose expected false-positive rate is at most ``fpr``.

    Raises:
        ValueError: there are too few controls for such a threshold.
    """
    members, controls = scores.pooled()
    k = rank_at(fpr, len(controls))
    if k < 1:
        raise ValueError(f"{len(controls)} controls: too few for a false-positive rate of {fpr}")
    t = np.sort(controls)[-k]
    # Among c controls at t, the threshold is the j-th; j / (c + 1) of the members at t pass it.
    j, c = k - (controls > t).sum(), (controls == t).sum()
    hits = (members > t).sum() + (members == t).sum() * j / (c + 1)
    return Tail(float(hits), len(members), k, len(controls))


def rank_at(fpr: float, n0: int) -> int:
    """Returns k: fresh controls reach the k-th largest of n0 with a chance of at most ``fpr``."""
    return int(fpr * (n0 + 1) + 1e-9)


def exceedance_p(low: Callable[[float], float], limit: float) -> float:
    """Returns the smallest error level at which the lower bound ``low(1 - error)`` is above limit.

    This is the p-value of "the truth is at most the limit"; p-values above 0.5 become 0.5.
    """
    sure, doubtful = 1e-6, 0.5
    if low(1 - doubtful) <= limit:
        return doubtful
    for _ in range(25):
        middle = float(np.sqrt(sure * doubtful))
        sure, doubtful = (sure, middle) if low(1 - middle) > limit else (middle, doubtful)
    return doubtful


def holm(p: list[float]) -> list[float]:
    """Returns Holm's adjusted p-values, in the order given."""
    adjusted, worst = [0.0] * len(p), 0.0
    for done, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        worst = max(worst, min(1.0, (len(p) - done) * p[i]))
        adjusted[i] = worst
    return adjusted


def _rank_sum(x: Array, y: Array) -> float:
    """Returns the pairs in which x is larger, ties counted half (Mann-Whitney U)."""
    ranks = rankdata(np.concatenate([x, y]))
    return float(ranks[: len(x)].sum() - len(x) * (len(x) + 1) / 2)


def _array(x: Tensor) -> Array:
    return x.detach().cpu().double().numpy()


def _numpy_rng(rng: torch.Generator) -> np.random.Generator:
    return np.random.default_rng(int(torch.randint(2**62, (), generator=rng)))
