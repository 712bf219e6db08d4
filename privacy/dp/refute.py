"""Tries to refute a guarantee by running the mechanism that makes it.

The attacker knows all patients but one and asks whether he is there. The real source answers for a
cohort with him and for one without him, many times. A third of the answers show in which direction
the two differ; on the others, a lower bound of mu is computed. If it is above the claim, the claim
is wrong. If it is not, nothing is proved: only the derivation proves a guarantee.

mu is bounded, not epsilon: at epsilon 10 thousands of trials cannot prove an epsilon of more than
5, but halved noise shows clearly in mu (Nasr et al., USENIX Security 2023, arXiv:2302.07956).
"""

import math
import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from scipy.stats import norm
from torch import Tensor

from privacy.dp.accounting import Series
from privacy.dp.layout import Layout
from privacy.dp.mechanism import PatientGaussian
from privacy.dp.neighbours import PAIRS, Cohort, Pair
from privacy.dp.source import PrivateSource
from privacy.statistics.scores import clopper_pearson

TRIALS = 2_000
"""Runs of each cohort; enough to find halved noise at epsilon 1."""

LEAST = 150
"""Runs of each cohort if many questions are asked in a run."""

ERROR = 1e-4
"""Chance that a correct mechanism is called wrong, over all pairs together."""

PATIENTS = 10
"""Declared number of patients. It scales the answers and changes nothing else."""

Make = Callable[[Cohort, Series, Path | None], PrivateSource]
"""Makes the source under test for a cohort, with a folder for its answers."""


def make_source(cohort: Cohort, series: Series, store: Path | None) -> PrivateSource:
    """Makes the source as it is used for films."""
    return PrivateSource(
        cohort.images,
        cohort.labels,
        cohort.patients,
        cohort.classes,
        PatientGaussian(series, PATIENTS),
        PHANTOMS,
        store,
    )


PHANTOMS = torch.zeros(1, 1, 1, 2)


@dataclass(frozen=True)
class Attempt:
    """What one pair of cohorts shows.

    Attributes:
        pair: what the patient is like.
        proved: lower bound of mu.
        claimed: mu of the account.
    """

    pair: str
    proved: float
    claimed: float

    @property
    def refuted(self) -> bool:
        """Whether the account is wrong."""
        return self.proved > self.claimed

    def __str__(self) -> str:
        said = "refuted" if self.refuted else "not refuted"
        return f"{self.pair}: mu is at least {self.proved:.2f}, claimed {self.claimed:.2f}; {said}"


@dataclass(frozen=True)
class Refutation:
    """The attempts over all pairs.

    Attributes:
        attempts: one per pair.
        trials: runs of each cohort.
        error: chance that a correct mechanism is called wrong.
    """

    attempts: tuple[Attempt, ...]
    trials: int
    error: float

    @property
    def refuted(self) -> bool:
        """Whether any attempt refutes the claim."""
        return any(attempt.refuted for attempt in self.attempts)

    def __str__(self) -> str:
        wrong = [attempt for attempt in self.attempts if attempt.refuted]
        if wrong:
            return "The guarantee is wrong: " + "; ".join(str(attempt) for attempt in wrong)
        return (
            f"No attempt refuted the guarantee ({len(self.attempts)} pairs of cohorts, "
            f"{self.trials} runs of each; a correct one would be called wrong with a chance of "
            f"{self.error:g}). This is a test of the program, not a proof."
        )


