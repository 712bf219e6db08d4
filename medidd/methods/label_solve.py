"""LS: Dataset Meta-Learning from Kernel Ridge-Regression (label solve).

Nguyen, Chen & Lee, ICLR 2021, Algorithm 2, arXiv:2011.00050.

Learns: labels.
Costs: one step, which takes the kernel between S and every real image once.

The images stay as they start. What kernel regression from S predicts is linear in the labels of S,
so the labels that serve the real images best are a least-squares solution,

    min over y_s of  mean | K_ts (K_ss + lambda tr(K_ss) / n I)^-1 y_s - y_t |^2,

for which two sums over the real images are enough: K_st K_ts and K_st y_t.

From the authors: the closed form, over all real images. Ours: the ridge is that of the regression
which will use the labels (theirs differ, to no effect on CIFAR-10), every class weighs alike, and
labels are probabilities unless asked otherwise. For that, all of them are drawn towards 1 / K by
one common factor: the predictions shrink by the same factor, so that no decision changes, and no
order of scores.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from medidd.data import Source, SyntheticSet, balanced
from medidd.descent import toward
from medidd.distill import Preset
from medidd.kernels import (
    RIDGE,
    Kernel,
    centered,
    classifier,
    regression,
    require_ridge,
    ridge,
)
from medidd.methods.kip import error
from medidd.project import Projection, unconstrained


def shrunk(labels: Tensor) -> Tensor:
    """Returns labels (n, K) whose rows sum to one, as near 1 / K as makes none of them negative."""
    away = centered(labels)
    excess = (-away.shape[1] * away.min()).clamp(min=1)
    return (away / excess + 1 / away.shape[1]).clamp(min=0)


CONSTRAINTS: dict[str, Projection] = {"simplex": shrunk, "none": unconstrained}
"""What solved labels may be, by name."""


@dataclass(frozen=True)
class LabelSolve:
    """Label solve.

    Attributes:
        kernel: k, of the regression that the labels are solved for.
        steps: 1; more change nothing.
        ridge: lambda, in units of the mean of the kernel's diagonal.
        constraint: what labels may be, "simplex" (probabilities) or "none" (any real numbers).
    """

    paper: ClassVar[Preset] = {1: {}}
    private: ClassVar[Mapping[str, Any]] = {}
    classifies_by: ClassVar[str] = "kernel regression"

    kernel: Kernel
    steps: int = 1
    ridge: float = RIDGE
    constraint: Literal["simplex", "none"] = "simplex"

    def __post_init__(self) -> None:
        require_ridge(self.ridge)

    def releases(self, classes: int) -> int:  # noqa: ARG002
        """Returns the calls of ``means`` in a run: one for each update."""
        return self.steps

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        """Returns SGD over the labels whose one step of size 1 takes them where they belong."""
        return torch.optim.SGD([synthetic.labels], lr=1.0)

    def losses(
        self,
        synthetic: SyntheticSet,
        real: Source,
        rng: torch.Generator,  # noqa: ARG002 - nothing here is random but the batches
    ) -> Iterator[Tensor]:
        """Yields the error before the step; its gradient is the way to the solution."""
        s = synthetic
        solution, loss = self._solve(s.images.detach(), s.labels.detach(), real)
        there = CONSTRAINTS[self.constraint](solution).to(s.labels)
        yield toward(loss, [(s.labels, s.labels - there)])  # the caller steps S here

    def _solve(self, x: Tensor, y: Tensor, real: Source) -> tuple[Tensor, Tensor]:
        """Returns the best labels (n, K) in float64, and the error of those there are, ()."""
        with torch.no_grad():
            k_ss = self.kernel(x, x)
            before = regression(self.kernel, x, y, self.ridge)

        def sums(targets: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            k_ts = self.kernel(targets, x)
            n = len(targets)
            moment = k_ts.T @ centered(labels) / n
            return k_ts.T @ k_ts / n, moment, error(k_ts @ before, labels)

        # A batch larger than any class is the whole of it.
        gram, moment, loss = balanced(real, sums, size=sys.maxsize)
        # Of several solutions, as where there are fewer real images than synthetic ones, that with
        # the smallest weights.
        alpha = torch.linalg.pinv(gram, hermitian=True) @ moment
        return ridge(k_ss, self.ridge) @ alpha + 1 / y.shape[1], loss

    def classifier(
        self,
        synthetic: SyntheticSet,
        rng: torch.Generator,  # noqa: ARG002
    ) -> Callable[[Tensor], Tensor]:
        """Returns kernel regression from S, which is not random."""
        return classifier(self.kernel, synthetic.images, synthetic.labels, self.ridge)
