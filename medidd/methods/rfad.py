"""RFAD: Efficient Dataset Distillation using Random Feature Approximation.

Loo, Hasani, Amini & Rus, NeurIPS 2022, arXiv:2210.12067.

Learns: images, and labels if asked.
Costs: each step takes the features of `batch` real images per class, and no gradient of them; no
network is trained.

KIP replaces the training of a network by kernel regression, and its kernel needs an integral over
all networks. RFAD draws a few networks instead, never trains them, and regresses on their features.
Let phi be the features of S and h those of a real image:

    W    = phi^T (phi phi^T + lambda tr(phi phi^T) / n I)^-1 y_s
    L(S) = 1/2 mean | h W - y_t |^2

The networks are drawn afresh at every step, so S cannot suit just some of them. Real images are in
L by their features alone, and S by W alone. So T is asked for one matrix, the mean of h^T (h W -
y_t), and the way from W to the images needs no real image.

From the authors: fresh networks at every step, centred labels that stay hard unless asked, a ridge
scaled by the trace, float64 for the regression, squared error. Ours: networks with instance norm,
as everywhere here (theirs have none, and are twice as wide); one per step, not eight, and a batch
of 128 per class, not 5,120 in all; Adam, not AdaBelief; S begins as the images of `moments`,
because 300 steps from noise ended at an AUC of .83 on drawn films and from there at .96 (from
noise, take lr_images=0.1 and many more steps); the siamese augmentation of DSA; learning rates that
fall to 0 along a cosine; images within the display range, learned labels on the simplex; no
cross-entropy with a learned temperature, no learned map of the pixels, no constant in the kernel,
no choice of an iterate by its error. The authors' figures are those of the regression with
infinitely many networks; ours, `classifier`, has eight. benchmarks/README.md has them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from medidd.augment import RADIOGRAPH, Operations, draw
from medidd.data import Source, SyntheticSet, balanced
from medidd.descent import toward
from medidd.distill import Preset
from medidd.kernels import RIDGE, centered, on_features, require_ridge
from medidd.network import Network, Weights
from medidd.project import adam_on, falling

JUDGES = 8
"""Networks whose features the classifier uses; the authors' number of networks per step."""


@dataclass(frozen=True)
class RFAD:
    """Random feature approximation.

    Attributes:
        network: whose features are regressed on.
        steps: updates of S.
        networks: drawn per step; the regression uses the features of all of them.
        ridge: lambda, in units of the mean of the kernel's diagonal.
        lr_images: learning rate of the images at the first step.
        lr_labels: learning rate of the labels at the first step; 0 keeps them one-hot.
        constraint: what learned labels may be, "simplex" (probabilities) or "none" (any real
            numbers).
        batch: real images per class and step.
        augment: operations of the siamese augmentation; empty for none.
    """

    paper: ClassVar[Preset] = {
        1: {
            "steps": 10_000,
            "networks": 8,
            "ridge": 5e-3,
            "lr_images": 1e-3,
            "batch": 512,  # 5,120 of ten classes
            "augment": (),
        }
    }
    private: ClassVar[Mapping[str, Any]] = {"steps": 20, "lr_images": 0.1, "augment": ()}
    start: ClassVar[str] = "closed-form"
    classifies_by: ClassVar[str] = "regression on random features"

    network: Network
    steps: int = 300
    networks: int = 1
    ridge: float = RIDGE
    lr_images: float = 0.02
    lr_labels: float = 0.0
    constraint: Literal["simplex", "none"] = "simplex"
    batch: int = 128
    augment: Operations = RADIOGRAPH

    def __post_init__(self) -> None:
        require_ridge(self.ridge)

    def releases(self, classes: int) -> int:  # noqa: ARG002
        """Returns the calls of ``means`` in a run: one for each update."""
        return self.steps

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        """Returns Adam over the images, and over the labels if they are learned."""
        adam = adam_on(synthetic, self.lr_images, self.lr_labels, self.constraint)
        return falling(adam, self.steps)

    def losses(
        self, synthetic: SyntheticSet, real: Source, rng: torch.Generator
    ) -> Iterator[Tensor]:
        """Yields the error of regression from S to real images, the mean over classes."""
        thetas = self.judges(synthetic, rng, self.networks)
        yield self.loss(thetas, synthetic, real, rng)  # the caller steps S here

    def loss(
        self, thetas: Sequence[Weights], synthetic: SyntheticSet, real: Source, rng: torch.Generator
    ) -> Tensor:
        """Returns the error of regression on the features of given networks, ().

        Its gradient is that of images and labels.

        Args:
            thetas: weights of each network.
            synthetic: S.
            real: T.
            rng: draws the augmentation.
        """
        s, omega = synthetic, draw(rng, self.augment)
        x, y = s.images.detach().requires_grad_(), s.labels.detach().requires_grad_()
        with torch.enable_grad():
            w = self._regression(thetas, omega(x), y)
        fitted = w.detach()

        def answer(targets: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            h = self._features(thetas, omega(targets))
            off = h @ fitted - centered(labels)
            return off.square().mean() / 2, h.T @ off / off.numel()

        error, pull = balanced(real, answer, size=self.batch)
        dx, dy = torch.autograd.grad(w, (x, y), pull)
        return toward(error, [(s.images, dx), (s.labels, dy)])

    def _features(self, thetas: Sequence[Weights], x: Tensor) -> Tensor:
        """Returns the features of all networks side by side, (n, D) in float64."""
        return torch.cat([self.network.embed(theta, x) for theta in thetas], dim=1).double()

    def _regression(self, thetas: Sequence[Weights], x: Tensor, y: Tensor) -> Tensor:
        """Returns W, (D, K), from images x (n, C, H, W) with soft labels y (n, K)."""
        return on_features(self._features(thetas, x), y, self.ridge)

    def classifier(
        self, synthetic: SyntheticSet, rng: torch.Generator
    ) -> Callable[[Tensor], Tensor]:
        """Returns the regression on the features of ``JUDGES`` fresh networks."""
        return self.on_features(self.judges(synthetic, rng), synthetic)

    def judges(
        self, synthetic: SyntheticSet, rng: torch.Generator, count: int = JUDGES
    ) -> list[Weights]:
        """Returns fresh networks."""
        return [self.network.init(rng, like=synthetic.images) for _ in range(count)]

    def on_features(
        self, thetas: Sequence[Weights], synthetic: SyntheticSet
    ) -> Callable[[Tensor], Tensor]:
        """Returns the regression from S on the features of given networks, as a classifier."""
        with torch.no_grad():
            w = self._regression(thetas, synthetic.images, synthetic.labels)

        @torch.no_grad()
        def classify(images: Tensor) -> Tensor:
            parts = [self._features(thetas, part) @ w for part in torch.split(images, 256)]
            return torch.cat(parts).softmax(1).to(images)

        return classify
