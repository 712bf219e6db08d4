"""MTT: Dataset Distillation by Matching Training Trajectories.

Cazenavette, Wang, Torralba, Efros & Zhu, CVPR 2022, Algorithm 1, arXiv:2203.11932.

Learns: images and one step size.
Costs: each step takes ``inner_steps`` training steps on S and their back-propagation. Once before:
the experts, which are networks trained on real images.

A student starts with the weights that an expert had at some epoch, and trains on S. The loss is how
far it ends from the weights that the expert had some epochs later. So a few steps on S should lead
as far as whole epochs on real images.

From the authors' code: SGD with momentum 0.5, each student step on a minibatch of S under fresh
augmentation with a parameter for each image. Ours: the gradient is as exact as theirs but made by
the reverse recursion, so that memory does not grow with ``inner_steps`` but for one copy of the
weights each; the step size is learned as its logarithm, by damped Newton steps, because the
authors' rate for it holds for their experts alone (on films it ended at nothing in two steps);
t is drawn up to and including T+, as in the text (their code stops one short); images are kept
within the display range, and not whitened.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

import torch
from torch import Tensor

from medidd.augment import PHOTOGRAPH, RADIOGRAPH, Operations, draw
from medidd.data import Source, SyntheticSet
from medidd.descent import (
    Batch,
    Unrolled,
    batches,
    bearable,
    gradient,
    minus,
    norm,
    squared,
    toward,
)
from medidd.distill import Preset
from medidd.experts.trajectories import Trajectories
from medidd.network import Network, Weights
from medidd.project import projected


@dataclass(frozen=True)
class MTT:
    """Trajectory matching.

    Attributes:
        network: f, the network of experts and students.
        experts: {theta*_t}, trajectories of networks trained on real images.
        steps: updates of S.
        inner_steps: N, steps of a student on S.
        expert_epochs: M, epochs of an expert that ``inner_steps`` steps on S should match.
        last_start: T+, the last epoch of an expert at which a student starts.
        lr: alpha_0, the step size that S begins with, or less: what the network bears on S
            (``bearable``), or what takes a student as far as the expert went.
        lr_images: learning rate of the images.
        lr_lr: share of a damped Newton step that the logarithm of the step size takes; 0 keeps it.
        batch: |b|, synthetic images per student step.
        augment: operations of the augmentation A, one drawn for each student step.
    """

    # The authors print their values for CIFAR-10 as a picture. These are the ones that repeat their
    # runs elsewhere, not checked against the picture; for 10 images its rate of the images, 1e5, is
    # a typing error they acknowledge.
    paper: ClassVar[Preset] = {
        1: {
            "steps": 5_000,
            "inner_steps": 50,
            "expert_epochs": 2,
            "last_start": 2,
            "lr": 0.01,
            "lr_images": 100.0,
            "augment": PHOTOGRAPH,
        },
        10: {
            "steps": 5_000,
            "inner_steps": 30,
            "expert_epochs": 2,
            "last_start": 20,
            "lr": 0.001,
            "lr_images": 100.0,
            "augment": PHOTOGRAPH,
        },
        50: {
            "steps": 5_000,
            "inner_steps": 30,
            "expert_epochs": 2,
            "last_start": 40,
            "lr": 0.001,
            "lr_images": 1000.0,
            "batch": 500,
            "augment": PHOTOGRAPH,
        },
    }
    private: ClassVar[Mapping[str, Any]] = {}

    network: Network
    experts: Trajectories
    steps: int = 200
    inner_steps: int = 20
    expert_epochs: int = 2
    last_start: int = 10
    lr: float = 0.01
    lr_images: float = 100.0
    lr_lr: float = 0.1
    batch: int = 256
    augment: Operations = RADIOGRAPH

    def __post_init__(self) -> None:
        if min(self.inner_steps, self.expert_epochs, self.batch) < 1:
            raise ValueError("inner_steps, expert_epochs and batch must be 1 or more")
        if self.last_start < 0:
            raise ValueError(f"last_start must be 0 or more, not {self.last_start}")
        if not self.lr > 0:
            raise ValueError(f"the step size lr must be above 0, not {self.lr}")

    def prepare(self, synthetic: SyntheticSet) -> SyntheticSet:
        """Returns S with its step size: at most one that S, as it begins, can use.

        A student whose gradients stayed as long as the first would go N alpha |g|. If that is
        further than the expert went, the loss begins above 1, up to tens where experts are short,
        and its gradient throws the images against their bounds before they are of any use.
        """
        s = synthetic
        try:
            start, target = self.experts.draw(
                torch.Generator().manual_seed(0),
                last_start=0,
                apart=self.expert_epochs,
                like=s.images,
            )
        except ValueError:
            # There are no experts yet, so S is only planned. ``losses`` says what is wrong.
            return s.with_lr(self.lr)
        g = gradient(self.network, start, s.images, s.labels)
        went = norm(minus(target, 1.0, start)) / norm(g).clamp(min=1e-30)
        lr = min(self.lr, went.item() / self.inner_steps)
        return s.with_lr(bearable(self.network, start, s.images, s.labels, lr))

    def releases(self, classes: int) -> int:  # noqa: ARG002
        """Returns 0: the experts have asked."""
        return 0

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        """Returns SGD over the images and the step size; labels stay hard."""
        groups = [
            {"params": [synthetic.images], "lr": self.lr_images},
            {"params": [synthetic.log_lr], "lr": self.lr_lr},
        ]
        return projected(torch.optim.SGD(groups, momentum=0.5), synthetic)

    def losses(
        self,
        synthetic: SyntheticSet,
        real: Source,  # noqa: ARG002  the experts have asked it all there is to ask
        rng: torch.Generator,
    ) -> Iterator[Tensor]:
        """Yields how far a student ends from the expert, as a share of how far that one went."""
        yield self.loss(synthetic, rng)

    def loss(
        self, synthetic: SyntheticSet, rng: torch.Generator, *, through_weights: bool = True
    ) -> Tensor:
        """Trains a student on S from where an expert once was, and returns its loss.

        Args:
            synthetic: S.
            rng: the run's generator.
            through_weights: whether the gradient holds how S moves the student's later weights.
        """
        s = synthetic
        start, target = self.experts.draw(
            rng, last_start=self.last_start, apart=self.expert_epochs, like=s.images
        )
        seen = [
            Batch(rows, draw(rng, self.augment, images=len(rows)))
            for rows in islice(batches(len(s.images), self.batch, rng), self.inner_steps)
        ]
        lr = s.log_lr.detach().exp()
        path = Unrolled(self.network, start, s.images, s.labels, lr=lr, program=seen)
        loss, adjoint = mismatch(start, path.end, target)
        pull = path.pull(adjoint, through_weights=through_weights)
        return toward(loss, [(s.images, pull.images), (s.log_lr, way(start, path.end, target))])


def mismatch(start: Weights, end: Weights, target: Weights) -> tuple[Tensor, Weights]:
    """Returns |end - target|^2 / |start - target|^2 over all weights, and its gradient at the end.

    Raises:
        ValueError: the expert did not move from start to target.
    """
    off = {name: end[name] - target[name] for name in target}
    went = squared({name: start[name] - target[name] for name in target})
    if went == 0:
        raise ValueError(
            "an expert did not move between two of its epochs; make experts with a greater lr or "
            "more epoch_steps, or snapshots of dtype float32"
        )
    return squared(off) / went, {name: 2 * gap / went for name, gap in off.items()}


def way(start: Weights, end: Weights, target: Weights) -> Tensor:
    """Returns the damped Newton step of the logarithm of alpha, between -1/2 and 1/2, ().

    With the student's gradients held, it ends at theta_0 - alpha G, and the loss is a quadratic in
    alpha. Along log alpha its slope is 2 <off, moved> / went^2 for off = end - target and moved =
    end - theta_0, and its Gauss-Newton curvature 2 |moved|^2 / went^2. Damped by the loss itself
    (Levenberg-Marquardt) the step is

        <off, moved> / (|moved|^2 + |off|^2)

    A rate of the slope alone, such as the authors', has to be below the reciprocal of the
    curvature, which differs by orders between experts. Above it the step size is thrown to nothing,
    from where no slope leads back.
    """
    off, moved = minus(end, 1.0, target), minus(end, 1.0, start)
    along = torch.stack([(off[name] * moved[name]).sum() for name in off]).sum()
    return along / (squared(off) + squared(moved)).clamp(min=1e-30)
