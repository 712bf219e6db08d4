"""DD: Dataset Distillation.

Wang, Zhu, Torralba & Efros 2018, Algorithms 1 and 2, arXiv:1811.10959.

Learns: images and a step size for each step.
Costs: each step takes ``batches`` * ``epochs`` training steps on S, their back-propagation, and one
gradient of real images.

Train a network on S, ask the real images how well it does, and pull the answer back through the
training to S. What is learned is a program: so many batches in this order, each step with its own
size. It works best for a network that follows it from the weights it was made for. Ordinary
training on the same images gives another figure, and both are reported.

From the authors: Adam with betas (0.5, 0.999), its rate halved every tenth of the way; batches that
are repeated in order. Ours: torch's initial weights, and images kept within the display range.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from medidd.augment import Augmentation
from medidd.data import Source, SyntheticSet, balanced
from medidd.descent import Batch, Unrolled, bearable, loss_and_gradient, toward
from medidd.distill import Preset
from medidd.evaluate import log_probabilities
from medidd.network import Network, Weights
from medidd.project import projected


@dataclass(frozen=True)
class DD:
    """Dataset distillation.

    Attributes:
        network: f, the network that is trained on S.
        steps: updates of S.
        batches: parts of S, one for each step of an epoch; at most the images per class.
        epochs: times that the parts are gone through.
        lr: eta_0, the step size that each inner step begins with, or what the network bears on S
            (``bearable``) if that is less.
        lr_images: alpha, learning rate of the images.
        lr_lr: learning rate of the logarithms of the step sizes.
        batch: real images per class and update.
        weights_seed: seed of the one set of initial weights that S is made for; by default none, so
            each update draws other weights.
    """

    paper: ClassVar[Preset] = {
        1: {"steps": 23_600, "batches": 1, "epochs": 3, "lr": 0.02, "batch": 102},
        10: {"steps": 23_600, "batches": 10, "epochs": 3, "lr": 0.02, "batch": 102},
    }
    private: ClassVar[Mapping[str, Any]] = {"steps": 15, "lr_images": 0.1}
    classifies_by: ClassVar[str] = "its own program"

    network: Network
    steps: int = 150
    batches: int = 1
    epochs: int = 20
    lr: float = 0.02
    lr_images: float = 0.01
    lr_lr: float = 0.01
    batch: int = 128
    weights_seed: int | None = None

    def __post_init__(self) -> None:
        if min(self.batches, self.epochs) < 1:
            raise ValueError("batches and epochs must be 1 or more")
        if not self.lr > 0:
            raise ValueError(f"the step size lr must be above 0, not {self.lr}")

    def require(self, ipc: int) -> None:
        """Checks that each batch has an image of each class.

        Raises:
            ValueError: a batch would have none.
        """
        if self.batches > ipc:
            raise ValueError(
                f"{self.batches} batches of {ipc} images per class; set batches to at most {ipc}"
            )

    def prepare(self, synthetic: SyntheticSet) -> SyntheticSet:
        """Returns S with a step size for each step.

        Raises:
            ValueError: a batch would have no image of a class.
        """
        self.require(synthetic.ipc)
        lr = first_lr(self.network, self.weights_seed, synthetic, self.lr)
        rates = torch.full((self.batches * self.epochs,), lr, dtype=synthetic.log_lr.dtype)
        return replace(synthetic, log_lr=rates.log().to(synthetic.log_lr.device))

    def releases(self, classes: int) -> int:  # noqa: ARG002
        """Returns the calls of ``means`` in a run: one for each update."""
        return self.steps

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        """Returns Adam over the images and the step sizes; labels stay hard."""
        groups = [
            {"params": [synthetic.images], "lr": self.lr_images},
            {"params": [synthetic.log_lr], "lr": self.lr_lr},
        ]
        adam = torch.optim.Adam(groups, betas=(0.5, 0.999))
        return projected(halved(adam, max(self.steps // 10, 1)), synthetic)

    def losses(
        self, synthetic: SyntheticSet, real: Source, rng: torch.Generator
    ) -> Iterator[Tensor]:
        """Yields the loss on real images at the end of the program, the mean over classes."""
        f, s = self.network, synthetic
        lr = s.log_lr.detach().exp()
        theta = begun(f, self.weights_seed, rng, like=s.images)
        path = Unrolled(f, theta, s.images, s.labels, lr=lr, program=self.program(s))
        loss, adjoint = real_loss(f, path.end, real, self.batch)
        pull = path.pull(adjoint)
        yield toward(loss, [(s.images, pull.images), (s.log_lr, pull.lr * lr)])

    def program(self, synthetic: SyntheticSet) -> list[Batch]:
        """Returns what each inner step sees: the parts of S in order, again in every epoch."""
        ipc, classes = synthetic.ipc, synthetic.classes
        images = torch.arange(ipc * classes).view(classes, ipc)
        parts = [Batch(part.flatten()) for part in images.tensor_split(self.batches, dim=1)]
        return parts * self.epochs

    def classifier(
        self, synthetic: SyntheticSet, rng: torch.Generator
    ) -> Callable[[Tensor], Tensor]:
        """Returns a network that has followed the program."""
        f, s = self.network, synthetic
        theta = begun(f, self.weights_seed, rng, like=s.images)
        lr = s.log_lr.detach().exp()
        program = self.program(s)
        end = Unrolled(f, theta, s.images, s.labels, lr=lr, program=program, memory=0).end
        return lambda x: log_probabilities(f, end, x).exp()


def begun(f: Network, seed: int | None, rng: torch.Generator, like: Tensor) -> Weights:
    """Returns fresh weights, or those of ``seed`` whatever has been drawn before."""
    return f.init(rng if seed is None else torch.Generator().manual_seed(seed), like=like)


def first_lr(f: Network, seed: int | None, synthetic: SyntheticSet, lr: float) -> float:
    """Returns ``lr``, or what fresh weights bear on S as it begins if that is less."""
    s = synthetic
    theta = begun(f, seed or 0, torch.Generator(), like=s.images)
    return bearable(f, theta, s.images, s.labels, lr)


def real_loss(
    f: Network,
    theta: Weights,
    real: Source,
    size: int,
    omega: Augmentation = lambda x: x,
) -> tuple[Tensor, Weights]:
    """Returns the loss on real images at theta and its gradient, each the mean over classes.

    From a private source too, the gradient is asked for with respect to the weights, and what is
    pulled back to S is the answer with its noise. To ask each patient for a pulled gradient takes
    fewer numbers where S is smaller than the network, but was worse: gradients of films lie along
    the few directions that move S, and noise does not. With 20,034 weights and 6,144 pixels (ipc 3,
    32 px) the variance of the noise on S, beside the squared gradient, was 13 to 15 times as great,
    and a pull for each patient takes 0.3 s.
    """

    def seen(x: Tensor, y: Tensor) -> tuple[Tensor, Weights]:
        return loss_and_gradient(f, theta, omega(x), y)

    return balanced(real, seen, size=size)


def halved(optimizer: torch.optim.Optimizer, every: int) -> torch.optim.Optimizer:
    """Returns the optimizer, whose learning rates now halve every so many steps.

    The number of steps is read from its state, so that a restored one goes on where it was.
    """
    rates = [group["lr"] for group in optimizer.param_groups]

    def decay(*_: object) -> None:
        taken = max((int(held["step"]) for held in optimizer.state.values()), default=0)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * 0.5 ** (taken // every)

    optimizer.register_step_pre_hook(decay)
    return optimizer
