"""How well a classifier trained on a set of images performs on patients that the set never saw.

The protocol of the field (Zhao et al., ICLR 2021, arXiv:2006.05929): a new network, SGD with
momentum and weight decay, the step size cut tenfold half-way. Their code, not their text, trains
for one epoch more and resets the momentum at the cut. Two things are ours. The unit of the
intervals is the patient, because two films of one patient are not two observations. And no iterate
is ever chosen by its score on the test patients.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vmap
from torch.nn.functional import cross_entropy

from medidd.augment import Augmentation, draw, each_its_own
from medidd.data import at_once
from medidd.descent import batches
from medidd.network import Network, Weights

Floats = NDArray[np.float64]


class Draws(Protocol):
    """Draws an augmentation, such as ``medidd.augment.draw``."""

    def __call__(self, rng: torch.Generator, *, images: int) -> Augmentation:
        """Returns an augmentation with parameters for each of ``images`` images."""


@dataclass(frozen=True)
class Training:
    """How a recipient trains a classifier; the defaults are those of the papers.

    Attributes:
        steps: updates of the weights; these are epochs if a batch holds all images.
        batch: images per update; of a smaller set, all images.
        lr: step size, cut tenfold half-way.
        momentum: momentum of SGD.
        weight_decay: weight decay of SGD.
        augment: draws an augmentation for one batch, with parameters per image; None for none.
        noise: standard deviation of the Gaussian noise that each image gets anew at each update, in
            standardised units. It keeps a network from reading single pixels of a few images.
        averaged: share of the updates, at the end, whose weights are averaged (Izmailov et al., UAI
            2018, arXiv:1803.05407); 0 takes the last ones.
    """

    steps: int = 300
    batch: int = 256
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    augment: Draws | None = None
    noise: float = 0.0
    averaged: float = 0.0


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
    """Takes ``how.steps`` steps of SGD, each down the next loss at theta, which is changed.

    Returns:
        The weights after the last step, or the mean of those of the last steps.
    """
    for weight in theta.values():
        weight.requires_grad_()
    optimizer = torch.optim.SGD(
        theta.values(), lr=how.lr, momentum=how.momentum, weight_decay=how.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [how.steps // 2], gamma=0.1)
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


@dataclass(frozen=True)
class Interval:
    """A mean over networks with a 95 % bootstrap interval over patients and networks."""

    mean: float
    low: float
    high: float


METRICS = ("auc", "balanced_accuracy", "sensitivity", "specificity", "hm")
"""Area under the ROC curve, mean of sensitivity and specificity, both alone, and their harmonic
mean. With two classes the second is the positive one. With more, each class is judged against the
rest and the values are averaged."""


def score(
    probabilities: Sequence[Tensor],
    labels: Tensor,
    patients: NDArray[np.str_],
    *,
    seed: int,
    replicates: int = 1000,
) -> dict[str, Interval]:
    """Judges the predictions of several networks on the same test films; see ``replicated``."""
    means, sampled = replicated(probabilities, labels, patients, seed=seed, replicates=replicates)
    low, high = np.nanquantile(sampled, [0.025, 0.975], axis=0)
    return {
        name: Interval(float(means[i]), float(low[i]), float(high[i]))
        for i, name in enumerate(METRICS)
    }


def replicated(
    probabilities: Sequence[Tensor],
    labels: Tensor,
    patients: NDArray[np.str_],
    *,
    seed: int,
    replicates: int = 1000,
) -> tuple[Floats, Floats]:
    """Judges predictions as ``score`` does, and returns all bootstrap replicates.

    Args:
        probabilities: one (n, K) per network.
        labels: hard labels of the films, (n,).
        patients: the patient of each film, (n,).
        seed: of the bootstrap. With one seed, the draws of as many networks on the same films are
            the same, so replicates can be subtracted.
        replicates: B; each draws patients and networks with replacement.

    Returns:
        ``METRICS``, means over the networks (metrics,), and their replicates (B, metrics).
    """
    predicted = np.stack([p.cpu().double().numpy() for p in probabilities])
    truth = labels.cpu().numpy()
    rng = np.random.default_rng(seed)
    owner = np.unique(patients, return_inverse=True)[1]
    many = owner.max() + 1
    drawn = rng.multinomial(many, np.full(many, 1 / many), size=replicates)[:, owner]
    weights = np.concatenate([np.ones((1, len(truth))), drawn]).astype(np.float64)
    table = np.stack([_metrics(p, truth, weights) for p in predicted])  # (nets, metrics, 1 + B)
    nets = rng.integers(len(table), size=(len(table), replicates))
    sampled = table[nets, :, np.arange(1, replicates + 1)].mean(0)  # (B, metrics)
    means: Floats = table[:, :, 0].mean(0)
    return means, sampled


def _metrics(predicted: Floats, truth: NDArray[np.int64], weights: Floats) -> Floats:
    """Returns (metrics, B) for predictions (n, K) under weights of the films (B, n)."""
    hard = predicted.argmax(1)
    classes = predicted.shape[1]
    positives = [1] if classes == 2 else range(classes)
    rows = []
    for label in positives:
        is_positive, called = truth == label, hard == label
        auc = weighted_auc(predicted[:, label], is_positive, weights)
        # A replicate may hold no film of a class; its value is NaN, which quantiles leave out.
        with np.errstate(invalid="ignore"):
            sensitivity = weights @ (is_positive & called) / (weights @ is_positive)
            specificity = weights @ (~is_positive & ~called) / (weights @ ~is_positive)
            total = np.maximum(sensitivity + specificity, np.finfo(float).tiny)
            hm = 2 * sensitivity * specificity / total
        rows.append([auc, (sensitivity + specificity) / 2, sensitivity, specificity, hm])
    averaged: Floats = np.asarray(rows).mean(0)
    return averaged


def weighted_auc(scores: Floats, positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """Returns the area under the ROC curve for each row of weights.

    This is the probability that a positive film scores above a negative one, if films are drawn by
    weight. Ties count half.

    Args:
        scores: (n,).
        positive: (n,).
        weights: (B, n); a bootstrap replicate is a row of counts.
    """
    order = np.argsort(scores, kind="stable")
    ties = np.unique(scores[order], return_index=True)[1]
    up = np.add.reduceat((weights * positive)[:, order], ties, axis=1)
    down = np.add.reduceat((weights * ~positive)[:, order], ties, axis=1)
    below = np.cumsum(down, axis=1) - down / 2
    with np.errstate(invalid="ignore"):
        area: Floats = (up * below).sum(1) / (up.sum(1) * down.sum(1))
    return area
