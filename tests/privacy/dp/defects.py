"""Known ways to get privacy wrong, each planted in the real source."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from privacy.dp.accounting import Series
from privacy.dp.layout import Layout
from privacy.dp.mechanism import GRID, PatientGaussian
from privacy.dp.neighbours import Cohort
from privacy.dp.refute import PATIENTS, PHANTOMS
from privacy.dp.source import PrivateSource


class NoClip(PatientGaussian):
    def clipped(self, vector: Tensor) -> Tensor:
        return (vector / (GRID * self.clip)).trunc()


class CountedDivisor(PatientGaussian):
    """Divides by the number of patients there are, as Opacus's make_private does."""

    def release(
        self, patients: Iterable[Any], vector: Callable[[Any], Tensor], size: int
    ) -> Tensor:
        there = list(patients)
        return super().release(there, vector, size) * self.patients / max(len(there), 1)


class NoiseRedrawn(PrivateSource):
    """Keeps the sum and draws new noise whenever it is asked."""

    def release(self, layout: Layout) -> Tensor:
        self._mechanism.made = 0
        return self.noisy(layout)


class ClippedByFilm(PrivateSource):
    def vector(self, layout: Layout, films: list[int]) -> Tensor:
        clip = self._mechanism.clip
        each = [super(ClippedByFilm, self).vector(layout, [film]) for film in films]
        return sum((v * min(1, clip / float(v.norm())) for v in each), torch.zeros(layout.size))


class ClippedByClass(PrivateSource):
    def vector(self, layout: Layout, films: list[int]) -> Tensor:
        v, clip, k = super().vector(layout, films), self._mechanism.clip, self.classes
        total = torch.zeros_like(v)
        for label in range(k):
            part = torch.zeros_like(v)
            mine = [label, *range(k + 2 * label, k + 2 * label + 2)]
            part[mine] = v[mine]
            total += part * min(1, clip / max(float(part.norm()), 1e-12))
        return total


class Unclipped(PatientGaussian):
    """Takes vectors that were clipped before."""

    clipped = NoClip.clipped


def planted(
    source: type[PrivateSource] = PrivateSource,
    mechanism: type[PatientGaussian] = PatientGaussian,
    noise: float = 1.0,
) -> Callable[[Cohort, Series, Path | None], PrivateSource]:
    def make(cohort: Cohort, series: Series, store: Path | None) -> PrivateSource:
        return source(
            cohort.images,
            cohort.labels,
            cohort.patients,
            cohort.classes,
            mechanism(Series(series.sigma * noise), PATIENTS),
            PHANTOMS,
            store,
        )

    return make


DEFECTS = {
    "noise redrawn": planted(NoiseRedrawn),
    "no clip": planted(mechanism=NoClip),
    "clip per film": planted(ClippedByFilm, Unclipped),
    "clip per class": planted(ClippedByClass, Unclipped),
    "half the noise": planted(noise=0.5),
    "divisor counted": planted(mechanism=CountedDivisor),
}
