"""Textbook forms of the methods that train a network on S and go back: DD, soft labels, MTT, TESLA.

Each inner loop is one graph, from S to the weights at its end, as in the authors' code.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from benchmarks.textbook.plain import (
    Films,
    Outcome,
    Weights,
    cross_entropy,
    gradient,
    hard,
    inner,
    leaf,
    leaves,
    plain_gradient,
    shuffled,
)
from medidd.augment import Augmentation, draw
from medidd.data import SyntheticSet
from medidd.methods import DD, MTT, TESLA, SoftLabel

Seen = tuple[Tensor, Augmentation]
"""The rows of S that an inner step sees, and how they are augmented."""


def dd(method: DD, s: SyntheticSet, films: Films, rng: torch.Generator) -> Iterator[Outcome]:
    """Algorithm 2 of Wang et al. 2018: one step on S and its step sizes."""
    theta = _begun(method, s, rng)
    of_class = torch.arange(len(s.images)).view(s.classes, s.ipc)
    parts = [part.flatten() for part in of_class.tensor_split(method.batches, dim=1)]
    x, log_lr = leaf(s.images), leaf(s.log_lr)
    seen = [(rows, _unchanged) for rows in parts] * method.epochs
    end = _trained(theta, x, s.labels.detach(), log_lr.exp(), seen)
    loss = _real_loss(end, films, method.batch, rng)
    yield Outcome.of(loss, images=x, log_lr=log_lr)


def soft_label(
    method: SoftLabel, s: SyntheticSet, films: Films, rng: torch.Generator
) -> Iterator[Outcome]:
    """Sucholutsky & Schonlau, IJCNN 2021: one step on S, its labels and its step size.

    The window that is differentiated begins at random (Feng et al., ICLR 2024).
    """
    begin = int(torch.randint(method.horizon - method.window + 1, (), generator=rng))
    theta, whole = _begun(method, s, rng), (torch.arange(len(s.images)), _unchanged)
    x, y, log_lr = leaf(s.images), leaf(s.labels), leaf(s.log_lr)
    for _ in range(begin):
        step = plain_gradient(theta, x, y)
        theta = {name: theta[name] - log_lr.detach().exp() * step[name] for name in theta}
    end = _trained(theta, x, y, log_lr.exp(), [whole] * method.window)
    loss = _real_loss(end, films, method.batch, rng)
    yield Outcome.of(loss, images=x, labels=y, log_lr=log_lr)


def mtt(method: MTT, s: SyntheticSet, _: Films, rng: torch.Generator) -> Iterator[Outcome]:
    """Algorithm 1 of Cazenavette et al., CVPR 2022: one step on S and its step size."""
    start, target, seen = _student(method, s, rng)
    x, lr = leaf(s.images), s.log_lr.detach().exp()
    end = _trained(start, x, s.labels.detach(), lr, seen)
    loss = _apart(end, target) / _apart(start, target)
    found = Outcome.of(loss, images=x)
    end = {name: weight.detach() for name, weight in end.items()}
    yield Outcome(found.loss, {**found.gradients, "log_lr": _newton(start, end, target)})


def tesla(method: TESLA, s: SyntheticSet, _: Films, rng: torch.Generator) -> Iterator[Outcome]:
    """Algorithm 1 of Cui et al., ICML 2023: one step, each gradient at weights held fixed."""
    start, target, seen = _student(method.mtt, s, rng)
    y, alpha = s.labels.detach(), s.log_lr.detach().exp()
    # The first pass adds up the gradients, of which only numbers are kept.
    total, path = {name: torch.zeros_like(weight) for name, weight in start.items()}, []
    for rows, omega in seen:
        path.append({name: start[name] - alpha * total[name] for name in start})
        step = plain_gradient(path[-1], omega(s.images.detach()[rows]), y[rows])
        total = {name: total[name] + step[name] for name in start}
    end = {name: start[name] - alpha * total[name] for name in start}
    went = _apart(start, target)
    along = {
        name: 2 * (alpha * (target[name] - start[name]) + alpha**2 * total[name]) / went
        for name in start
    }
    # The second goes through each of them alone.
    pull = torch.zeros_like(s.images)
    for (rows, omega), theta in zip(seen, path, strict=True):
        x = leaf(s.images)
        step = gradient(leaves(theta), omega(x[rows]), y[rows])
        pull = pull + torch.autograd.grad(inner(along, step), x)[0]
    loss = _apart(end, target) / went
    yield Outcome(loss, {"images": pull, "log_lr": _newton(start, end, target)})


def _unchanged(x: Tensor) -> Tensor:
    return x


def _begun(method: DD | SoftLabel, s: SyntheticSet, rng: torch.Generator) -> Weights:
    """Returns fresh weights, or always the same ones if the method has a seed for them."""
    seed = method.weights_seed
    fixed = rng if seed is None else torch.Generator().manual_seed(seed)
    return method.network.init(fixed, like=s.images)


def _trained(theta: Weights, x: Tensor, y: Tensor, lr: Tensor, seen: Sequence[Seen]) -> Weights:
    """Returns the weights after one step for each of ``seen``, as one graph.

    Args:
        theta: weights before.
        x: images of S.
        y: labels of S.
        lr: step size, () or (T,).
        seen: T rows and augmentations.
    """
    theta = leaves(theta)
    for (rows, omega), rate in zip(seen, lr.expand(len(seen)), strict=True):
        step = gradient(theta, omega(x[rows]), y[rows])
        theta = {name: theta[name] - rate * step[name] for name in theta}
    return theta


def _real_loss(theta: Weights, films: Films, size: int, rng: torch.Generator) -> Tensor:
    """Returns the cross-entropy on real images, the mean over classes."""
    loss = torch.zeros(()).to(films.images)
    for c in range(films.classes):
        real = films.batch(c, size, rng)
        loss = loss + cross_entropy(theta, real, hard(c, real, films.classes)) / films.classes
    return loss


def _student(
    method: MTT, s: SyntheticSet, rng: torch.Generator
) -> tuple[Weights, Weights, list[Seen]]:
    """Draws where an expert was and went, and what a student sees on its way."""
    start, target = method.experts.draw(
        rng, last_start=method.last_start, apart=method.expert_epochs, like=s.images
    )
    seen: list[Seen] = []
    for rows in islice(shuffled(len(s.images), method.batch, rng), method.inner_steps):
        seen.append((rows, draw(rng, method.augment, images=len(rows))))  # noqa: PERF401
    return start, target, seen


def _apart(a: Weights, b: Weights) -> Tensor:
    """Returns the squared distance of two sets of weights, ()."""
    off = {name: a[name] - b[name] for name in a}
    return inner(off, off)


def _newton(start: Weights, end: Weights, target: Weights) -> Tensor:
    """Returns <off, moved> / (|off|^2 + |moved|^2): the step that the log step size is to take."""
    off = {name: end[name] - target[name] for name in end}
    moved = {name: end[name] - start[name] for name in end}
    return inner(off, moved) / (inner(off, off) + inner(moved, moved)).clamp(min=1e-30)
