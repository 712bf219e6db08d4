"""What a guarantee is and what it means: (epsilon, delta) per patient, and an attacker's best.

Neighbours are two cohorts of which one has one patient more, with all his films. The guarantee
speaks of everything that is computed from the noisy answers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from privacy.dp import gaussian
from privacy.dp.sampled import curve, epsilon_bound, sigma_bound


@dataclass(frozen=True)
class Series:
    """Releases with the same noise.

    Attributes:
        sigma: standard deviation of the noise in units of the clip.
        releases: T, how often the patients are asked.
        rate: q, the chance that a patient takes part in a release; 1 for everybody always.
    """

    sigma: float
    releases: int = 1
    rate: float = 1.0

    def __post_init__(self) -> None:
        if not (self.sigma > 0 and self.releases >= 1 and 0 < self.rate <= 1):
            raise ValueError(f"noise above 0, releases from 1, a rate in (0, 1]; got {self}")

    @property
    def mu(self) -> float:
        """How far apart a patient's presence and absence can be told, if everybody takes part."""
        return math.sqrt(self.releases) / self.sigma


def series_for(epsilon: float, delta: float, releases: int = 1, rate: float = 1.0) -> Series:
    """Returns the series with the least noise that keeps (epsilon, delta).

    Exact if everybody takes part; otherwise up to 1 % more noise than needed.
    """
    if rate < 1:
        return Series(sigma_bound(epsilon, delta, rate, releases), releases, rate)
    return Series(math.sqrt(releases) / gaussian.mu_of(epsilon, delta), releases)


@dataclass(frozen=True)
class Guarantee:
    """What all releases together keep.

    Attributes:
        history: every series of releases about these patients.
        delta: chance that is left out of epsilon; at most one in ten times the patients.
    """

    history: tuple[Series, ...]
    delta: float

    @classmethod
    def of(cls, history: Sequence[Series], delta: float) -> "Guarantee":
        """Returns the guarantee of several series."""
        return cls(tuple(history), delta)

    @property
    def mu(self) -> float | None:
        """The Gaussian trade-off, exact; None if patients are drawn by coin."""
        if any(series.rate < 1 for series in self.history):
            return None
        return math.hypot(*(series.mu for series in self.history))

    @cached_property
    def epsilon(self) -> float:
        """Epsilon at ``delta``; exact or, if patients are drawn by coin, an upper bound."""
        return self.epsilon_at(self.delta)

    def epsilon_at(self, delta: float) -> float:
        """Returns epsilon at another delta."""
        if self.mu is not None:
            return gaussian.epsilon_of(self.mu, delta)
        return epsilon_bound(self._triples, delta)

    @property
    def _triples(self) -> list[tuple[float, float, int]]:
        return [(series.sigma, series.rate, series.releases) for series in self.history]

    @cached_property
    def _curve(self) -> tuple[tuple[float, float], ...]:
        """Some pairs (epsilon, delta) that hold, for patients drawn by coin."""
        deltas = [float(delta) for delta in np.geomspace(1e-6, 0.5, 48)]
        return tuple(zip(curve(self._triples, deltas), deltas, strict=True))

    def tpr(self, fpr: float) -> float:
        """Returns the largest share of members that any attack catches at some false alarms.

        If patients are drawn by coin: the least of e^eps FPR + delta and 1 - (1 - FPR - delta) /
        e^eps over several pairs (Kairouz, Oh & Viswanath 2015), which is a bound, not the value.
        """
        if self.mu is not None:
            return gaussian.tpr_of(self.mu, fpr)
        return min(
            min(1.0, math.exp(eps) * fpr + delta, 1 - (1 - fpr - delta) / math.exp(eps))
            for eps, delta in self._curve
        )

    @property
    def auc(self) -> float:
        """The largest AUC of any attack, or a bound of it if patients are drawn by coin."""
        if self.mu is not None:
            return gaussian.auc_of(self.mu)
        # The right end of each step: the true curve rises, so this is never too small.
        ends = np.linspace(0, 1, 401)[1:]
        return float(np.mean([self.tpr(float(end)) for end in ends]))

    def exposed(self, fpr: float = 0.05) -> float:
        """Returns the largest share exposed beyond chance, R = (TPR - FPR) / (1 - FPR)."""
        return (self.tpr(fpr) - fpr) / (1 - fpr)

    def meets(self, residual_risk: float, fpr: float = 0.05) -> bool:
        """Whether no attack can expose more than this share, which the policy allows."""
        return self.exposed(fpr) <= residual_risk

    @property
    def needs_override(self) -> bool:
        """Whether epsilon is so large that a person must accept it by name."""
        return self.epsilon > WEAK


STRONG, MODERATE, WEAK = 1.0, 3.0, 10.0
"""Largest epsilon of each word."""


def strength(epsilon: float) -> str:
    """Returns how strong an epsilon is, in words; what was computed may be off by rounding."""
    epsilon -= 1e-9
    if epsilon <= STRONG:
        return "strong"
    if epsilon <= MODERATE:
        return "moderate"
    if epsilon <= WEAK:
        return "weak against membership inference, but bounds reconstruction"
    return "no protection against membership inference worth the name"
