"""Feature maps of public constants: what a method may ask moments of, and regression on them.

The map and its bound were fixed before any film was seen. So the moments of the features have a
sensitivity that everybody knows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod, sqrt
from typing import Protocol

import torch
from torch import Tensor

from medidd.data import SyntheticSet

ROUNDING = 1e-4
"""Directions shorter than this, beside the longest in S, are what rounding to 16 bits leaves."""

LARGE = 1e3
"""No image that can be shown, divided by this, has features long enough to be clipped."""


class Features(Protocol):
    """A public map from images to short vectors.

    Every map is normalised: no image, whatever its pixels, has features longer than 1.
    """

    def dim(self, shape: Sequence[int]) -> int:
        """Returns d for images of a shape (C, H, W)."""

    def __call__(self, images: Tensor) -> Tensor:
        """Returns features (n, d) of standardised images (n, C, H, W); no row is longer than 1."""

    def pixels(self, features: Tensor, like: Tensor) -> Tensor:
        """Returns images (n, C, H, W) with features (n, d), as nearly as there are such images.

        Args:
            features: no longer than 1.
            like: images (any number, C, H, W) of the same shape.
        """


@dataclass(frozen=True)
class LowFrequencies:
    """The lowest frequencies of the discrete cosine transform, weighted as natural images call for.

    The amplitudes of natural images fall with frequency as 1 / f (Field, J. Opt. Soc. Am. A, 1987).
    Weights of (1 + f)^exponent raise what is small: with exponent 1 all frequencies count alike,
    with 0 they count as they are in the pixels.

    The map is linear up to ``radius``, where it is clipped, so there is a way back to pixels.

    Attributes:
        count: d, coefficients kept; images with fewer pixels give as many as they have.
        exponent: of the weights.
        radius: length of the weighted coefficients that becomes 1. Longer ones are clipped.
    """

    count: int = 100
    exponent: float = 0.5
    radius: float = 1.8

    def __post_init__(self) -> None:
        if not (self.count > 0 and self.radius > 0):
            raise ValueError(
                f"count and radius must be above 0, not {self.count} and {self.radius}"
            )

    def dim(self, shape: Sequence[int]) -> int:
        """Returns d for images of a shape (C, H, W)."""
        return min(self.count, prod(shape))

    def __call__(self, images: Tensor) -> Tensor:
        """Returns features (n, d) of images (n, C, H, W); no row is longer than 1."""
        features = images.flatten(1) @ self._basis(images)
        clipped: Tensor = features / features.norm(dim=1, keepdim=True).clamp(min=1)
        return clipped

    def pixels(self, features: Tensor, like: Tensor) -> Tensor:
        """Returns the smoothest images (n, C, H, W) with features (n, d), of the shape of ``like``.

        Args:
            features: no longer than 1, or they are not the features of what is returned.
            like: images (any number, C, H, W).
        """
        basis = self._basis(like)
        # The columns are orthogonal: the transpose, divided by their squared lengths, is the
        # pseudo-inverse.
        back = basis / basis.square().sum(0)
        images: Tensor = (features.to(basis) @ back.T).view(-1, *like.shape[1:])
        return images

    def _basis(self, like: Tensor) -> Tensor:
        """Returns the weighted cosines as columns, (C H W, d), for images (n, C, H, W)."""
        return _columns(self, *like.shape[1:]).to(like)


@lru_cache(maxsize=4)  # a private source asks about every patient alone
def _columns(of: LowFrequencies, channels: int, height: int, width: int) -> Tensor:
    u, v = torch.arange(height)[:, None].double(), torch.arange(width).double()
    # Half turns along a side. Equal ones stay in a fixed order, and channels together.
    frequency = (u.square() + v.square()).sqrt()[..., None].expand(-1, -1, channels).flatten()
    order = frequency.sort(stable=True).indices[: of.dim((channels, height, width))]
    row, column, channel = order // channels // width, order // channels % width, order % channels
    waves = cosines(height)[row][:, :, None] * cosines(width)[column][:, None, :]  # (d, H, W)
    # Divided by the root of the number of pixels, images mean the same at any size.
    scale = of.radius * sqrt(height * width * channels)
    weights = (1 + frequency[order]) ** of.exponent / scale
    basis = torch.zeros(len(order), channels, height, width, dtype=torch.double)
    basis[torch.arange(len(order)), channel] = waves * weights[:, None, None]
    return basis.flatten(1).T.contiguous()


FEATURES: dict[str, Callable[[], Features]] = {"dct": LowFrequencies}
"""Makers of feature maps by name."""


def cosines(size: int) -> Tensor:
    """Returns the orthonormal cosine transform, (size, size) in float64: row k has k half turns."""
    k = torch.arange(size, dtype=torch.double)[:, None]
    basis: Tensor = sqrt(2 / size) * torch.cos(torch.pi * (k.T + 0.5) * k / size)
    basis[0] /= sqrt(2)
    return basis


def unclipped(features: Features, images: Tensor) -> Tensor:
    """Returns features (n, d) of images (n, C, H, W), longer than 1 where the images call for it.

    Args:
        features: linear where they are not clipped.
        images: such as can be shown.
    """
    return features(images / LARGE) * LARGE


def regression(features: Features, s: SyntheticSet) -> tuple[Tensor, Tensor, Tensor]:
    """Returns W (d, K), the middle of the features of S (d,), and the pattern a (n, K)."""
    phi = features(s.images.detach().double())
    middle, y = phi.mean(0), s.labels.detach().double()
    inverse = torch.linalg.pinv(phi - middle, rtol=ROUNDING)
    w = inverse @ (y - y.mean(0))
    return w, middle, inverse.T @ w


@dataclass(frozen=True)
class Kept:
    """The moves of S after which the regression from S is the same.

    Let P (n, d) be the features of S minus their mean, y (n, K) the labels minus theirs, and
    W = P^+ y the regression from S. Where it is exact, P W = y. As the shortest solution it also
    has a pattern a (n, K) over the images with W = P^T a. Let the features move by E. If

        E W = 0  and  a^T E = 0,

    then (P + E) W = y and (P + E)^T a = W: the regression is still W. Both conditions are linear,
    so any move has a nearest one that meets them. It loses little: what W sees of each image, and
    K - 1 patterns over the images. What the features do not see is free.

    Attributes:
        features: linear where they are not clipped.
        start: the images before they move, (n, C, H, W) in float64.
        w: the regression from them, (d, K).
        pattern: a, the combination of the images' features that is w, (n, K).
    """

    features: Features
    start: Tensor
    w: Tensor
    pattern: Tensor

    @classmethod
    def of(cls, features: Features, s: SyntheticSet) -> "Kept":
        """Returns those of S as it is now, whose features are not clipped."""
        w, _, pattern = regression(features, s)
        return cls(features, s.images.detach().double().clone(), w, pattern)

    def __call__(self, images: Tensor) -> Tensor:
        """Returns the nearest images (n, C, H, W), by their features, from which W follows."""
        moved = images.detach().double() - self.start
        e = unclipped(self.features, moved)
        allowed = e - self.pattern @ torch.linalg.pinv(self.pattern, rtol=1e-10) @ e
        allowed = allowed - allowed @ self.w @ torch.linalg.pinv(self.w, rtol=1e-10)
        return images.detach() + self.features.pixels(allowed - e, moved).to(images)
