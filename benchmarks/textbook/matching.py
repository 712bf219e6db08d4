"""Textbook forms of the methods that match S with T class by class: DM, DC, DSA and IDC."""

import math
from collections.abc import Iterator
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.textbook.plain import (
    Films,
    Outcome,
    Weights,
    bearable,
    embed,
    gradient,
    hard,
    leaf,
    leaves,
    plain_gradient,
    shuffled,
)
from medidd.augment import Augmentation, Operations, draw
from medidd.data import SyntheticSet
from medidd.methods import DC, DM, DSA, IDC


def dm(method: DM, s: SyntheticSet, films: Films, rng: torch.Generator) -> Iterator[Outcome]:
    """Algorithm 1 of Zhao & Bilen, WACV 2023: one step, with a fresh network."""
    require(method, bank=0)
    theta = method.network.init(rng, like=s.images)
    omegas = [draw(rng, method.augment) for _ in range(films.classes)]
    x, loss = leaf(s.images), torch.zeros(()).to(s.images)
    for c, omega in enumerate(omegas):
        real = films.batch(c, method.batch, rng)
        ours = x[c * s.ipc : (c + 1) * s.ipc]
        apart = embed(theta, omega(real)).mean(0) - embed(theta, omega(ours)).mean(0)
        loss = loss + (apart**2).sum()
    yield Outcome.of(loss, images=x)


def dc(method: DC, s: SyntheticSet, films: Films, rng: torch.Generator) -> Iterator[Outcome]:
    """Algorithm 1 of Zhao et al., ICLR 2021: the steps along the path of one network."""
    return _gradients_matched(method, s, films, rng, None)


def dsa(method: DSA, s: SyntheticSet, films: Films, rng: torch.Generator) -> Iterator[Outcome]:
    """Algorithm 1 of Zhao & Bilen, ICML 2021: that of DC under siamese augmentation."""
    return _gradients_matched(method.dc, s, films, rng, method.augment)


def _gradients_matched(
    method: DC, s: SyntheticSet, films: Films, rng: torch.Generator, operations: Operations | None
) -> Iterator[Outcome]:
    """Yields what is found at each update of S; DC draws no augmentation (None)."""
    require(method, sketch=0, repeats=1)

    def drawn(images: int = 1) -> Augmentation:
        return (lambda x: x) if operations is None else draw(rng, operations, images=images)

    theta, lr = method.network.init(rng, like=s.images), 0.0
    if method.inner_steps > 1:
        lr = bearable(theta, s.images, s.labels, method.lr_net)
    for t in range(method.inner_steps):
        # Train the network on S, 256 images a step.
        n = len(s.images)
        steps = method.net_epochs * math.ceil(n / 256) if t else 0
        for rows in islice(shuffled(n, 256, rng), steps):
            shown = drawn(len(rows))(s.images.detach()[rows])
            step = plain_gradient(theta, shown, s.labels[rows])
            theta = {name: theta[name] - lr * step[name] for name in theta}

        omegas = [drawn() for _ in range(films.classes)]
        x, loss = leaf(s.images), torch.zeros(()).to(s.images)
        for c, omega in enumerate(omegas):
            real = films.batch(c, method.batch, rng)
            target = plain_gradient(theta, omega(real), hard(c, real, films.classes))
            rows = slice(c * s.ipc, (c + 1) * s.ipc)
            ours = gradient(leaves(theta), omega(x[rows]), s.labels[rows].detach())
            loss = loss + distance(ours, target)
        yield Outcome.of(loss, images=x)  # the caller steps S here


def distance(a: Weights, b: Weights) -> Tensor:
    """Equation 7 of DC: one minus the cosine for each output unit of each layer.

    Biases, and the scales and shifts of norms, are not compared.
    """
    total = torch.zeros(()).to(next(iter(a.values())))
    for name in a:
        if a[name].ndim > 1:
            one, other = a[name].flatten(1), b[name].flatten(1)
            cosines = (one * other).sum(1) / (one.norm(dim=1) * other.norm(dim=1) + 1e-6)
            total = total + (1 - cosines).sum()
    return total


def idc(method: IDC, s: SyntheticSet, films: Films, rng: torch.Generator) -> Iterator[Outcome]:
    """Algorithm 1 of Kim et al., ICML 2022: all rounds along the path of one network."""
    require(method, sketch=0, repeats=1)

    def all_of(operations: Operations) -> Augmentation:
        drawn = [draw(rng, (name,)) for name in operations]

        def augmented(x: Tensor) -> Tensor:
            for omega in drawn:
                x = omega(x)
            return x

        return augmented

    classes, tiles = films.classes, method.factor**2
    theta = method.network.init(rng, like=s.images)
    velocity = {name: torch.zeros_like(weight) for name, weight in theta.items()}
    for t in range(method.inner_steps):
        # Train the network on real images, by SGD with momentum and weight decay.
        for _ in range(method.net_steps if t else 0):
            omega = all_of(tuple(name for name in method.augment if name != "cutout"))
            mean = {name: torch.zeros_like(weight) for name, weight in theta.items()}
            for c in range(classes):
                real = films.batch(c, max(method.batch // classes, 1), rng)
                step = plain_gradient(theta, omega(real), hard(c, real, classes))
                mean = {name: mean[name] + step[name] / classes for name in theta}
            for name in theta:
                velocity[name] = 0.9 * velocity[name] + mean[name] + 5e-4 * theta[name]
                theta[name] = theta[name] - method.lr_net * velocity[name]

        omegas = [all_of(method.augment) for _ in range(classes)]
        reals = [films.batch(c, method.batch, rng) for c in range(classes)]
        for c, (omega, real) in enumerate(zip(omegas, reals, strict=True)):
            target = plain_gradient(theta, omega(real), hard(c, real, classes))
            x, rows = leaf(s.images), slice(c * s.ipc, (c + 1) * s.ipc)
            shown = omega(formed(x[rows], method.factor, s))
            y = s.labels[rows].detach().repeat_interleave(tiles, 0)
            ours, loss = gradient(leaves(theta), shown, y), torch.zeros(()).to(x)
            for name in theta:
                if theta[name].ndim > 2:  # convolutions alone
                    apart = ours[name] - target[name]
                    loss = loss + (apart**2 if method.metric == "mse" else apart.abs()).sum()
            yield Outcome.of(loss, images=x)  # the caller steps S here


def formed(mosaics: Tensor, factor: int, s: SyntheticSet) -> Tensor:
    """Returns each tile of each mosaic (n, C, H, W), enlarged: (n * factor^2, C, H, W)."""
    n, channels, height, width = mosaics.shape
    high, wide = math.ceil(height / factor), math.ceil(width / factor)
    gray = s.normalization.standardize(mosaics.new_full((1, channels, 1, 1), 0.5))
    whole = gray.expand(n, channels, factor * high, factor * wide).clone()
    whole[:, :, :height, :width] = mosaics
    images = []
    for mosaic in whole:
        for top in range(0, factor * high, high):
            for left in range(0, factor * wide, wide):
                tile = mosaic[None, :, top : top + high, left : left + wide]
                images.append(F.interpolate(tile, size=(height, width), mode="bilinear"))
    return torch.cat(images)


def require(method: DM | DC | IDC, **values: int) -> None:
    """Refuses what is not in the paper.

    Raises:
        ValueError: a field has another value.
    """
    for name, value in values.items():
        if getattr(method, name) != value:
            raise ValueError(f"there is no textbook form for {name} other than {value}")
