"""The Gaussian mechanism over patients: clip each patient, add up, add noise once.

The account (``accounting.py``) speaks of exact real numbers. To make it true of computed ones, each
clipped vector is cut to a grid of 2^-32 of the clip, towards zero, so that it does not grow. Sums
of such numbers are exact in float64, in any order, up to a million patients. The noise is rounded
to the same grid. So the answer is the exact answer of the mechanism, rounded; and rounding a
private answer is harmless. The last bits of a number, which give the original away in plain
floating-point mechanisms (Mironov, CCS 2012), do not leave. The discrete Gaussian (Canonne, Kamath
& Steinke, NeurIPS 2020) would do the same with exact integers, but its rejection sampling takes
longer for some values than for others. What remains is that noise is made of 53-bit draws: see
``noise.py``.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor

from privacy.dp.accounting import Series
from privacy.dp.noise import gaussian, uniform

Patient = TypeVar("Patient")

GRID = 2.0**-32
"""Distance of the numbers that answers are made of, in units of the clip."""

MARGIN = 1 - 2.0**-30
"""A vector is clipped to this share of the clip, so that rounding cannot lift its norm above it."""


class BudgetSpentError(Exception):
    """One release more than the account covers was asked for."""


class PatientGaussian:
    """Noisy sums over patients, each of whom moves the sum by no more than the clip.

    Attributes:
        clip: C, the largest Euclidean norm of a patient's vector.
        series: noise, number of releases and rate, as accounted.
        patients: n, a public round number of patients, which the user declares. Never the number
            there are: that would be a private number.
        made: releases made so far.
    """

    def __init__(self, series: Series, patients: float, clip: float = 1.0) -> None:
        if not (clip > 0 and patients > 0):
            raise ValueError(f"clip and patients must be above 0, not {clip} and {patients}")
        self.series, self.patients, self.clip, self.made = series, patients, clip, 0

    @property
    def divisor(self) -> float:
        """Public number that sums are divided by: q n."""
        return self.series.rate * self.patients

    @property
    def noise(self) -> float:
        """Standard deviation of the noise in each number of an answer."""
        return self.series.sigma * self.clip / self.divisor

    def release(
        self, patients: Iterable[Patient], vector: Callable[[Patient], Tensor], size: int
    ) -> Tensor:
        """Returns the noisy sum of the patients' vectors over q n, (size,), float64.

        Args:
            patients: all patients, each once; none is allowed.
            vector: a patient's vector, (size,). It must depend on this patient alone. It is asked
                only for the patients that the coins choose.
            size: numbers in a vector.

        Raises:
            BudgetSpentError: all releases of the account are made.
        """
        if self.made >= self.series.releases:
            raise BudgetSpentError(f"all {self.series.releases} releases of the budget are made")
        self.made += 1
        total = torch.zeros(size, dtype=torch.float64)
        for patient in patients:
            if self._takes_part():
                total += self.clipped(vector(patient))
        noise = torch.from_numpy(gaussian(size)) * (self.series.sigma / GRID)
        return (total + noise.round()) * (GRID * self.clip / self.divisor)

    def clipped(self, vector: Tensor) -> Tensor:
        """Returns a vector of norm at most C, in units of the grid: whole numbers, float64.

        A number that is not finite becomes 0. An error would say that this patient is there.
        """
        exact = torch.nan_to_num(vector.detach().cpu().double(), nan=0.0, posinf=0.0, neginf=0.0)
        norm = float(exact.norm())
        unit = 1 / (GRID * self.clip)
        shrink = min(1.0, MARGIN * self.clip / norm) if norm else 1.0
        return (exact * (unit * shrink)).trunc()

    def _takes_part(self) -> bool:
        return self.series.rate >= 1 or float(uniform(1)[0]) < self.series.rate
