"""Textbook forms of the methods that ask for means of all films: class means and moments."""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmarks.textbook.plain import Films, Outcome
from benchmarks.textbook.regression import Adam, regressed
from medidd.data import SyntheticSet
from medidd.features import LowFrequencies
from medidd.methods import RFAD, ClassMean, Moments


def class_mean(
    method: ClassMean, s: SyntheticSet, films: Films, rng: torch.Generator
) -> Iterator[Outcome]:
    """Every image becomes the mean of its class, of films within the display range."""
    means = []
    for c in range(films.classes):
        films_of_class = s.normalization.bounded(films.batch(c, sys.maxsize, rng))
        means += [films_of_class.mean(0)] * s.ipc
    for _ in range(method.steps):
        away = s.images.detach() - torch.stack(means)
        yield Outcome((away**2).mean() / 2, {"images": away})


def moments(
    method: Moments, s: SyntheticSet, films: Films, rng: torch.Generator
) -> Iterator[Outcome]:
    """The images whose regression is that of the films, moved on by RFAD.

    Of the films themselves, where the method has their moments, and so without noise. No class may
    have less than a fiftieth of the films.
    """
    torch.randperm(len(films.images), generator=rng)  # a batch larger than T is the whole of it
    waves = Waves.of(method.features, s.images)
    phi = waves.features(films.images).double()
    known = Known.of(phi, films.labels, films.classes)
    w = _discriminants(known)
    there = _shown(s, waves, waves.pixels(_placed(method, known, w, s.ipc)).to(s.images))
    if method.refined:
        there = _refined(method, waves, known, replace(s, images=there), rng)
    truth = torch.eye(films.classes).to(phi)[films.labels] - 1 / films.classes
    for _ in range(method.steps):
        from_s, middle, _ = _regression(waves, s)
        loss = (((phi - middle) @ from_s - truth) ** 2).mean() / 2
        yield Outcome(loss, {"images": s.images.detach() - there})


@dataclass(frozen=True)
class Waves:
    """The lowest frequencies of the cosine transform, one after another.

    Attributes:
        rows: d orthonormal waves, (d, C, H, W).
        weights: of each, (d,).
    """

    rows: Tensor
    weights: Tensor

    @classmethod
    def of(cls, features: LowFrequencies, like: Tensor) -> "Waves":
        """Returns those of a feature map for images like (n, C, H, W)."""
        channels, height, width = like.shape[1:]
        found = [
            (math.sqrt(u * u + v * v), u, v, c)
            for u in range(height)
            for v in range(width)
            for c in range(channels)
        ]
        kept = sorted(found)[: features.count]

        def cosine(k: int, size: int) -> Tensor:
            turn = torch.cos(torch.pi * k * (torch.arange(size, dtype=torch.double) + 0.5) / size)
            return turn * math.sqrt((1 if k == 0 else 2) / size)

        rows = torch.zeros(len(kept), channels, height, width, dtype=torch.double)
        for row, (_, u, v, c) in zip(rows, kept, strict=True):
            row[c] = cosine(u, height)[:, None] * cosine(v, width)
        scale = features.radius * math.sqrt(channels * height * width)
        weights = [(1 + frequency) ** features.exponent / scale for frequency, *_ in kept]
        return cls(rows.to(like.device), torch.tensor(weights, dtype=torch.double).to(like.device))

    def features(self, x: Tensor, *, clipped: bool = True) -> Tensor:
        """Returns features (n, d) of images (n, C, H, W); clipped, no row is longer than 1."""
        phi = x.flatten(1) @ (self.rows.flatten(1) * self.weights[:, None]).to(x).T
        return phi / phi.norm(dim=1, keepdim=True).clamp(min=1) if clipped else phi

    def pixels(self, phi: Tensor) -> Tensor:
        """Returns the smoothest images (n, C, H, W) with features (n, d)."""
        return torch.einsum("nd,dchw->nchw", phi / self.weights, self.rows)


@dataclass(frozen=True)
class Known:
    """The moments of the films.

    Attributes:
        means: of each class, (K, d).
        within: covariance of the films within their classes, (d, d).
    """

    means: Tensor
    within: Tensor

    @classmethod
    def of(cls, phi: Tensor, labels: Tensor, classes: int) -> "Known":
        """Returns those of features (n, d)."""
        means = torch.stack([phi[labels == c].mean(0) for c in range(classes)])
        off = phi - means[labels]
        return cls(means, off.T @ off / len(off))

    @property
    def apart(self) -> Tensor:
        """The class means from their middle, (K, d)."""
        return self.means - self.means.mean(0)

    def principal(self) -> tuple[Tensor, Tensor]:
        """Returns variances, greatest first, and axes (columns) whose largest entry is positive."""
        values, axes = torch.linalg.eigh(self.within)
        values, axes = values.flip(0).clamp(min=0), axes.flip(1)
        for column in axes.T:
            column *= column[column.abs().argmax()].sign()
        return values, axes


