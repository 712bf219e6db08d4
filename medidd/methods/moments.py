"""Moments: kernel inducing points on a finite feature map.

Ours, with the loss of KIP (Nguyen, Chen & Lee, ICLR 2021, Algorithm 1, arXiv:2011.00050).

Learns: images.
Costs: one question about all real images: class means and one second moment of d public features.
Then ``refined`` steps of RFAD on images drawn from the answer, which ask nothing of the real ones.

Regression from S in d features predicts W_S^T phi(x). Its error on the real images,

    L(S) = 1/2 mean | W_S^T phi(x) - y |^2,

depends on them by the means of phi in each class and by the mean of phi phi^T alone. So both are
asked once, and the rest is arithmetic that costs a private source nothing: the best regression W,
and images from which the same W follows. These images are class means plus deviations. Image j of
each class deviates alike, along the directions in which films of one class differ most, so that a
network trained on S learns what to ignore. Deviations are moved along the class means until W does
not see them. Then hard labels are exact, and W_S = W.

A network learns less from a few such images than W knows. So they move on by steps of RFAD (Loo et
al., NeurIPS 2022, arXiv:2210.12067) on images drawn from the Gaussians that the answer describes.
Every step is confined to the moves that leave W as it is (``medidd.features.Kept``).

From the authors: the loss, and centred labels. Ours: the features, closed forms in place of steps,
the refinement, and all that follows from noise. Nothing here is told how noisy the answer is. So
the question contains numbers that are 0 for every film; what comes back for them is the noise.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any, ClassVar

import torch
from torch import Tensor

from medidd.data import Question, Source, SyntheticSet
from medidd.descent import toward
from medidd.distill import Preset, distill
from medidd.features import ROUNDING, Features, Kept, regression, unclipped
from medidd.methods.rfad import RFAD
from medidd.network import Network
from medidd.project import projected
from medidd.surrogate import Statistics, Surrogate

PROBES = 256
"""Numbers that are asked about and are 0 for every film; they tell the noise to 5 %."""

FEWEST = 0.02
"""Least share of a class among all; noise can make the counted share of a small class negative."""

FLOOR = 1e-3
"""The ridge without noise, in units of the mean variance of a feature."""

Answer = dict[str, Tensor]


@dataclass(frozen=True)
class Moments:
    """Moments.

    Attributes:
        features: phi, of public constants; linear where it is not clipped.
        network: whose features RFAD regresses on.
        steps: 1; more change nothing.
        ridge: what is added to the variances, in units of the greatest that noise alone gives.
        spread: of the deviations of S, in units of those of the films.
        tilt: of the difference that W sees between classes, what lies where S would not vary else.
        lean: of one image per class, from the class mean (0) to where W is exact (1).
        counts: weight of the counts in the question.
        first: weight of the class means in the question.
        second: weight of the second moment in the question.
        refined: steps of RFAD after the closed form; 0 for none.
        lr_images: its learning rate at the first step.
        drawn: images drawn per class and such step.
    """

    paper: ClassVar[Preset] = {1: {}}
    private: ClassVar[Mapping[str, Any]] = {}
    classifies_by: ClassVar[str] = "regression on features"

    features: Features
    network: Network
    steps: int = 1
    ridge: float = 0.5
    spread: float = 1.0
    tilt: float = 0.1
    lean: float = 0.9
    counts: float = 0.2
    first: float = 1.0
    second: float = 1.0
    refined: int = 150
    lr_images: float = 0.02
    drawn: int = 64

    def __post_init__(self) -> None:
        for name in ("ridge", "tilt", "counts", "first", "second"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")

    def releases(self, classes: int) -> int:  # noqa: ARG002
        """Returns the calls of ``means`` in a run: one, however many updates."""
        return 1

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        """Returns SGD over the images whose one step of size 1 takes them where they belong."""
        return projected(torch.optim.SGD([synthetic.images], lr=1.0), synthetic)

    def losses(
        self, synthetic: SyntheticSet, real: Source, rng: torch.Generator
    ) -> Iterator[Tensor]:
        """Yields the error before the step; its gradient is the way to the images."""
        s = synthetic
        known = self.asked(real, s.images)
        deviations = self._deviations(known, s.ipc).expand(s.classes, -1, -1)
        there = self._images(known, s, deviations)
        if self.refined:
            there = self._refined(known, replace(s, images=there), rng)
        for _ in range(self.steps):
            with torch.no_grad():
                before = error(regression(self.features, s)[:2], known)
            yield toward(before, [(s.images, s.images - there)])  # the caller steps S here

    def asked(self, real: Source, like: Tensor) -> Statistics:
        """Asks once, and makes of the answer what can be known.

        Args:
            real: T.
            like: images of the same shape.
        """
        d, weights = (
            self.features.dim(like.shape[1:]),
            (self.counts, self.first, self.second),
        )
        row, column = torch.triu_indices(d, d, device=like.device)
        # Both halves of the matrix count in its norm, so that this vector's norm is the same.
        twice = torch.where(row == column, 1.0, sqrt(2)).to(like.device, torch.double)

        def moments(x: Tensor, y: Tensor) -> Answer:
            # Means are subtracted from moments later, which would cost single precision its digits.
            x, y = x.double(), y.double()
            phi = self.features(x)
            square = phi.T @ phi / len(x)
            return {
                "counts": self.counts * y.mean(0),
                "first": self.first * y.T @ phi / len(x),
                "second": self.second * twice * square[row, column],
                "probes": torch.zeros(PROBES).to(x),
            }

        bound = sum(weight**2 for weight in weights) ** 0.5
        question = Question(moments, tuple(range(real.classes)), bound=bound)
        # A batch larger than T is the whole of it.
        (answer,) = real.means([question], size=sys.maxsize)
        second = torch.zeros(d, d).to(answer["second"])
        second[row, column] = second[column, row] = answer["second"] / twice / self.second
        shares = (answer["counts"] / self.counts).clamp(min=FEWEST)
        means = answer["first"] / self.first / shares[:, None]
        shares = shares / shares.sum()
        within = second - means.T @ (shares[:, None] * means)
        noise = answer["probes"].square().mean().sqrt().item() / self.second
        return Statistics(shares, means, within, noise)

    def solution(self, known: Statistics) -> Tensor:
        """Returns W, (d, K): from a feature vector minus the middle to a centred label.

        It is right at each class mean, and of all that are the least sure elsewhere: linear
        discriminant analysis, with variances raised by the ridge.
        """
        apart = known.means - known.means.mean(0)
        values, axes = torch.linalg.eigh(known.within)
        floor = self.ridge * known.edge + FLOOR * values.clamp(min=0).mean()
        direction = axes / (values.clamp(min=0) + floor) @ axes.T @ apart.T
        labels = torch.eye(len(apart)).to(apart) - 1 / len(apart)
        w: Tensor = direction @ torch.linalg.pinv(apart @ direction, rtol=1e-10) @ labels
        return w

    @torch.no_grad()
    def _images(self, known: Statistics, s: SyntheticSet, deviations: Tensor) -> Tensor:
        """Returns the images from which regression finds W, (K * ipc, C, H, W).

        Args:
            known: the real images.
            s: S.
            deviations: what images add to their class mean, (K, ipc, d); changed where they must.
        """
        middle, w = known.means.mean(0), self.solution(known)
        apart = known.means - middle
        deviations = deviations - deviations @ w @ apart  # now W does not see them
        deviations, rest = self._with_rest(w.T, apart, deviations)
        rest = rest - rest @ w @ apart
        phi = middle + apart[:, None] + deviations + rest  # (K, ipc, d)
        return self._shown(s, self.features.pixels(phi.flatten(0, 1), s.images.double()))

    def _shown(self, s: SyntheticSet, pixels: Tensor) -> Tensor:
        """Returns images as large as can be shown, and as features see them without clipping.

        One factor for all keeps the directions, and so W, where clipping would not.
        """
        low, high = s.normalization.limits(pixels)
        shown: Tensor = pixels / torch.maximum(pixels / high, pixels / low).max().clamp(min=1)
        shown = shown / unclipped(self.features, shown).norm(dim=1).max().clamp(min=1)
        return shown.to(s.images)

    def _with_rest(self, w: Tensor, apart: Tensor, deviations: Tensor) -> tuple[Tensor, Tensor]:
        """Returns deviations, and what images need beside them so that W, (K, d), can follow.

        Some images of a class get more of the part of W that is in neither and others less, so that
        the class means stay. Classes must not differ in that pattern otherwise. A class of one
        image cannot do that: it leans from its mean towards W.

        Returns:
            Both (K, ipc, d).
        """
        ipc, contrast = deviations.shape[1], 1 - 1 / len(w)
        sign = waves(ipc, 1).to(w) if ipc > 1 else torch.ones(1, 1).to(w)  # (ipc, 1)
        pattern = (sign * deviations).mean(1, keepdim=True)
        deviations = deviations - sign * (pattern - pattern.mean(0))
        rest = w - projected_on(w, torch.cat([apart, deviations.flatten(0, 1)]))
        seen, whole = (rest * w).sum(1), w.square().sum(1)
        seen = seen.where(seen > ROUNDING**2 * whole, torch.inf)  # nothing but rounding: none
        size = self.tilt if ipc > 1 else self.lean * (seen / whole).clamp(max=1)
        return deviations, sign * (size * contrast / seen)[:, None, None] * rest[:, None]

    def _refined(self, known: Statistics, s: SyntheticSet, rng: torch.Generator) -> Tensor:
        """Returns the images after RFAD, (K * ipc, C, H, W); the regression from them stays."""
        kept = Kept.of(self.features, s)

        @torch.no_grad()
        def keep(_: int) -> None:
            s.images.copy_(kept(s.images))

        rfad = RFAD(self.network, self.refined, lr_images=self.lr_images, batch=self.drawn)
        drawn = Surrogate(known, self.features, s, rng)
        list(distill(rfad, s, drawn, steps=self.refined, rng=rng, between=keep))
        return self._shown(s, s.images.detach().double())

    def _deviations(self, known: Statistics, ipc: int) -> Tensor:
        """Returns what image j of every class adds to the class mean, (ipc, d)."""
        values, axes = known.principal()
        many = min(ipc - 1, len(values))
        signs = waves(ipc, many).to(axes)
        deviations: Tensor = self.spread * signs * values[:many].sqrt() @ axes[:, :many].T
        return deviations

    def classifier(
        self,
        synthetic: SyntheticSet,
        rng: torch.Generator,  # noqa: ARG002
    ) -> Callable[[Tensor], Tensor]:
        """Returns the regression from S, which is not random."""
        w, middle, _ = regression(self.features, synthetic)

        @torch.no_grad()
        def classify(images: Tensor) -> Tensor:
            scores = (self.features(images.double()) - middle) @ w
            return scores.softmax(1).to(images)

        return classify


def error(regression: tuple[Tensor, Tensor], known: Statistics) -> Tensor:
    """Returns half the mean squared error of a regression on the real images, ().

    Args:
        regression: W (d, K), and the features (d,) at which it predicts all classes alike.
        known: the real images.
    """
    w, middle = regression
    labels = torch.eye(len(known.means)).to(w) - 1 / len(known.means)
    bias = (known.means - middle) @ w - labels  # (K, K)
    variance = (w * (known.within @ w)).sum()
    return ((known.shares[:, None] * bias.square()).sum() + variance) / (2 * len(labels))


def projected_on(rows: Tensor, others: Tensor) -> Tensor:
    """Returns each row's nearest combination of other rows, (n, d)."""
    nearest: Tensor = rows @ torch.linalg.pinv(others, rtol=1e-10) @ others
    return nearest


def waves(n: int, many: int) -> Tensor:
    """Returns columns (n, many) with mean 0 and variance 1, orthogonal to each other; many < n."""
    j = torch.arange(n, dtype=torch.double)[:, None]
    k = torch.arange(1, many + 1, dtype=torch.double)
    columns: Tensor = sqrt(2) * torch.cos(torch.pi * (j + 0.5) * k / n)
    return columns
