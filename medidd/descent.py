"""The inner loop: gradient descent of a network on S, plain or differentiated.

``descend`` only wants the weights at the end. ``Unrolled`` also pulls a gradient at the end back to
S, by the reverse recursion of Maclaurin et al. (ICML 2015, arXiv:1502.03492) that dataset
distillation builds on (Wang et al. 2018, arXiv:1811.10959, Algorithm 1): with g_t the gradient of
the loss on the batch of step t at theta_t and lambda_T the gradient at the end,

    theta_{t+1} = theta_t - lr_t g_t
    dS      += d/dS      <g_t, -lr_t lambda_{t+1}>
    dlr_t    = -<g_t, lambda_{t+1}>
    lambda_t = lambda_{t+1} + d/dtheta <g_t, -lr_t lambda_{t+1}>

It is exact, and keeps the weights of each step, but the graphs of some steps only.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from medidd.machine.graphs import holding, spare
from medidd.network import Network, Weights


def loss_on(f: Network, theta: Weights, x: Tensor, y: Tensor) -> Tensor:
    """Returns the mean cross-entropy against soft labels y (n, K), ()."""
    return cross_entropy(f(theta, x), y)


def loss_and_gradient(
    f: Network, theta: Weights, x: Tensor, y: Tensor, *, create_graph: bool = False
) -> tuple[Tensor, Weights]:
    """Returns ``loss_on`` and its gradient with respect to the weights.

    With ``create_graph`` the gradient can be differentiated; the weights must require gradients.
    """
    with torch.enable_grad():
        if not create_graph:
            theta = leaves(theta)
        loss = loss_on(f, theta, x, y)
        grads = torch.autograd.grad(loss, list(theta.values()), create_graph=create_graph)
    return loss.detach(), dict(zip(theta, grads, strict=True))


def gradient(
    f: Network, theta: Weights, x: Tensor, y: Tensor, *, create_graph: bool = False
) -> Weights:
    """Returns the gradient of ``loss_on`` with respect to the weights."""
    return loss_and_gradient(f, theta, x, y, create_graph=create_graph)[1]


def leaves(theta: Weights) -> Weights:
    """Returns the same weights, as tensors of their own that require gradients."""
    return {name: weight.detach().requires_grad_() for name, weight in theta.items()}


def minus(theta: Weights, lr: float | Tensor, step: Weights) -> Weights:
    """Returns theta - lr * step, in one pass over each weight."""
    if isinstance(lr, Tensor):
        return {n: torch.addcmul(weight, lr, step[n], value=-1) for n, weight in theta.items()}
    return {n: torch.sub(weight, step[n], alpha=lr) for n, weight in theta.items()}


def batches(n: int, size: int, rng: torch.Generator) -> Iterator[Tensor]:
    """Yields row numbers of batches without end: every row once before any comes again.

    Args:
        n: rows.
        size: rows per batch, save the last of an epoch, which may have fewer; a smaller set is
            given whole each time, in its own order.
        rng: shuffles.
    """
    order = torch.arange(n)
    while size >= n:
        yield order
    while True:
        yield from torch.split(torch.randperm(n, generator=rng), size)


SHARE = 1.0
"""Of the reciprocal of the greatest curvature, how much a step is. Descent diverges from 2 on; half
of that leaves room for the curvature to grow while S, or the network on it, is trained."""

POWERS = 10
"""Steps of power iteration. The greatest curvature stands out, so that a few are enough."""


def bearable(f: Network, theta: Weights, x: Tensor, y: Tensor, lr: float) -> float:
    """Returns ``lr``, or what the network bears on S if that is less.

    Gradient descent on a quadratic loss diverges along a direction of curvature c if its step size
    is above 2 / c. A step size that is fixed therefore suits networks up to some width alone: for
    features h(x), K classes and predictions p, the curvature of cross-entropy is at least that of
    the last layer,

        lambda_max(mean_i h_i h_i^T (x) (diag p_i - p_i p_i^T)) ~ mean |h|^2 / K   where p = 1 / K

    and behind an instance norm |h|^2 grows with the number of features D = width * side^2. So a
    step of 1 / lambda_max moves the predictions of networks of all widths alike (Jacot et al.,
    NeurIPS 2018, arXiv:1806.07572; Lee et al., NeurIPS 2019, arXiv:1902.06720). Here lambda_max is
    that of the Hessian with respect to all weights, found by power iteration from a public vector.
    It is only ever an upper limit: a network without norms begins with little curvature and gains
    it while it is trained.

    Args:
        f: the network.
        theta: its weights where the descent begins.
        x: images of S, (N, C, H, W).
        y: labels of S, (N, K).
        lr: the step size asked for.
    """
    x, y, theta = x.detach(), y.detach(), leaves(theta)
    rng = torch.Generator().manual_seed(0)
    along = {name: torch.randn(w.shape, generator=rng).to(w) for name, w in theta.items()}
    length = norm(along)
    with torch.enable_grad():
        g = gradient(f, theta, x, y, create_graph=True)
        for _ in range(POWERS):
            unit = {name: (v / length.clamp(min=1e-30)) for name, v in along.items()}
            slope = torch.stack([(g[name] * unit[name]).sum() for name in g]).sum()
            bent = torch.autograd.grad(slope, list(theta.values()), retain_graph=True)
            along = dict(zip(theta, bent, strict=True))
            length = norm(along)
    return min(lr, SHARE / max(length.item(), 1e-30))


def squared(theta: Weights) -> Tensor:
    """Returns the squared Euclidean length of all weights together, ()."""
    return torch.stack([(weight * weight).sum() for weight in theta.values()]).sum()


def norm(theta: Weights) -> Tensor:
    """Returns their Euclidean length, ()."""
    return squared(theta).sqrt()


def descend(
    f: Network, theta: Weights, x: Tensor, y: Tensor, *, lr: float | Tensor, steps: int
) -> Weights:
    """Returns the weights after ``steps`` full-batch steps on images x and soft labels y."""
    x, y = x.detach(), y.detach()
    for _ in range(steps):
        theta = minus(theta, lr, gradient(f, theta, x, y))
    return theta


@dataclass(frozen=True)
class Batch:
    """What one step of a student sees of S.

    Attributes:
        rows: row numbers; None for all.
        augment: how their images are augmented.
    """

    rows: Tensor | None = None
    augment: Callable[[Tensor], Tensor] = lambda x: x

    def of(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the images and labels of the step."""
        if self.rows is not None:
            x, y = x[self.rows], y[self.rows]
        return self.augment(x), y