def refute(
    series: Series,
    make: Make = make_source,
    pairs: Sequence[Pair] = PAIRS,
    trials: int = TRIALS,
    error: float = ERROR,
) -> Refutation:
    """Tries to refute one release of a series on every pair of cohorts.

    Args:
        series: the claim. One release to everybody is tested, because releases share nothing but
            their number, and a coin that leaves a patient out only helps him.
        make: the source under test.
        pairs: the cohorts.
        trials: runs of each cohort.
        error: chance that a correct mechanism is called wrong.
    """
    single = Series(series.sigma)
    attempts = []
    for pair in pairs:
        runs = trials if pair.asks == 1 else min(trials, max(LEAST, trials // pair.asks))
        inside = answers(pair, pair.with_patient, single, make, runs)
        outside = answers(pair, pair.without, single, make, runs)
        proved = mu_low(inside, outside, error / len(pairs))
        attempts.append(Attempt(pair.name, proved, single.mu))
    return Refutation(tuple(attempts), trials, error)


def answers(pair: Pair, cohort: Cohort, series: Series, make: Make, runs: int) -> Tensor:
    """Returns what the attacker sees in each run, (runs, size).

    It is the whole noisy vector, from which the answers to a method are computed; the mean of all
    that he got, if he asked several times.
    """
    layout = Layout(pair.questions, cohort.classes, PHANTOMS, clip=1.0)
    seen = torch.empty(runs, layout.size, dtype=torch.float64)
    for run in range(runs):
        with tempfile.TemporaryDirectory() if pair.restarts else nullcontext() as folder:
            store = None if folder is None else Path(folder)
            source = make(cohort, series, store)
            seen[run] = source.release(layout)
            for _ in range(pair.asks - 1):
                if pair.restarts:
                    source = make(cohort, series, store)
                seen[run] += source.release(layout)
    return seen / pair.asks


def mu_low(inside: Tensor, outside: Tensor, error: float) -> float:
    """Returns a lower bound of mu from answers with and without the patient, (runs, size) each.

    The first third of the runs shows how the two differ, the others give the bound. The largest of
    three bounds that share the error: one for Gaussian answers, as those of a correct mechanism
    are, and two for answers of any kind, of which the last sees a difference in the noise alone.
    """
    third, share = len(inside) // 3, error / 3
    first, second = inside[:third].mean(0), outside[:third].mean(0)
    sides = [side @ (first - second) for side in (inside, outside)]
    middle = (first + second) / 2
    spreads = [(side - middle).square().sum(1) for side in (inside, outside)]
    return max(
        _gaussian(sides[0][third:], sides[1][third:], share),
        *(_counted(members, controls, third, share) for members, controls in (sides, spreads)),
    )


def _gaussian(members: Tensor, controls: Tensor, error: float) -> float:
    """Difference of the means over the standard deviation.

    Times sqrt(n / 2) it follows a noncentral t distribution; its bound is that of Abramowitz &
    Stegun 26.7.10, which errs by less than a thousandth from a hundred runs on.
    """
    n = len(members)
    gap = float(members.mean() - controls.mean())
    spread = math.sqrt((float(members.var()) + float(controls.var())) / 2)
    if not spread:
        return math.inf if gap > 0 else 0.0
    seen, freedom = gap / spread * math.sqrt(n / 2), 2 * n - 2
    width = float(norm.isf(error)) * math.sqrt(1 + seen**2 / (2 * freedom))
    return max(0.0, (seen * (1 - 1 / (4 * freedom)) - width) / math.sqrt(n / 2))


def _counted(members: Tensor, controls: Tensor, third: int, error: float) -> float:
    """Phi^-1(caught) - Phi^-1(false alarms), each at its worst (Clopper-Pearson).

    The first third of the runs sets the threshold, half way between the medians, and the side.
    """
    ends = members[:third].median(), controls[:third].median()
    sign, threshold = (1 if ends[0] > ends[1] else -1), (ends[0] + ends[1]) / 2
    hits, alarms = (int((sign * (x[third:] - threshold) > 0).sum()) for x in (members, controls))
    n = len(members) - third
    caught, _ = clopper_pearson(hits, n, 1 - error / 2)
    _, alarmed = clopper_pearson(alarms, n, 1 - error / 2)
    return max(0.0, float(norm.ppf(caught) - norm.ppf(alarmed))) if caught else 0.0
