"""DC: Dataset Condensation with Gradient Matching.

Zhao, Mopuri & Bilen, ICLR 2021, Algorithm 1, arXiv:2006.05929.

Learns: images.
Costs: each step takes the gradient of ``batch`` real images per class, and ``net_epochs`` epochs of
training on S.

If synthetic images move a network's weights as real images do, they train it as real images do. So
DC matches the gradients of each class along the path that a network takes when trained on S.

From the authors' code, where it differs from the text: images of all classes are updated together,
and biases and other one-dimensional weights are not compared. With one image per class their loops
are one long, so the networks are never trained. Ours: images are kept within the display range, and
by default 100 steps of a greater rate; docs/measurements.md has the figures.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, ClassVar

import torch
from torch import Tensor

from medidd.augment import Augmentation
from medidd.data import Question, Source, SyntheticSet
from medidd.descent import batches, bearable, gradient, leaves, minus
from medidd.distill import Preset
from medidd.network import Network, Weights
from medidd.project import sgd_on_images
from medidd.sketch import LayerSketch

NET_BATCH = 256
"""Synthetic images per step of the network."""


@dataclass(frozen=True)
class DC:
    """Gradient matching.

    Attributes:
        network: phi_theta, the network whose gradients are matched.
        steps: updates of S in all, K * T.
        inner_steps: T, updates of S along the path of one network.
        net_epochs: varsigma_theta, epochs on S between two updates of S.
        lr_images: eta_S, learning rate of the synthetic images.
        lr_net: eta_theta, learning rate of the network, or what it bears on S (``bearable``) if
            that is less.
        batch: |B_c^T|, real images per class and step.
        sketch: dimensions of a public projection of the gradient, drawn afresh for each answer; 0
            compares all weights.
        repeats: updates of S for each answer of T.
    """

    paper: ClassVar[Preset] = {
        ipc: {
            "steps": 1000 * inner,
            "inner_steps": inner,
            "net_epochs": epochs,
            "lr_images": 0.1,
            "batch": 256,
        }
        for ipc, inner, epochs in [
            (1, 1, 1),
            (10, 10, 50),
            (20, 20, 25),
            (30, 30, 20),
            (40, 40, 15),
            (50, 50, 10),
        ]
    }
    private: ClassVar[Mapping[str, Any]] = {
        "steps": 200,
        "inner_steps": 5,
        "net_epochs": 5,
        "sketch": 512,
        "repeats": 8,
    }

    network: Network
    steps: int = 100
    inner_steps: int = 10
    net_epochs: int = 10
    lr_images: float = 1.0
    lr_net: float = 0.01
    batch: int = 128
    sketch: int = 0
    repeats: int = 1

    def __post_init__(self) -> None:
        for name in ("inner_steps", "repeats"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)}")

    def releases(self, classes: int) -> int:  # noqa: ARG002
        """Returns the calls of ``means`` in a run: one for every ``repeats`` updates."""
        return -(-self.steps // self.repeats)

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        """Returns SGD over the images alone; labels stay hard."""
        return sgd_on_images(synthetic, self.lr_images)

    def losses(
        self, synthetic: SyntheticSet, real: Source, rng: torch.Generator
    ) -> Iterator[Tensor]:
        """Yields the distance between gradients, summed over classes."""
        return self.path(synthetic, real, rng)

    def path(
        self,
        synthetic: SyntheticSet,
        real: Source,
        rng: torch.Generator,
        *,
        siamese: Callable[[], Augmentation] = lambda: lambda x: x,
        each: Callable[[int], Augmentation] = lambda _: lambda x: x,
    ) -> Iterator[Tensor]:
        """Yields the losses along the path of one network.

        Args:
            synthetic: S.
            real: T.
            rng: the run's generator.
            siamese: draws what is done alike to the images of one class in S and T.
            each: draws what is done to so many images of S that train the network.
        """
        f, s = self.network, synthetic
        theta = f.init(rng, like=s.images)  # theta_0 ~ P_theta_0
        lr = bearable(f, theta, s.images, s.labels, self.lr_net) if self.inner_steps > 1 else 0.0
        for t in range(self.inner_steps):
            if t:
                theta = trained(f, theta, s, rng, lr=lr, epochs=self.net_epochs, augment=each)
            sketch = LayerSketch.drawn(theta, self.sketch, rng) if self.sketch else _whole
            matched = matching(f, theta, s, real, self.batch, siamese, sketch)
            yield from islice(matched, self.repeats)  # the caller steps S


def trained(
    f: Network,
    theta: Weights,
    synthetic: SyntheticSet,
    rng: torch.Generator,
    *,
    lr: float,
    epochs: int,
    augment: Callable[[int], Augmentation] = lambda _: lambda x: x,
) -> Weights:
    """Returns the weights after some epochs of plain SGD on S.

    Args:
        f: the network.
        theta: its weights before.
        synthetic: S.
        rng: shuffles the batches.
        lr: learning rate.
        epochs: times that S is seen.
        augment: draws an augmentation for so many images.
    """
    x, y = synthetic.images.detach(), synthetic.labels.detach()
    steps = epochs * -(-len(x) // NET_BATCH)
    for rows in islice(batches(len(x), NET_BATCH, rng), steps):
        step = gradient(f, theta, augment(len(rows))(x[rows]), y[rows])
        theta = minus(theta, lr, step)
    return theta


def _whole(of: Weights) -> Weights:
    return of


def matching(
    f: Network,
    theta: Weights,
    synthetic: SyntheticSet,
    real: Source,
    size: int,
    augment: Callable[[], Augmentation] = lambda: lambda x: x,
    sketch: Callable[[Weights], Weights] = _whole,
) -> Iterator[Tensor]:
    """Asks T once, and yields without end the distance between the gradients of S and T at theta.

    Args:
        f: the network.
        theta: its weights.
        synthetic: S, which may change between two distances.
        real: T.
        size: real images per class.
        augment: called once per class, for what is done to its images on both sides.
        sketch: what of a gradient is compared; it must be linear.
    """
    asked = [partial(_gradient, f, theta, augment(), sketch) for _ in range(real.classes)]
    questions = [Question(of, (label,)) for label, of in enumerate(asked)]
    targets = real.means(questions, size=size)
    while True:
        distances = [
            distance(of(*synthetic.of_class(label), create_graph=True), target)
            for label, (of, target) in enumerate(zip(asked, targets, strict=True))
        ]
        yield torch.stack(distances).sum()


def _gradient(
    f: Network,
    theta: Weights,
    omega: Augmentation,
    sketch: Callable[[Weights], Weights],
    x: Tensor,
    y: Tensor,
    *,
    create_graph: bool = False,
) -> Weights:
    if create_graph:
        theta = leaves(theta)
    return sketch(gradient(f, theta, omega(x), y, create_graph=create_graph))


def distance(a: Weights, b: Weights) -> Tensor:
    """Returns the sum over layers and output units of one minus the cosine (equation 7).

    Weights are taken row by row, one row per output unit; one-dimensional weights are left out. A
    projected layer is one row.
    """
    rows = [_unlike(a[name], b[name]) for name in a if a[name].ndim > 1]
    return torch.stack(rows).sum()


def _unlike(a: Tensor, b: Tensor) -> Tensor:
    a, b = a.flatten(1), b.flatten(1)
    lengths: Tensor = a.norm(dim=1) * b.norm(dim=1)
    return (1 - (a * b).sum(1) / (lengths + 1e-6)).sum()
