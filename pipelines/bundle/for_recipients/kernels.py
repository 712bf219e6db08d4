"""Kernels of infinitely wide ReLU networks, and features of low frequencies. Needs torch alone.

own.py regresses with them. The kernels are neural tangent kernels (Jacot et al. 2018,
arXiv:1806.07572; convolutions: Arora et al. 2019, arXiv:1904.11955), with weights of variance 2
over their fan-in and biases of variance 0.01. Everything is in float64.
"""

from math import pi, sqrt

import torch
from torch.nn.functional import avg_pool2d

MOST = 2**22
"""Entries in one map of covariances; films are taken in parts that need no more."""


def dense(x, y):
    """Returns the kernel of a network with one hidden layer, (n, m), for two sets of images."""
    x, y = x.flatten(1).double(), y.flatten(1).double()
    own = x.square().mean(1), y.square().mean(1)
    return tangent(x @ y.T / x.shape[1], *own, [lambda k: k] * 2)


def convolutional(x, y):
    """Returns the kernel of a network with three 3 x 3 convolutions, (n, m)."""
    x, y = x.double(), y.double()
    mixes = [lambda k: avg_pool2d(k, 3, stride=1, padding=1)] * 3 + [lambda k: k.mean((-2, -1))]
    found = []
    for part in x.split(max(MOST // y[:, 0].numel(), 1)):
        k = torch.einsum("nchw,mchw->nmhw", part, y) / y.shape[1]
        found.append(tangent(k, part.square().mean(1), y.square().mean(1), mixes))
    return torch.cat(found)


def tangent(k, xx, yy, mixes):
    """Returns the tangent kernel of dense or convolutional layers with ReLUs between them.

    Args:
        k: covariances of the inputs, (n, m, ...).
        xx: those of the first set with itself, (n, ...).
        yy: those of the second, (m, ...).
        mixes: for each layer, the mean over what one unit reads.
    """
    k, xx, yy = (2 * mixes[0](part) + 0.01 for part in (k, xx, yy))
    ntk = k
    for mix in mixes[1:]:
        scale = (xx[:, None] * yy).sqrt()
        cos = k / scale
        cos = torch.where(cos.abs() > 1 - 1e-14, cos.sign(), cos)  # alike but for rounding
        slope = (pi - cos.arccos()) / (2 * pi)
        k = scale * ((1 - cos.square()).sqrt() / (2 * pi) + slope * cos)
        k, xx, yy = (2 * mix(part) + 0.01 for part in (k, xx / 2, yy / 2))
        ntk = 2 * mix(slope * ntk) + k
    return ntk


KERNELS = {"fc": dense, "conv": convolutional}


def low_frequencies(images):
    """Returns the 100 lowest frequencies of each image's cosine transform, (n, 100).

    Frequency f has the weight (1 + f)^0.5. A vector longer than 1 becomes one of length 1.
    """
    channels, height, width = images.shape[1:]
    u, v = torch.arange(height)[:, None].double(), torch.arange(width).double()
    frequency = (u.square() + v.square()).sqrt()[..., None].expand(-1, -1, channels)
    lowest = frequency.flatten().sort(stable=True).indices[:100]
    waves = cosines(height) @ images.double() @ cosines(width).T
    found = waves.permute(0, 2, 3, 1).flatten(1)[:, lowest]
    weights = (1 + frequency.flatten()[lowest]).sqrt() / (1.8 * sqrt(images[0].numel()))
    found = found * weights
    return found / found.norm(dim=1, keepdim=True).clamp(min=1)


def cosines(size):
    """Returns the orthonormal cosine transform, (size, size): row k has k half turns."""
    k = torch.arange(size).double()[:, None]
    basis = sqrt(2 / size) * torch.cos(pi * (k.T + 0.5) * k / size)
    basis[0] /= sqrt(2)
    return basis


FEATURES = {"dct": low_frequencies}
