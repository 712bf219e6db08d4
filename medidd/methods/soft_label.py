"""Soft-label distillation: images, labels and step size learned together.

Sucholutsky & Schonlau, IJCNN 2021 (arXiv:1910.02551), after Wang et al. 2018 (arXiv:1811.10959),
Algorithm 1; for radiographs Li et al., ICIP 2020 (arXiv:2104.02857).

Train a fresh network on S for a while, ask the real images how well it does, and pull that answer
back through the training to the images, the labels and the step size.

From the authors: one learned step size, Adam with betas (0.5, 0.999), labels that begin one-hot and
are learned, random initial weights. Ours: the labels stay on the simplex (unconstrained ones turn
negative, and then are no labels), the whole of S is one batch, and only a window of the inner loop
that begins at random is differentiated (Feng et al., ICLR 2024, arXiv:2311.07025), so that S serves
every stage of training. A window as long as the horizon is the exact, untruncated gradient.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from medidd.data import Source, SyntheticSet
from medidd.descent import Unrolled, descend, gradient, loss_on, toward
from medidd.network import Network, Weights
from medidd.project import projected


@dataclass(frozen=True)
class SoftLabel:
    """Soft-label distillation.

    Attributes:
        network: f, the network that is trained on S.
        steps: updates of S.
        horizon: T, the most inner steps that a network takes.
        window: inner steps differentiated, at most ``horizon``; equal to it, the gradient is exact.
        lr_images: learning rate of the images.
        lr_labels: learning rate of the labels; 0 keeps them one-hot.
        lr_lr: learning rate of the logarithm of the step size; 0 keeps it.
        batch: real images per class and update.
    """

    network: Network
    steps: int = 150
    horizon: int = 60
    window: int = 20
    lr_images: float = 0.02
    lr_labels: float = 0.01
    lr_lr: float = 0.01
    batch: int = 128

    def __post_init__(self) -> None:
        if not 1 <= self.window <= self.horizon:
            raise ValueError(
                f"window {self.window} must lie between 1 and the horizon {self.horizon}"
            )

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        """Returns Adam over the images, the labels and the step size."""
        groups = [
            {"params": [synthetic.images], "lr": self.lr_images},
            {"params": [synthetic.labels], "lr": self.lr_labels},
            {"params": [synthetic.log_lr], "lr": self.lr_lr},
        ]
        return projected(torch.optim.Adam(groups, betas=(0.5, 0.999)), synthetic)

    def losses(
        self, synthetic: SyntheticSet, real: Source, rng: torch.Generator
    ) -> Iterator[Tensor]:
        """Yields the loss on real images of a network trained on S, the mean over classes."""
        f, s = self.network, synthetic
        while True:
            start = int(torch.randint(self.horizon - self.window + 1, (), generator=rng))
            lr = s.log_lr.exp().detach()
            theta = descend(f, f.init(rng, like=s.images), s.images, s.labels, lr=lr, steps=start)
            path = Unrolled(f, theta, s.images, s.labels, lr=lr, steps=self.window)
            loss, adjoint = self._outer(real, path.end)
            pull = path.pull(adjoint)
            yield toward(  # the caller steps S here
                loss,
                [(s.images, pull.images), (s.labels, pull.labels), (s.log_lr, pull.lr * lr)],
            )

    def _outer(self, real: Source, theta: Weights) -> tuple[Tensor, Weights]:
        """Returns the real loss at theta and its gradient, each the mean over classes."""

        def loss_and_gradient(x: Tensor, y: Tensor) -> tuple[Tensor, Weights]:
            return loss_on(self.network, theta, x, y), gradient(self.network, theta, x, y)

        answers = [
            real.mean(loss_and_gradient, label=label, size=self.batch)
            for label in range(real.classes)
        ]
        losses, gradients = zip(*answers, strict=True)
        mean = {name: torch.stack([g[name] for g in gradients]).mean(0) for name in theta}
        return torch.stack(losses).mean(), mean
