"""Kernels of infinitely wide networks, and the regression that uses them.

Jacot, Gabriel & Hongler, NeurIPS 2018, arXiv:1806.07572; convolutions: Arora et al., NeurIPS 2019,
arXiv:1904.11955, in the parameterization of Novak et al., ICLR 2020, arXiv:1912.02803.

A ReLU network of infinite width, trained to the end by gradient descent on squared error, predicts
the same as kernel regression with its neural tangent kernel. Weights have a variance of 2 over
their fan-in and biases one of 0.01. Let k be the covariance of two inputs' activations, xx and yy
those of each with itself, and t the angle between the two:

    affine   k <- 2 mean(k) + 0.01,                                  ntk <- 2 mean(ntk) + k
    ReLU     k <- sqrt(xx yy) (sin t + (pi - t) cos t) / (2 pi),     ntk <- (pi - t) / (2 pi) ntk

The mean is over what one unit reads: the whole image, the 3 x 3 pixels around it, or only itself.
All values are in float64, because the matrices are close to singular.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import pi
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d
from torch.utils.checkpoint import checkpoint

WEIGHT_VARIANCE = 2.0
BIAS_VARIANCE = 0.01

RIDGE = 1e-6
"""The papers' lambda, in units of the mean of the kernel's diagonal."""

MAP = 2**22
"""Most entries in one map of covariances; a chain of 3 layers keeps about 30 maps."""

# By rounding alone, the cosine of an image with itself differs from 1 by less than this.
_CLOSE = 1e-14

Mix = Callable[[Tensor], Tensor]


class Kernel(Protocol):
    """A positive semidefinite function of two images."""

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Returns k(x_i, y_j), (n, m) in float64, for images (n, C, H, W) and (m, C, H, W)."""


