"""The inner loop: gradient descent of a network on S, plain or differentiated.

``descend`` only wants the weights at the end. ``Unrolled`` also pulls a gradient at the end back to
S, by the reverse recursion of Maclaurin et al. (ICML 2015, arXiv:1502.03492) that dataset
distillation builds on (Wang et al. 2018, arXiv:1811.10959, Algorithm 1): with g_t the gradient of
the loss on S at theta_t and lambda_T the gradient at the end,

    theta_{t+1} = theta_t - lr g_t
    dS      += d/dS      <g_t, -lr lambda_{t+1}>
    dlr     += -<g_t, lambda_{t+1}>
    lambda_t = lambda_{t+1} + d/dtheta <g_t, -lr lambda_{t+1}>

It is exact, and keeps the weights of each step but only one step's graph.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from medidd.network import Network, Weights


def loss_on(f: Network, theta: Weights, x: Tensor, y: Tensor) -> Tensor:
    """Returns the mean cross-entropy against soft labels y (n, K), ()."""
    return cross_entropy(f(theta, x), y)


def gradient(
    f: Network, theta: Weights, x: Tensor, y: Tensor, *, create_graph: bool = False
) -> Weights:
    """Returns the gradient of ``loss_on`` with respect to the weights."""
    with torch.enable_grad():
        if not create_graph:
            theta = {name: weight.detach().requires_grad_() for name, weight in theta.items()}
        loss = loss_on(f, theta, x, y)
        grads = torch.autograd.grad(loss, list(theta.values()), create_graph=create_graph)
    return dict(zip(theta, grads, strict=True))


def descend(
    f: Network, theta: Weights, x: Tensor, y: Tensor, *, lr: float | Tensor, steps: int
) -> Weights:
    """Returns the weights after ``steps`` full-batch steps on images x and soft labels y."""
    x, y = x.detach(), y.detach()
    for _ in range(steps):
        step = gradient(f, theta, x, y)
        theta = {name: weight - lr * step[name] for name, weight in theta.items()}
    return theta


@dataclass(frozen=True)
class Pull:
    """Gradients with respect to S.

    Attributes:
        images: (N, C, H, W).
        labels: (N, K).
        lr: with respect to the step size itself, ().
    """

    images: Tensor
    labels: Tensor
    lr: Tensor


class Unrolled:
    """``steps`` full-batch steps from theta on (x, y), whose end can be pulled back to S.

    Attributes:
        end: the weights after the last step.
    """

    def __init__(
        self, f: Network, theta: Weights, x: Tensor, y: Tensor, *, lr: Tensor, steps: int
    ) -> None:
        self._f, self._x, self._y, self._lr = f, x.detach(), y.detach(), lr.detach()
        self._path = [theta]
        for _ in range(steps):
            self._path.append(descend(f, self._path[-1], x, y, lr=self._lr, steps=1))
        self.end = self._path[-1]

    def pull(self, adjoint: Weights) -> Pull:
        """Returns the gradients of L with respect to S, given dL/dtheta at the end."""
        x = self._x.clone().requires_grad_()
        y = self._y.clone().requires_grad_()
        dx, dy, dlr = torch.zeros_like(x), torch.zeros_like(y), torch.zeros_like(self._lr)
        for theta in reversed(self._path[:-1]):
            leaves = {name: weight.detach().requires_grad_() for name, weight in theta.items()}
            g = gradient(self._f, leaves, x, y, create_graph=True)
            along = torch.stack([(g[name] * adjoint[name]).sum() for name in g]).sum()
            grads = torch.autograd.grad(-self._lr * along, [x, y, *leaves.values()])
            dx, dy, dlr = dx + grads[0], dy + grads[1], dlr - along.detach()
            adjoint = {
                name: adjoint[name] + step for name, step in zip(leaves, grads[2:], strict=True)
            }
        return Pull(dx, dy, dlr)


def toward(loss: Tensor, pulls: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Returns a scalar of the value of ``loss`` with given gradients.

    Methods that compute the gradient with respect to S by hand yield this, so that the one outer
    loop can treat every method alike.

    Args:
        loss: the value, ().
        pulls: pairs of a learned tensor and the gradient it is to receive.
    """
    linear = torch.stack([(tensor * grad.detach()).sum() for tensor, grad in pulls]).sum()
    return loss.detach() + (linear - linear.detach())
