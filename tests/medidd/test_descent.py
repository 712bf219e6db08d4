"""The reverse recursion beside plain autograd through the whole inner loop."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from medidd.architectures import convnet, mlp
from medidd.descent import Unrolled, descend, gradient, loss_on, toward
from medidd.network import Network, Weights

NETWORKS = {
    "convnet": convnet(3, 1, 8, width=4),
    "convnet of two blocks": convnet(3, 1, 8, width=3, depth=2),
    "mlp": mlp(3, 1, 8, width=6),
}
every_network = pytest.mark.parametrize("f", NETWORKS.values(), ids=NETWORKS)


def plain(f: Network, theta: Weights, x: Tensor, y: Tensor, lr: Tensor, steps: int) -> Weights:
    """The inner loop as one differentiable graph."""
    theta = {name: weight.requires_grad_() for name, weight in theta.items()}
    for _ in range(steps):
        loss = -(y * f(theta, x).log_softmax(1)).sum(1).mean()
        grads = torch.autograd.grad(loss, list(theta.values()), create_graph=True)
        theta = {
            name: weight - lr * grad
            for (name, weight), grad in zip(theta.items(), grads, strict=True)
        }
    return theta


def synthetic(rng: torch.Generator, size: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    x = torch.randn(5, 1, size, size, generator=rng, dtype=torch.double)
    y = torch.rand(5, 3, generator=rng, dtype=torch.double)
    return x, y / y.sum(1, keepdim=True), torch.tensor(0.1, dtype=torch.double)


def like_weights(theta: Weights, rng: torch.Generator) -> Weights:
    return {
        name: torch.randn(weight.shape, generator=rng, dtype=weight.dtype)
        for name, weight in theta.items()
    }


@every_network
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_pull_is_autograd_through_the_whole_loop(
    f: Network, steps: int, rng: torch.Generator
) -> None:
    x, y, lr = synthetic(rng)
    theta = f.init(rng, like=x)
    adjoint = like_weights(theta, rng)
    pull = Unrolled(f, theta, x, y, lr=lr, steps=steps).pull(adjoint)

    leaves = [tensor.clone().requires_grad_() for tensor in (x, y, lr)]
    end = plain(f, theta, *leaves, steps)
    value = torch.stack([(end[name] * adjoint[name]).sum() for name in end]).sum()
    expected = torch.autograd.grad(value, leaves)
    for ours, theirs in zip((pull.images, pull.labels, pull.lr), expected, strict=True):
        assert theirs.norm() > 0
        assert (ours - theirs).norm() <= 1e-6 * theirs.norm()


@pytest.mark.parametrize(
    "f", [convnet(3, 1, 4, width=2, depth=1), mlp(3, 1, 4, width=3)], ids=["convnet", "mlp"]
)
def test_pull_agrees_with_finite_differences(f: Network, rng: torch.Generator) -> None:
    x, y, lr = synthetic(rng, size=4)
    theta = f.init(rng, like=x)
    adjoint = like_weights(theta, rng)

    class Along(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x: Tensor, y: Tensor, lr: Tensor) -> Tensor:
            ctx.path = Unrolled(f, theta, x, y, lr=lr, steps=3)
            return torch.stack([(ctx.path.end[n] * adjoint[n]).sum() for n in theta]).sum()

        @staticmethod
        def backward(ctx, upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            with torch.enable_grad():  # which autograd switches off in here
                pull = ctx.path.pull({name: upstream * weight for name, weight in adjoint.items()})
            return pull.images, pull.labels, pull.lr

    leaves = [tensor.requires_grad_() for tensor in (x, y, lr)]
    assert torch.autograd.gradcheck(Along.apply, leaves)


@every_network
def test_descend_is_torchs_gradient_descent_and_ends_where_unrolled_ends(
    f: Network, rng: torch.Generator
) -> None:
    x, y, lr = synthetic(rng)
    theta = f.init(rng, like=x)
    ours = descend(f, theta, x, y, lr=lr, steps=4)
    unrolled = Unrolled(f, theta, x, y, lr=lr, steps=4).end

    theirs = {name: weight.clone().requires_grad_() for name, weight in theta.items()}
    sgd = torch.optim.SGD(theirs.values(), lr=float(lr))
    for _ in range(4):
        sgd.zero_grad()
        cross_entropy(f(theirs, x), y).backward()
        sgd.step()
    for name in theta:
        assert torch.equal(ours[name], unrolled[name])
        torch.testing.assert_close(ours[name], theirs[name].detach(), rtol=1e-10, atol=1e-12)
        assert not ours[name].requires_grad


def test_descend_leaves_its_inputs_alone(rng: torch.Generator) -> None:
    f = NETWORKS["mlp"]
    x, y, lr = synthetic(rng)
    x.requires_grad_()
    theta = f.init(rng, like=x)
    before = {name: weight.clone() for name, weight in theta.items()}
    Unrolled(f, theta, x, y, lr=lr, steps=2).pull(like_weights(theta, rng))
    descend(f, theta, x, y, lr=lr, steps=2)
    assert x.grad is None
    assert all(torch.equal(theta[name], before[name]) for name in theta)
    assert not any(weight.requires_grad for weight in theta.values())


def test_of_no_steps_nothing_is_pulled_back(rng: torch.Generator) -> None:
    f = NETWORKS["mlp"]
    x, y, lr = synthetic(rng)
    theta = f.init(rng, like=x)
    path = Unrolled(f, theta, x, y, lr=lr, steps=0)
    pull = path.pull(like_weights(theta, rng))
    assert path.end is theta
    assert not any(part.any() for part in (pull.images, pull.labels, pull.lr))


def test_the_loss_is_the_cross_entropy_against_soft_labels(rng: torch.Generator) -> None:
    f = NETWORKS["mlp"]
    x, y, _ = synthetic(rng)
    theta = f.init(rng, like=x)
    terms = [
        -float(y[i, k]) * float(f(theta, x)[i].log_softmax(0)[k])
        for i in range(5)
        for k in range(3)
    ]
    assert float(loss_on(f, theta, x, y)) == pytest.approx(sum(terms) / 5)


@every_network
def test_the_gradient_of_a_batch_is_the_mean_of_its_images(
    f: Network, rng: torch.Generator
) -> None:
    x, y, _ = synthetic(rng)
    theta = f.init(rng, like=x)
    whole = gradient(f, theta, x, y)
    singles = [gradient(f, theta, x[i : i + 1], y[i : i + 1]) for i in range(len(x))]
    for name in theta:
        mean = torch.stack([single[name] for single in singles]).mean(0)
        torch.testing.assert_close(whole[name], mean)


def test_the_gradient_is_there_where_gradients_are_switched_off(rng: torch.Generator) -> None:
    f = NETWORKS["mlp"]
    x, y, _ = synthetic(rng)
    theta = f.init(rng, like=x)
    expected = gradient(f, theta, x, y)
    with torch.no_grad():
        silent = gradient(f, theta, x, y)
    assert all(torch.equal(silent[name], expected[name]) for name in theta)


@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_toward_has_exactly_the_given_value_and_gradients(
    scale: float, rng: torch.Generator
) -> None:
    tensors = [torch.randn(shape, generator=rng).requires_grad_() for shape in ((4, 3), (), (2,))]
    grads = [scale * torch.randn(tensor.shape, generator=rng) for tensor in tensors]
    loss = torch.tensor(0.1, requires_grad=True)
    value = toward(loss, list(zip(tensors, grads, strict=True)))
    value.backward()
    assert value.item() == loss.item()
    assert loss.grad is None
    for tensor, grad in zip(tensors, grads, strict=True):
        assert torch.equal(tensor.grad, grad)
