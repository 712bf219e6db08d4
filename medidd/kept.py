"""Lets the images of S move without changing the regression from them.

Let P (n, d) be the features of S minus their mean, y (n, K) the centred labels, and W = P^+ y the
regression from S. Where it is exact, P W = y. As the shortest solution it also has a pattern a
(n, K) over the images with W = P^T a. Let the features move by E. If

    E W = 0  and  a^T E = 0,

then (P + E) W = y and (P + E)^T a = W: the regression is still W. Both conditions are linear, so
any move has a nearest one that meets them. It loses little: what W sees of each image, and one
pattern for every two classes. What the features do not see is free.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from medidd.data import SyntheticSet
from medidd.features import Features
from medidd.kernels import centered

ROUNDING = 1e-4
"""Directions shorter than this, beside the longest in S, are what rounding to 16 bits leaves."""

LARGE = 1e3
"""No image that can be shown, divided by this, has features long enough to be clipped."""


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
    middle, y = phi.mean(0), centered(s.labels.detach())
    inverse = torch.linalg.pinv(phi - middle, rtol=ROUNDING)
    w = inverse @ (y - y.mean(0))
    return w, middle, inverse.T @ w


@dataclass(frozen=True)
class Kept:
    """The moves of S after which the regression from S is the same.

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
