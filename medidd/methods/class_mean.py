"""Class means, a baseline.

DM (Zhao & Bilen, WACV 2023, arXiv:2110.04181) comes to it if the features are the pixels.

Learns: images.
Costs: one question about all real images. No network is trained.

All images of a class are the same: the mean of its films. Whatever is better than this has learned
more than an average, and a method that is not better is not worth its privacy.

From the authors: what is matched. Ours: the closed form. Films are bounded by the display range,
around the gray in its middle, so that a private source knows how far one film can move a mean.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from medidd.data import Question, Source, SyntheticSet
from medidd.descent import toward
from medidd.distill import Preset
from medidd.project import projected


@dataclass(frozen=True)
class ClassMean:
    """Class means.

    Attributes:
        steps: 1; more change nothing.
    """

    paper: ClassVar[Preset] = {1: {}}
    private: ClassVar[Mapping[str, Any]] = {}

    steps: int = 1

    def releases(self, classes: int) -> int:  # noqa: ARG002
        """Returns the calls of ``means`` in a run: one, however many updates."""
        return 1

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        """Returns SGD over the images whose one step of size 1 takes them to the means."""
        return projected(torch.optim.SGD([synthetic.images], lr=1.0), synthetic)

    def losses(
        self,
        synthetic: SyntheticSet,
        real: Source,
        rng: torch.Generator,  # noqa: ARG002 - nothing here is random
    ) -> Iterator[Tensor]:
        """Yields half the squared distance between images and means, the mean over pixels."""
        s, scale = synthetic, synthetic.normalization
        low, high = scale.limits(s.images)
        gray, half = (low + high) / 2, (high - low) / 2
        bound: float | None = s.images[0].numel() ** 0.5
        if not half.isfinite().all():  # unbounded images, as in the papers
            gray, half, bound = torch.zeros_like(half), torch.ones_like(half), None

        def film(x: Tensor, _: Tensor) -> Tensor:
            x = (x - gray) / half
            return (x if bound is None else x.clamp(-1, 1)).mean(0)

        questions = [Question(film, (label,), bound=bound) for label in range(real.classes)]
        # A batch larger than any class is the whole of it.
        means = torch.stack(real.means(questions, size=sys.maxsize)) * half + gray
        there = scale.bounded(means.to(s.images)).repeat_interleave(s.ipc, 0)
        for _ in range(self.steps):
            away = s.images.detach() - there
            yield toward(away.square().mean() / 2, [(s.images, away)])  # the caller steps S here