@dataclass(frozen=True)
class FCKernel:
    """The tangent kernel of fully connected ReLU networks.

    Attributes:
        depth: hidden layers.
    """

    depth: int = 1

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Returns k(x_i, y_j), (n, m) in float64."""
        x, y = x.flatten(1).double(), y.flatten(1).double()
        return _ntk(
            x @ y.T / x.shape[1],
            x.square().mean(1),
            y.square().mean(1),
            [lambda k: k] * (self.depth + 1),
        )


@dataclass(frozen=True)
class ConvKernel:
    """The tangent kernel of convolutional ReLU networks with a flattened read-out.

    Without pooling, only covariances of pixels at the same place are needed: n m H W values.

    Attributes:
        depth: layers of 3 x 3 convolutions, stride 1, padded with zeros.
    """

    depth: int = 3

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Returns k(x_i, y_j), (n, m) in float64."""
        parts = torch.split(x, max(MAP // y[:, 0].numel(), 1))
        if len(parts) == 1 or not torch.is_grad_enabled():
            return torch.cat([self._rows(part, y) for part in parts])
        # Keeping the maps of all parts would need the memory that splitting saves.
        again = partial(checkpoint, self._rows, use_reentrant=False, preserve_rng_state=False)
        return torch.cat([again(part, y) for part in parts])

    def _rows(self, x: Tensor, y: Tensor) -> Tensor:
        x, y = x.double(), y.double()
        return _ntk(
            torch.einsum("nchw,mchw->nmhw", x, y) / x.shape[1],
            x.square().mean(1),
            y.square().mean(1),
            [_neighbors] * self.depth + [lambda k: k.mean((-2, -1))],
        )


KERNELS: dict[str, Callable[[], Kernel]] = {"fc": FCKernel, "conv": ConvKernel}
"""Makers of kernels by name."""


def ridge(k_ss: Tensor, strength: float = RIDGE) -> Tensor:
    """Returns K + strength * tr(K) / n * I for a kernel matrix (n, n), in float64."""
    k_ss = k_ss.double()
    return k_ss + strength * k_ss.trace() / len(k_ss) * torch.eye(len(k_ss)).to(k_ss)


def require_ridge(strength: float) -> None:
    """Checks a ridge: without one, images of S that are alike make the matrix singular.

    Raises:
        ValueError: it is not above 0.
    """
    if not strength > 0:
        raise ValueError(f"the ridge must be above 0, not {strength}")


def centered(labels: Tensor) -> Tensor:
    """Returns labels (n, K) minus 1 / K, in float64: the targets of kernel regression.

    So an image unlike all of S, with small kernel values, gets all classes equally.
    """
    return labels.double() - 1 / labels.shape[1]


def regression(kernel: Kernel, x: Tensor, y: Tensor, strength: float = RIDGE) -> Tensor:
    """Fits kernel regression to images x (n, C, H, W) and soft labels y (n, K).

    Returns:
        alpha, (n, K): the prediction for an image t is kernel(t, x) @ alpha, a centred label.
    """
    return _solved(kernel(x, x), y, strength)


def on_features(phi: Tensor, y: Tensor, strength: float = RIDGE) -> Tensor:
    """Fits ridge regression to feature vectors phi (n, D) in float64 and soft labels y (n, K).

    Returns:
        W, (D, K): the prediction for features h is h @ W, a centred label.
    """
    return phi.T @ _solved(phi @ phi.T, y, strength)


def _solved(k_ss: Tensor, y: Tensor, strength: float) -> Tensor:
    factor = torch.linalg.cholesky(ridge(k_ss, strength))
    return torch.cholesky_solve(centered(y), factor)


def classifier(
    kernel: Kernel, x: Tensor, y: Tensor, strength: float = RIDGE, chunk: int = 256
) -> Callable[[Tensor], Tensor]:
    """Returns a function from images (n, C, H, W) to probabilities (n, K), fitted to x and y.

    The prediction itself may be negative. Its softmax is not, and keeps the order of an image's
    classes; with two classes, also the order of images. It does not show how sure a prediction is.
    """
    with torch.no_grad():
        alpha = regression(kernel, x, y, strength)

    @torch.no_grad()
    def classify(images: Tensor) -> Tensor:
        scores = torch.cat([kernel(part, x) @ alpha for part in torch.split(images, chunk)])
        return scores.softmax(1).to(images)

    return classify


def _ntk(k: Tensor, xx: Tensor, yy: Tensor, mixes: Sequence[Mix]) -> Tensor:
    """Returns the tangent kernel of affine layers with ReLUs between them.

    Args:
        k: covariances of the inputs, (n, m, ...).
        xx: those of x with itself, (n, ...).
        yy: those of y with itself, (m, ...).
        mixes: for each affine layer, the mean over what one unit reads.
    """
    first, *others = mixes
    k, xx, yy = (_affine(first(part)) for part in (k, xx, yy))
    ntk = k
    for mix in others:
        k, slope = _relu(k, xx, yy)
        k, xx, yy = (_affine(mix(part)) for part in (k, xx / 2, yy / 2))
        ntk = WEIGHT_VARIANCE * mix(slope * ntk) + k
    return ntk


def _affine(k: Tensor) -> Tensor:
    return WEIGHT_VARIANCE * k + BIAS_VARIANCE


def _relu(k: Tensor, xx: Tensor, yy: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the covariances after a ReLU, and those of its derivative, each like ``k``."""
    scale = (xx[:, None] * yy).sqrt()
    cos = k / scale
    # If two inputs are alike the ntk has a cusp: the derivative of arccos is infinite there. Taking
    # the sign instead stops the gradient. This is right on the diagonal of a matrix, because the
    # angle of an image with itself does not change.
    cos = torch.where(cos.abs() > 1 - _CLOSE, cos.sign(), cos)
    slope = (pi - cos.arccos()) / (2 * pi)
    return scale * ((1 - cos.square()).sqrt() / (2 * pi) + slope * cos), slope


def _neighbors(k: Tensor) -> Tensor:
    """Returns the mean over 3 x 3 pixels, those outside being 0, (..., H, W)."""
    return avg_pool2d(k, 3, stride=1, padding=1)
