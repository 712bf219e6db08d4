"""TESLA: Scaling Up Dataset Distillation to ImageNet-1K with Constant Memory.

Cui, Wang, Si & Hsieh, ICML 2023, arXiv:2211.10586.

Learns: images and one step size.
Costs: the same as MTT, without second derivatives with respect to the weights.

MTT with a truncated gradient. The student ends at theta_0 - alpha G, with G the sum of its
gradients g_i, so the loss has a closed form in them:

    d loss / dS = sum_i d/dS <2 (alpha (theta* - theta_0) + alpha^2 G), g_i> / |theta_0 - theta*|^2

where, as in the authors' code, each g_i is taken at weights that are held fixed. What is dropped is
how S moves the later weights of the student: the Hessian products. So this is not the gradient of
MTT, unless the student takes a single step. Beside the exact one (two layers, six images of 16 px)
the cosine was 0.99 and 0.94 after 5 steps, 0.95 and 0.84 after 20, 0.88 and 0.81 after 50, for
alpha of 0.01 and 0.05; at alpha of 0.2 and 10 steps or more nothing was left of it.

From the paper: the constant memory, which MTT has here as well. Ours: the factor 2, which the
authors' code loses, and what is ours in MTT. Their labels from a teacher are left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from medidd.augment import PHOTOGRAPH
from medidd.data import Source, SyntheticSet
from medidd.distill import Preset
from medidd.methods.mtt import MTT


@dataclass(frozen=True)
class TESLA:
    """Trajectory matching with a truncated gradient.

    Attributes:
        mtt: the experts, the student and its training; its fields are set like this method's own.
    """

    # For 1 image of CIFAR-10 and 50 of CIFAR-100, which are the settings that the authors give.
    paper: ClassVar[Preset] = {
        1: {
            "steps": 5_000,
            "inner_steps": 50,
            "expert_epochs": 2,
            "last_start": 5,
            "lr": 0.01,
            "lr_images": 1000.0,
            "augment": PHOTOGRAPH,
        },
        50: {
            "steps": 5_000,
            "inner_steps": 80,
            "expert_epochs": 2,
            "last_start": 40,
            "lr": 0.01,
            "lr_images": 1000.0,
            "batch": 125,
            "augment": PHOTOGRAPH,
        },
    }
    private: ClassVar[Mapping[str, Any]] = MTT.private

    mtt: MTT

    @property
    def steps(self) -> int:
        """Updates of S by default."""
        return self.mtt.steps

    def prepare(self, synthetic: SyntheticSet) -> SyntheticSet:
        """Returns S with its step size."""
        return self.mtt.prepare(synthetic)

    def releases(self, classes: int) -> int:
        """Returns that of MTT."""
        return self.mtt.releases(classes)

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        """Returns that of MTT."""
        return self.mtt.optimizer(synthetic)

    def losses(
        self,
        synthetic: SyntheticSet,
        real: Source,  # noqa: ARG002  the experts have asked it all there is to ask
        rng: torch.Generator,
    ) -> Iterator[Tensor]:
        """Yields how far a student ends from the expert, as a share of how far that one went."""
        yield self.mtt.loss(synthetic, rng, through_weights=False)
