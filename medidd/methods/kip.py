"""KIP: Dataset Meta-Learning from Kernel Ridge-Regression (kernel inducing points).

Nguyen, Chen & Lee, ICLR 2021, Algorithm 1, arXiv:2011.00050; convolutional kernels: Nguyen, Novak,
Xiao & Lee, NeurIPS 2021, arXiv:2107.13034.

Learns: images, and labels if asked.
Costs: each step takes the kernel between S and ``batch`` real images per class, and its gradient;
no network is trained.

Training an infinitely wide network on S to the end has a closed form, kernel ridge regression. So
there is no inner loop to unroll: S is the support set of a regression, a batch of real images is
its target set, and the images move down the gradient of its error.

    L(S) = 1/2 mean | K_ts (K_ss + lambda tr(K_ss) / n I)^-1 y_s - y_t |^2

From the authors: centred labels, a ridge scaled by the trace, float64, targets from all classes
alike, 300 steps of Adam, labels that stay hard. Ours: images are kept within the display range and
learned labels on the simplex unless asked otherwise; Adam steps half as far. The authors' figures
are those of the kernel regression itself, ``classifier``; a network of finite width trained on the
same S does worse. benchmarks/kernels.py repeats them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from medidd.data import Source, SyntheticSet, balanced
from medidd.descent import toward
from medidd.distill import Preset
from medidd.kernels import RIDGE, Kernel, centered, classifier, regression, require_ridge
from medidd.project import adam_on


@dataclass(frozen=True)
class KIP:
    """Kernel inducing points.

    Attributes:
        kernel: k, of the network whose training is replaced by regression.
        steps: updates of S.
        ridge: lambda, in units of the mean of the kernel's diagonal.
        lr_images: learning rate of the images.
        lr_labels: learning rate of the labels; 0 keeps them one-hot.
        constraint: what learned labels may be, "simplex" (probabilities) or "none" (any real
            numbers).
        batch: real images per class and step.
    """

    paper: ClassVar[Preset] = {1: {"lr_images": 0.04, "batch": 500}}
    private: ClassVar[Mapping[str, Any]] = {"steps": 20, "lr_images": 0.1}
    classifies_by: ClassVar[str] = "kernel regression"

    kernel: Kernel
    steps: int = 300
    ridge: float = RIDGE
    lr_images: float = 0.02
    lr_labels: float = 0.0
    constraint: Literal["simplex", "none"] = "simplex"
    batch: int = 128

    def __post_init__(self) -> None:
        require_ridge(self.ridge)

    def releases(self, classes: int) -> int:  # noqa: ARG002
        """Returns the calls of ``means`` in a run: one for each update."""
        return self.steps

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        """Returns Adam over the images, and over the labels if they are learned."""
        return adam_on(synthetic, self.lr_images, self.lr_labels, self.constraint)

    def losses(
        self,
        synthetic: SyntheticSet,
        real: Source,
        rng: torch.Generator,  # noqa: ARG002 - nothing here is random but the batches
    ) -> Iterator[Tensor]:
        """Yields the error of kernel regression from S to real images, the mean over classes."""
        s = synthetic
        x, y = s.images.detach().requires_grad_(), s.labels.detach().requires_grad_()
        with torch.enable_grad():
            alpha = regression(self.kernel, x, y, self.ridge)

        def pulled(targets: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
            with torch.enable_grad():
                loss = error(self.kernel(targets, x) @ alpha, labels)
            # alpha's graph is shared by all targets.
            return loss.detach(), *torch.autograd.grad(loss, (x, y), retain_graph=True)

        loss, dx, dy = balanced(real, pulled, size=self.batch)
        yield toward(loss, [(s.images, dx), (s.labels, dy)])  # the caller steps S here

    def classifier(
        self,
        synthetic: SyntheticSet,
        rng: torch.Generator,  # noqa: ARG002
    ) -> Callable[[Tensor], Tensor]:
        """Returns kernel regression from S, which is not random."""
        return classifier(self.kernel, synthetic.images, synthetic.labels, self.ridge)


def error(predicted: Tensor, labels: Tensor) -> Tensor:
    """Returns half the mean squared error of centred labels (n, K) against labels (n, K), ()."""
    return (predicted - centered(labels)).square().mean() / 2
