"""Soft labels: Soft-Label Dataset Distillation and Text Dataset Distillation.

Sucholutsky & Schonlau, IJCNN 2021, arXiv:1910.02551; for radiographs Li et al., ICIP 2020,
arXiv:2104.02857.

Learns: images, labels and one step size.
Costs: each step takes up to ``horizon`` training steps on S, back-propagation through ``window`` of
them, and one gradient of real images.

DD with learned labels, so that one image can teach a network about several classes.

From the authors: Adam with betas (0.5, 0.999), labels that begin one-hot. Ours: one step size for
all steps, and a constant rate of learning (theirs halves every tenth of the way); the labels stay
on the simplex unless asked otherwise (unconstrained ones turn negative, and then are no labels);
the whole of S is one batch; and only a window of the inner loop that begins at random is
differentiated (Feng et al., ICLR 2024, arXiv:2311.07025), so that S serves every stage of training.
A window as long as the horizon is the exact, untruncated gradient.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from medidd.data import Source, SyntheticSet
from medidd.descent import Batch, Unrolled, descend, toward
from medidd.distill import Preset
from medidd.evaluate import log_probabilities
from medidd.methods.dd import begun, first_lr, real_loss
from medidd.network import Network
from medidd.project import CONSTRAINTS, projected


@dataclass(frozen=True)
class SoftLabel:
    """Soft-label distillation.

    Attributes:
        network: f, the network that is trained on S.
        steps: updates of S.
        horizon: T, the most inner steps that a network takes.
        window: inner steps differentiated, at most ``horizon``; equal to it, the gradient is exact.
        lr: eta_0, the step size that S begins with, or what the network bears on S (``bearable``)
            if that is less.
        lr_images: alpha, learning rate of the images.
        lr_labels: learning rate of the labels; 0 keeps them one-hot.
        lr_lr: learning rate of the logarithm of the step size; 0 keeps it.
        constraint: what labels may be, "simplex" (probabilities) or "none" (any real numbers).
        batch: real images per class and update.
        weights_seed: seed of the one set of initial weights that S is made for; by default none, so
            each update draws other weights.
    """

    paper: ClassVar[Preset] = {
        1: {
            "steps": 20_650,
            "horizon": 3,
            "window": 3,
            "lr": 0.01,
            "lr_images": 0.01,
            "constraint": "none",
            "batch": 102,
            "weights_seed": 0,
        }
    }
    # The noise in labels that are learned cost more than they gained.
    private: ClassVar[Mapping[str, Any]] = {"steps": 20, "lr_images": 0.1, "lr_labels": 0.0}
    classifies_by: ClassVar[str] = "its own program"

    network: Network
    steps: int = 150
    horizon: int = 60
    window: int = 20
    lr: float = 0.05
    lr_images: float = 0.02
    lr_labels: float = 0.01
    lr_lr: float = 0.01
    constraint: Literal["simplex", "none"] = "simplex"
    batch: int = 128
    weights_seed: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.window <= self.horizon:
            raise ValueError(
                f"window {self.window} must lie between 1 and the horizon {self.horizon}"
            )
        if not self.lr > 0:
            raise ValueError(f"the step size lr must be above 0, not {self.lr}")

    def prepare(self, synthetic: SyntheticSet) -> SyntheticSet:
        """Returns S with its step size."""
        return synthetic.with_lr(first_lr(self.network, self.weights_seed, synthetic, self.lr))

    def releases(self, classes: int) -> int:  # noqa: ARG002
        """Returns the calls of ``means`` in a run: one for each update."""
        return self.steps

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        """Returns Adam over the images, the labels and the step size."""
        groups = [
            {"params": [synthetic.images], "lr": self.lr_images},
            {"params": [synthetic.labels], "lr": self.lr_labels},
            {"params": [synthetic.log_lr], "lr": self.lr_lr},
        ]
        adam = torch.optim.Adam(groups, betas=(0.5, 0.999))
        return projected(adam, synthetic, CONSTRAINTS[self.constraint])

    def losses(
        self, synthetic: SyntheticSet, real: Source, rng: torch.Generator
    ) -> Iterator[Tensor]:
        """Yields the loss on real images of a network trained on S, the mean over classes."""
        f, s = self.network, synthetic
        start = int(torch.randint(self.horizon - self.window + 1, (), generator=rng))
        lr = s.log_lr.exp().detach()
        theta = begun(f, self.weights_seed, rng, like=s.images)
        theta = descend(f, theta, s.images, s.labels, lr=lr, steps=start)
        path = Unrolled(f, theta, s.images, s.labels, lr=lr, program=[Batch()] * self.window)
        loss, adjoint = real_loss(f, path.end, real, self.batch)
        pull = path.pull(adjoint)
        yield toward(  # the caller steps S here
            loss,
            [(s.images, pull.images), (s.labels, pull.labels), (s.log_lr, pull.lr * lr)],
        )

    def classifier(
        self, synthetic: SyntheticSet, rng: torch.Generator
    ) -> Callable[[Tensor], Tensor]:
        """Returns a network that has taken ``horizon`` steps of the learned size on S."""
        f, s = self.network, synthetic
        theta = begun(f, self.weights_seed, rng, like=s.images)
        lr = s.log_lr.exp().detach()
        end = descend(f, theta, s.images, s.labels, lr=lr, steps=self.horizon)
        return lambda x: log_probabilities(f, end, x).exp()