def _discriminants(known: Known) -> Tensor:
    """Returns W (d, K) of linear discriminant analysis, exact at each class mean."""
    d, apart = len(known.within), known.apart
    floor = 1e-3 * known.within.trace() / d * torch.eye(d).to(apart)
    direction = torch.linalg.solve(known.within + floor, apart.T)
    labels = torch.eye(len(apart)).to(apart) - 1 / len(apart)
    return direction @ torch.linalg.pinv(apart @ direction, rtol=1e-10) @ labels


def _placed(method: Moments, known: Known, w: Tensor, ipc: int) -> Tensor:
    """Returns features (K * ipc, d) from which regression finds W, image after image."""
    apart, (values, axes) = known.apart, known.principal()
    classes = len(apart)
    many = min(ipc - 1, len(values))

    def wave(j: int, k: int) -> float:
        return math.sqrt(2) * math.cos(math.pi * (j + 0.5) * k / ipc)

    deviations = torch.zeros(classes, ipc, len(w)).to(w)
    for j in range(ipc):
        for k in range(many):
            deviations[:, j] += method.spread * wave(j, k + 1) * values[k].sqrt() * axes[:, k]
    deviations = deviations - deviations @ w @ apart  # W does not see them
    sign = w.new_tensor([wave(j, 1) if ipc > 1 else 1.0 for j in range(ipc)])
    pattern = torch.einsum("j,cjd->cd", sign, deviations) / ipc
    pattern = pattern - pattern.mean(0)
    deviations = deviations - sign[:, None] * pattern[:, None]
    # What of W is in neither the means nor the deviations.
    others = torch.cat([apart, deviations.flatten(0, 1)])
    rest = torch.zeros_like(deviations)
    for c in range(classes):
        left = w[:, c] - w[:, c] @ torch.linalg.pinv(others, rtol=1e-10) @ others
        seen, whole = left @ w[:, c], w[:, c] @ w[:, c]
        if seen > 1e-8 * whole:
            size = method.tilt if ipc > 1 else method.lean * min(float(seen / whole), 1.0)
            rest[c] = sign[:, None] * size * (1 - 1 / classes) / seen * left
    rest = rest - rest @ w @ apart
    return (known.means[:, None] + deviations + rest).flatten(0, 1)


def _shown(s: SyntheticSet, waves: Waves, pixels: Tensor) -> Tensor:
    """Returns images as large as a screen shows and as features see without clipping."""
    low, high = s.normalization.limits(pixels)
    pixels = pixels / torch.maximum(pixels / high, pixels / low).max().clamp(min=1)
    longest = waves.features(pixels, clipped=False).norm(dim=1).max()
    return pixels / longest.clamp(min=1)


def _regression(waves: Waves, s: SyntheticSet) -> tuple[Tensor, Tensor, Tensor]:
    """Returns W (d, K) from S, the middle of its features (d,), and the pattern of W (n, K)."""
    phi, y = waves.features(s.images.detach().double()), s.labels.detach().double()
    inverse = torch.linalg.pinv(phi - phi.mean(0), rtol=1e-4)
    w = inverse @ (y - y.mean(0))
    return w, phi.mean(0), inverse.T @ w


def _refined(
    method: Moments, waves: Waves, known: Known, s: SyntheticSet, rng: torch.Generator
) -> Tensor:
    """Returns the images after steps of RFAD on images drawn from the Gaussians of ``known``."""
    rfad = RFAD(method.network, method.refined, lr_images=method.lr_images, batch=method.drawn)
    start, (w, _, pattern) = s.images.double(), _regression(waves, s)
    adam, (values, axes) = Adam(method.lr_images), known.principal()
    root = axes * values.sqrt() @ axes.T

    def drawn(c: int) -> Tensor:
        noise = torch.randn(method.drawn, len(root), generator=rng, dtype=torch.double)
        phi = known.means[c] + noise.to(root) @ root
        phi = phi / phi.norm(dim=1, keepdim=True).clamp(min=1)
        return s.normalization.bounded(waves.pixels(phi).to(s.images))

    for t in range(method.refined):
        thetas = [rfad.network.init(rng, like=s.images)]
        pull = regressed(rfad, thetas, s, drawn, rng).gradients["images"]
        adam.lr = method.lr_images * (1 + math.cos(math.pi * t / method.refined)) / 2
        x = s.normalization.bounded(adam({"x": s.images}, {"x": pull})["x"])
        # Of the move, what changes the regression is taken back.
        e = waves.features(x.double() - start, clipped=False)
        allowed = e - pattern @ torch.linalg.pinv(pattern, rtol=1e-10) @ e
        allowed = allowed - allowed @ w @ torch.linalg.pinv(w, rtol=1e-10)
        s = replace(s, images=x + waves.pixels(allowed - e).to(x))
    return _shown(s, waves, s.images.double()).to(s.images)
