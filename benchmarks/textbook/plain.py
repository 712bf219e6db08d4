"""What every textbook form is made of: a plain network, its gradient, and batches of films.

Nothing here is fast. A network is a dict of weights and the functions of torch, a gradient is
``torch.autograd.grad``, and a loss is written as in the papers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Films:
    """T.

    Attributes:
        images: standardised intensities, (n, C, H, W).
        labels: hard labels, (n,).
        classes: K.
    """

    images: Tensor
    labels: Tensor
    classes: int

    def batch(self, label: int, size: int, rng: torch.Generator) -> Tensor:
        """Returns ``size`` images of a class, or all if there are fewer, (m, C, H, W)."""
        rows = (self.labels == label).nonzero()[:, 0]
        drawn = torch.randperm(len(rows), generator=rng)[:size]
        return self.images[rows[drawn.to(rows.device)]]


@dataclass(frozen=True)
class Outcome:
    """What one outer step finds.

    Attributes:
        loss: its value, ().
        gradients: what each learned tensor of S receives, by name.
    """

    loss: Tensor
    gradients: dict[str, Tensor]

    @classmethod
    def of(cls, loss: Tensor, **learned: Tensor) -> "Outcome":
        """Differentiates a loss with respect to tensors, each under its name in S."""
        grads = torch.autograd.grad(loss, list(learned.values()))
        return cls(loss.detach(), dict(zip(learned, grads, strict=True)))


def leaf(tensor: Tensor) -> Tensor:
    """Returns a copy to differentiate with respect to."""
    return tensor.detach().clone().requires_grad_()


def leaves(theta: Weights) -> Weights:
    """Returns copies of weights to differentiate with respect to."""
    return {name: leaf(weight) for name, weight in theta.items()}


def embed(theta: Weights, x: Tensor) -> Tensor:
    """Returns the features (n, D) of images (n, C, H, W).

    The weights tell the network: a ConvNet with instance norm and average pooling, or an MLP of
    three layers.
    """
    if "features.0.weight" not in theta:
        x = x.flatten(1)
        for layer in (1, 3):
            x = F.linear(x, theta[f"features.{layer}.weight"], theta[f"features.{layer}.bias"])
            x = F.relu(x)
        return x
    layer = 0  # a block is a convolution, its norm, a ReLU and a pooling
    while f"features.{layer}.weight" in theta:
        weight, bias = theta[f"features.{layer}.weight"], theta[f"features.{layer}.bias"]
        x = F.conv2d(x, weight, bias, padding=1)
        scale, shift = theta[f"features.{layer + 1}.weight"], theta[f"features.{layer + 1}.bias"]
        x = F.group_norm(x, len(weight), scale, shift)
        x = F.relu(x)
        x = F.avg_pool2d(x, 2)
        layer += 4
    return x.flatten(1)


def logits(theta: Weights, x: Tensor) -> Tensor:
    """Returns logits (n, K) for images (n, C, H, W)."""
    return F.linear(embed(theta, x), theta["classifier.weight"], theta["classifier.bias"])


def cross_entropy(theta: Weights, x: Tensor, y: Tensor) -> Tensor:
    """Returns the mean of -sum_k y_k log p_k over images (n, C, H, W) with labels (n, K), ()."""
    return -(y * logits(theta, x).log_softmax(1)).sum(1).mean()


def hard(label: int, x: Tensor, classes: int) -> Tensor:
    """Returns the labels of images of one class, (n, K)."""
    y = x.new_zeros(len(x), classes)
    y[:, label] = 1
    return y


def gradient(theta: Weights, x: Tensor, y: Tensor) -> Weights:
    """Returns the gradient of the cross-entropy, as a graph that can be differentiated again.

    The weights must require gradients.
    """
    loss = cross_entropy(theta, x, y)
    grads = torch.autograd.grad(loss, list(theta.values()), create_graph=True)
    return dict(zip(theta, grads, strict=True))


def plain_gradient(theta: Weights, x: Tensor, y: Tensor) -> Weights:
    """Returns the gradient of the cross-entropy as numbers, of which nothing is differentiated."""
    theta = leaves(theta)
    grads = torch.autograd.grad(cross_entropy(theta, x.detach(), y.detach()), list(theta.values()))
    return dict(zip(theta, grads, strict=True))


def inner(left: Weights, right: Weights) -> Tensor:
    """Returns the inner product of two sets of weights, ()."""
    total = torch.zeros(()).to(next(iter(left.values())))
    for name in left:
        total = total + (left[name] * right[name]).sum()
    return total


def shuffled(n: int, size: int, rng: torch.Generator) -> Iterator[Tensor]:
    """Yields row numbers of batches, epoch after epoch; a small set is one batch in its order."""
    while True:
        order = torch.arange(n) if size >= n else torch.randperm(n, generator=rng)
        for begin in range(0, n, size):
            yield order[begin : begin + size]


def bearable(theta: Weights, x: Tensor, y: Tensor, lr: float) -> float:
    """Returns ``lr``, or the reciprocal of the greatest curvature of the loss if that is less.

    Ten steps of power iteration with the Hessian of all weights, from a vector of seed 0.
    """
    rng, x, y, theta = torch.Generator().manual_seed(0), x.detach(), y.detach(), leaves(theta)
    v = {
        name: torch.randn(weight.shape, generator=rng).to(weight) for name, weight in theta.items()
    }
    for _ in range(10):
        length = inner(v, v).sqrt()
        unit = {name: part / length.clamp(min=1e-30) for name, part in v.items()}
        slope = inner(gradient(theta, x, y), unit)
        grads = torch.autograd.grad(slope, list(theta.values()))
        v = dict(zip(theta, grads, strict=True))
    return min(lr, 1 / max(float(inner(v, v).sqrt()), 1e-30))
