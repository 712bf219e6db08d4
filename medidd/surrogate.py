"""A stand-in for the real images: drawn from what their moments tell, and so free of charge.

Whatever is made from an answer that has been given costs no privacy. So a method that knows class
means and one covariance may ask the Gaussians that have them as often as it likes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import torch
from torch import Tensor

from medidd.data import Question, Statistic, SyntheticSet
from medidd.features import Features


@dataclass(frozen=True)
class Statistics:
    """What is known of the real images.

    Attributes:
        shares: of each class among all, (K,), above 0; they sum to one.
        means: class means of the features, (K, d).
        within: second moment of the deviations from them, (d, d); noise can make it indefinite.
        noise: standard deviation of the noise on its diagonal; off it, less by sqrt 2.
    """

    shares: Tensor
    means: Tensor
    within: Tensor
    noise: float

    @property
    def edge(self) -> float:
        """The greatest eigenvalue that noise alone would give ``within`` (Wigner 1955)."""
        return self.noise * sqrt(2 * len(self.within))

    def principal(self) -> tuple[Tensor, Tensor]:
        """Returns variances (d,), greatest first, and their directions, the columns (d, d).

        A variance above the noise's edge is too large by what noise adds to it
        (Benaych-Georges & Nadakuditi 2011); one below tells nothing and becomes 0.
        """
        values, axes = torch.linalg.eigh(self.within)
        values, axes = values.flip(0), axes.flip(1)
        axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
        excess = (values.square() - self.edge**2).clamp(min=0)
        return torch.where(values > self.edge, (values + excess.sqrt()) / 2, 0.0), axes

    def spread(self) -> Tensor:
        """Returns the root of the covariance without its noise, (d, d).

        Noise hardly moves the sum of all variances. What the known ones leave of it is shared
        among the other directions alike.
        """
        values, axes = self.principal()
        left, rest = self.within.trace() - values.sum(), values <= 0
        values = torch.where(rest, left.clamp(min=0) / rest.sum().clamp(min=1), values)
        root: Tensor = axes * values.sqrt() @ axes.T
        return root


@dataclass(frozen=True)
class Surrogate:
    """A source of images that nobody took; see ``medidd.data.Source``.

    Attributes:
        known: the moments that the images have.
        features: of which these are moments.
        like: S, whose images have the shape and the limits of those to draw.
        rng: draws them, afresh for every question.
    """

    known: Statistics
    features: Features
    like: SyntheticSet
    rng: torch.Generator

    @property
    def classes(self) -> int:
        """K, the number of classes."""
        return len(self.known.means)

    @cached_property
    def _spread(self) -> Tensor:
        return self.known.spread()

    def means(self, questions: Sequence[Question[Statistic]], *, size: int) -> list[Statistic]:
        """Returns each ``f`` of ``size`` fresh images; a question's classes take turns."""
        images, spread, answers = self.like.images.detach(), self._spread, []
        for question in questions:
            labels = torch.tensor(question.classes).repeat(size)[:size]
            off = torch.randn(size, len(spread), generator=self.rng, dtype=torch.double)
            phi = self.known.means[labels.to(spread.device)] + off.to(spread) @ spread
            phi = phi / phi.norm(dim=1, keepdim=True).clamp(min=1)
            x = self.like.normalization.bounded(self.features.pixels(phi, images))
            with torch.no_grad():
                answers.append(question.f(x, torch.eye(self.classes)[labels].to(x)))
        return answers