@dataclass(frozen=True)
class Pull:
    """Gradients with respect to S.

    Attributes:
        images: (N, C, H, W).
        labels: (N, K).
        lr: with respect to the step size itself, () or (T,) as it was given.
    """

    images: Tensor
    labels: Tensor
    lr: Tensor


class Unrolled:
    """Steps from theta on (x, y), whose end can be pulled back to S.

    The graphs of the first steps are kept, as many as there is memory for. Those of the others are
    made a second time when they are needed. This changes no result, for both are made of the same
    operations.

    Args:
        f: the network.
        theta: its weights before the first step.
        x: images of S, (N, C, H, W).
        y: labels of S, (N, K).
        lr: step size, () for all steps or (T,) for each.
        program: what each of the T steps sees.
        memory: bytes for graphs; by default what is ``spare``.

    Attributes:
        end: the weights after the last step.
    """

    def __init__(
        self,
        f: Network,
        theta: Weights,
        x: Tensor,
        y: Tensor,
        *,
        lr: Tensor,
        program: Sequence[Batch],
        memory: int | None = None,
    ) -> None:
        self._f, self._program, self._lr = f, program, lr.detach()
        self._x, self._y = (part.detach().clone().requires_grad_() for part in (x, y))
        self._path, self._graphs = [theta], dict[int, tuple[Weights, Weights]]()
        left = spare(x.device) if memory is None else memory
        of_step = 0
        for t, (batch, rate) in enumerate(zip(program, self._rates(), strict=True)):
            if left > of_step:
                with holding() as held:
                    self._graphs[t] = self._graph(t)
                of_step = sum(held.values())
                left -= of_step
                step = self._graphs[t][1]
            else:
                seen = batch.of(self._x.detach(), self._y.detach())
                step = gradient(f, self._path[-1], *seen)
            self._path.append(minus(self._path[-1], rate, _values(step)))
        self.end = self._path[-1]

    def _rates(self) -> Tensor:
        return self._lr.expand(len(self._program))

    def _graph(self, t: int) -> tuple[Weights, Weights]:
        """Returns the weights before step t, and its gradient, which can be differentiated."""
        theta = leaves(self._path[t])
        with torch.enable_grad():
            seen = self._program[t].of(self._x, self._y)
        return theta, gradient(self._f, theta, *seen, create_graph=True)

    def pull(self, adjoint: Weights, *, through_weights: bool = True) -> Pull:
        """Returns the gradients of L with respect to S, given dL/dtheta at the end.

        Args:
            adjoint: dL/dtheta at the end.
            through_weights: False leaves lambda as it is, so that what S does to later gradients
                by way of the weights is lost: the truncated gradient of TESLA.
        """
        x, y = self._x, self._y
        dx, dy = torch.zeros_like(x), torch.zeros_like(y)
        rates = self._rates()
        drates = torch.zeros_like(rates)
        for t in reversed(range(len(self._program))):
            theta, g = self._graphs.pop(t) if t in self._graphs else self._graph(t)
            along = torch.stack([(g[name] * adjoint[name]).sum() for name in g]).sum()
            wanted = [x, y, *(theta.values() if through_weights else ())]
            grads = torch.autograd.grad(-rates[t] * along, wanted)
            dx, dy = dx + grads[0], dy + grads[1]
            drates[t] = -along.detach()
            if through_weights:
                pairs = zip(theta, grads[2:], strict=True)
                adjoint = {name: adjoint[name] + step for name, step in pairs}
        return Pull(dx, dy, drates.sum_to_size(self._lr.shape))


def _values(step: Weights) -> Weights:
    return {name: grad.detach() for name, grad in step.items()}


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
