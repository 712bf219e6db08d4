"""Trains a classifier on a set of images, to see how it performs on patients the set never saw.

The protocol of the field (Zhao et al., ICLR 2021, arXiv:2006.05929): a new network, SGD with
momentum and weight decay, the step size cut tenfold half-way. Their code, not their text, trains
for one epoch more and resets the momentum at the cut. No iterate is ever chosen by its score on the
test patients; ``medidd.scores`` has the scores.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import torch
from torch import Tensor
from torch.func import vmap
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from medidd.augment import Augmentation, draw, each_its_own
from medidd.data import at_once
from medidd.descent import batches
from medidd.network import Network, Weights


class Draws(Protocol):
    """Draws an augmentation, such as ``medidd.augment.draw``."""

    def __call__(self, rng: torch.Generator, *, images: int) -> Augmentation:
        """Returns an augmentation with parameters for each of ``images`` images."""


Descent = Callable[[list[Tensor], "Training"], tuple[Optimizer, LRScheduler]]
"""Takes weights, and how they are trained; returns what changes them, and its step sizes."""


def cut_tenfold(weights: list[Tensor], how: "Training") -> tuple[Optimizer, LRScheduler]:
    """Returns SGD with momentum, whose step size is cut tenfold half-way, as in the papers."""
    sgd = torch.optim.SGD(
        weights, lr=how.lr, momentum=how.momentum, weight_decay=how.weight_decay, fused=True
    )
    return sgd, torch.optim.lr_scheduler.MultiStepLR(sgd, [how.steps // 2], gamma=0.1)


def one_cycle(weights: list[Tensor], how: "Training") -> tuple[Optimizer, LRScheduler]:
    """Returns AdamW, whose step size rises to its greatest and falls to almost nothing.

    Many images need fewer updates so (Smith & Topin 2017, arXiv:1708.07120; Loshchilov & Hutter,
    ICLR 2019, arXiv:1711.05101).
    """
    adam = torch.optim.AdamW(
        weights, how.lr, (how.momentum, 0.999), weight_decay=how.weight_decay, fused=True
    )
    return adam, torch.optim.lr_scheduler.OneCycleLR(
        adam, how.lr, total_steps=how.steps + 1, cycle_momentum=False
    )


@dataclass(frozen=True)
class Training:
    """How a recipient trains a classifier; the defaults are those of the papers.

    Attributes:
        steps: updates of the weights; these are epochs if a batch holds all images.
        batch: images per update; of a smaller set, all images.
        lr: the greatest step size.
        momentum: share of the former gradients that an update keeps.
        weight_decay: share of the weights that is taken away for each unit of step size.
        augment: draws an augmentation for one batch, with parameters per image; None for none.
        noise: standard deviation of the Gaussian noise that each image gets anew at each update, in
            standardised units. It keeps a network from reading single pixels of a few images.
        averaged: share of the updates, at the end, whose weights are averaged (Izmailov et al., UAI
            2018, arXiv:1803.05407); 0 takes the last ones.
        descent: what changes the weights, and how its step size falls.
    """

    steps: int = 300
    batch: int = 256
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    augment: Draws | None = None
    noise: float = 0.0
    averaged: float = 0.0
    descent: Descent = cut_tenfold

    @property
    def numbers(self) -> dict[str, float]:
        """Its fields that are numbers, by name, as files keep them."""
        return {name: value for name, value in vars(self).items() if isinstance(value, int | float)}


RECIPIENT = Training(steps=300, augment=draw)
"""How a recipient trains on a few synthetic images, or on a baseline of the same size."""

NOISE = 0.3
"""Noise in the training on images that were learned under a guarantee. On drawn films and on
Fashion-MNIST it helped there, and not on images of ``rfad`` (benchmarks/README.md)."""


def published(images: int, *, epochs: int = 300) -> Training:
    """Returns the papers' training on ``images`` images; with augmentation they use 1000 epochs."""
    return Training(steps=epochs * -(-images // Training.batch))


def train(
    f: Network, images: Tensor, labels: Tensor, how: Training, rng: torch.Generator
) -> Weights:
    """Trains a fresh network.

    Args:
        f: the architecture.
        images: standardised images, (n, C, H, W).
        labels: soft labels, (n, K).
        how: the protocol.
        rng: draws the weights, the batches, the augmentation and the noise.

    Returns:
        The weights after the last step, or the mean of those of the last steps.
    """
    theta = f.init(rng, like=images)

    def losses() -> Iterator[Tensor]:
        for rows in batches(len(images), how.batch, rng):
            x, y = images[rows], labels[rows]
            if how.augment is not None:
                x = how.augment(rng, images=len(x))(x)
            if how.noise:
                x = x + how.noise * torch.randn(x.shape, generator=rng, dtype=x.dtype).to(x)
            yield cross_entropy(f(theta, x), y)

    return _descended(theta, losses(), how)


def train_together(
    f: Network,
    sets: Sequence[tuple[Tensor, Tensor]],
    how: Training,
    rngs: Sequence[torch.Generator],
) -> list[Weights]:
    """Trains a network on each set, all of them at once; the weights are those of ``train``.

    Where a GPU would wait for the next operator, R networks need about as many as one. On a CPU it
    is no gain.

    Args:
        f: the architecture; not several, for they differ in their weights.
        sets: images and soft labels of each, as in ``train``; all of one shape. They may be the
            same tensors.
        how: the protocol.
        rngs: one for each set; each draws what ``train`` draws.

    Returns:
        The weights of each network.

    Raises:
        ValueError: the sets, or the networks drawn, are not of one shape.
    """
    starts = [f.init(rng, like=x) for (x, _), rng in zip(sets, rngs, strict=True)]
    if len({(x.shape, y.shape) for x, y in sets}) > 1 or len({tuple(of) for of in starts}) > 1:
        raise ValueError("networks of one shape on sets of one shape alone are trained together")
    theta = {name: torch.stack([of[name] for of in starts]) for name in starts[0]}
    images, labels = (_stacked(parts) for parts in zip(*sets, strict=True))
    number = torch.arange(len(sets), device=images.device)[:, None]
    each = vmap(lambda weights, x, y: cross_entropy(f(weights, x), y))

    def losses() -> Iterator[Tensor]:
        drawn = (batches(images.shape[1], how.batch, rng) for rng in rngs)
        for of_each in zip(*drawn, strict=True):
            rows = torch.stack(of_each).to(images.device)
            x, y = images[number, rows], labels[number, rows]
            if how.augment is not None:
                x = each_its_own([how.augment(rng, images=rows.shape[1]) for rng in rngs], x)
            if how.noise:
                noise = [torch.randn(x.shape[1:], generator=rng, dtype=x.dtype) for rng in rngs]
                x = x + how.noise * torch.stack(noise).to(x)
            yield each(theta, x, y).sum()

    mean = _descended(theta, losses(), how)
    return [{name: weight[r] for name, weight in mean.items()} for r in range(len(sets))]


def _descended(theta: Weights, losses: Iterator[Tensor], how: Training) -> Weights:
    """Takes ``how.steps`` steps, each down the next loss at theta, which is changed.

    Returns:
        The weights after the last step, or the mean of those of the last steps.
    """
    for weight in theta.values():
        weight.requires_grad_()
    optimizer, schedule = how.descent(list(theta.values()), how)
    mean = {name: torch.zeros_like(weight) for name, weight in theta.items()}
    last = max(round(how.averaged * how.steps), 1)
    for step, loss in enumerate(islice(losses, how.steps)):
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step >= how.steps - last:
            for name, weight in theta.items():
                mean[name] += (weight.detach() - mean[name]) / (step - how.steps + last + 1)
    return mean


def _stacked(parts: Sequence[Tensor]) -> Tensor:
    """Returns tensors as one, without a copy if all are the same."""
    if all(part is parts[0] for part in parts):
        return parts[0].expand(len(parts), *parts[0].shape)
    return torch.stack(list(parts))


@torch.no_grad()
def log_probabilities(
    f: Network, theta: Weights, images: Tensor, chunk: int | None = None
) -> Tensor:
    """Returns log class probabilities, (n, K), of ``chunk`` images at once, or ``at_once``."""
    parts = torch.split(images, chunk or at_once(images))
    return torch.cat([f(theta, x).log_softmax(1) for x in parts])
