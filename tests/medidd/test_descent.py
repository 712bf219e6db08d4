"""The reverse recursion beside plain autograd through the whole inner loop."""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import islice

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from medidd.architectures import convnet, mlp
from medidd.descent import (
    Batch,
    Unrolled,
    batches,
    bearable,
    descend,
    gradient,
    loss_on,
    toward,
)
from medidd.descent import leaves as learned
from medidd.machine.graphs import holding
from medidd.network import Architecture, Network, Weights

NETWORKS = {
    "convnet": convnet(3, 1, 8, width=4),
    "convnet of two blocks": convnet(3, 1, 8, width=3, depth=2),
    "mlp": mlp(3, 1, 8, width=6),
}
every_network = pytest.mark.parametrize("f", NETWORKS.values(), ids=NETWORKS)


Step = tuple[Sequence[int], float]
"""What a step sees: rows of S, and by how much their images are made brighter."""

ALL = (range(5), 0.0)
PROGRAMS: dict[str, list[Step]] = {
    "one step": [ALL],
    "two steps": [ALL] * 2,
    "seven steps": [ALL] * 7,
    "batches in order, twice": [([0, 1], 0.0), ([2, 3], 0.0), ([4], 0.0)] * 2,
    "rows that come again, augmented": [([0, 1, 1], 0.5), ([3, 0], -0.5), (range(5), 0.25)],
}
every_program = pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)


def batch(step: Step) -> Batch:
    rows, brighter = step
    return Batch(torch.tensor(rows), lambda x: x * (1 + brighter) + brighter)


def plain(
    f: Network, theta: Weights, x: Tensor, y: Tensor, lr: Tensor, program: list[Step]
) -> Weights:
    """The inner loop as one differentiable graph, image by image."""
    theta = {name: weight.clone().requires_grad_() for name, weight in theta.items()}
    for (rows, brighter), rate in zip(program, lr.expand(len(program)), strict=True):
        losses = [
            -(y[row] * f(theta, x[row, None] * (1 + brighter) + brighter)[0].log_softmax(0)).sum()
            for row in rows
        ]
        loss = torch.stack(losses).mean()
        grads = torch.autograd.grad(loss, list(theta.values()), create_graph=True)
        theta = {
            name: weight - rate * grad
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
@every_program
@pytest.mark.parametrize("rates", ["one rate", "a rate each"])
def test_pull_is_autograd_through_the_whole_loop(
    f: Network, program: list[Step], rates: str, rng: torch.Generator
) -> None:
    x, y, lr = synthetic(rng)
    if rates == "a rate each":
        lr = 0.05 + 0.1 * torch.rand(len(program), generator=rng, dtype=torch.double)
    theta = f.init(rng, like=x)
    adjoint = like_weights(theta, rng)
    path = Unrolled(f, theta, x, y, lr=lr, program=[batch(step) for step in program])
    pull = path.pull(adjoint)

    leaves = [tensor.clone().requires_grad_() for tensor in (x, y, lr)]
    end = plain(f, theta, *leaves, program)
    value = torch.stack([(end[name] * adjoint[name]).sum() for name in end]).sum()
    expected = torch.autograd.grad(value, leaves)
    torch.testing.assert_close(path.end, {n: w.detach() for n, w in end.items()})
    assert pull.lr.shape == lr.shape
    for ours, theirs in zip((pull.images, pull.labels, pull.lr), expected, strict=True):
        assert theirs.norm() > 0
        assert (ours - theirs).norm() <= 1e-6 * theirs.norm()


@every_network
@pytest.mark.parametrize("through_weights", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_how_many_graphs_are_kept_does_not_change_a_bit(
    f: Network, through_weights: bool, dtype: torch.dtype, rng: torch.Generator
) -> None:
    x, y, lr = (part.to(dtype) for part in synthetic(rng))
    theta = f.init(rng, like=x)
    adjoint = like_weights(theta, rng)
    program = [batch(step) for step in PROGRAMS["batches in order, twice"]]
    seen = 0

    def counting(theta: Weights, x: Tensor) -> Tensor:
        nonlocal seen
        seen += 1
        return f(theta, x)

    def pulled(memory: int) -> tuple[Tensor, ...]:
        nonlocal seen
        seen = 0
        path = Unrolled(counting, theta, x, y, lr=lr, program=program, memory=memory)
        pull = path.pull(adjoint, through_weights=through_weights)
        return (pull.images, pull.labels, pull.lr, *path.end.values())

    with holding() as held:
        gradient(f, learned(theta), *program[0].of(x, y), create_graph=True)
    forwards, results = [], []
    for memory in (0, 3 * sum(held.values()), 10**9):
        results.append(pulled(memory))
        forwards.append(seen)
    assert forwards[0] == 2 * len(program)
    assert forwards[2] == len(program)
    assert forwards[2] < forwards[1] < forwards[0]
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


@every_network
def test_pull_past_the_weights_is_autograd_through_a_loop_of_constant_weights(
    f: Network, rng: torch.Generator
) -> None:
    x, y, lr = synthetic(rng)
    theta = f.init(rng, like=x)
    adjoint = like_weights(theta, rng)
    program = PROGRAMS["batches in order, twice"]
    path = Unrolled(f, theta, x, y, lr=lr, program=[batch(step) for step in program])
    truncated = path.pull(adjoint, through_weights=False)

    leaves = [tensor.clone().requires_grad_() for tensor in (x, y, lr)]
    value = torch.zeros((), dtype=torch.double)
    for t, (rows, _) in enumerate(program):
        here = plain(f, theta, x, y, lr, program[:t])
        here = {name: weight.detach().requires_grad_() for name, weight in here.items()}
        loss = loss_on(f, here, leaves[0][rows], leaves[1][rows])
        grads = torch.autograd.grad(loss, list(here.values()), create_graph=True)
        for name, grad in zip(here, grads, strict=True):
            value = value - leaves[2] * (adjoint[name] * grad).sum()
    expected = torch.autograd.grad(value, leaves)
    ours = (truncated.images, truncated.labels, truncated.lr)
    for mine, theirs in zip(ours, expected, strict=True):
        assert (mine - theirs).norm() <= 1e-9 * theirs.norm()
    whole = path.pull(adjoint)
    assert (whole.images - truncated.images).norm() > 1e-4 * whole.images.norm()


@pytest.mark.parametrize(
    "f", [convnet(3, 1, 4, width=2, depth=1), mlp(3, 1, 4, width=3)], ids=["convnet", "mlp"]
)
def test_pull_agrees_with_finite_differences(f: Network, rng: torch.Generator) -> None:
    x, y, _ = synthetic(rng, size=4)
    lr = torch.tensor([0.1, 0.05, 0.2], dtype=torch.double)
    theta = f.init(rng, like=x)
    adjoint = like_weights(theta, rng)
    program = [batch(step) for step in PROGRAMS["rows that come again, augmented"]]

    class Along(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x: Tensor, y: Tensor, lr: Tensor) -> Tensor:
            ctx.path = Unrolled(f, theta, x, y, lr=lr, program=program)
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
    unrolled = Unrolled(f, theta, x, y, lr=lr, program=[Batch()] * 4).end

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
    Unrolled(f, theta, x, y, lr=lr, program=[Batch()] * 2).pull(like_weights(theta, rng))
    descend(f, theta, x, y, lr=lr, steps=2)
    assert x.grad is None
    assert all(torch.equal(theta[name], before[name]) for name in theta)
    assert not any(weight.requires_grad for weight in theta.values())


@pytest.mark.parametrize("lr", [torch.tensor(0.1), torch.zeros(0)])
def test_of_no_steps_nothing_is_pulled_back(lr: Tensor, rng: torch.Generator) -> None:
    f = NETWORKS["mlp"]
    x, y, _ = synthetic(rng)
    theta = f.init(rng, like=x)
    path = Unrolled(f, theta, x, y, lr=lr, program=[])
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


@pytest.mark.parametrize(("n", "size"), [(7, 3), (6, 3), (5, 1), (10, 9)])
def test_batches_show_every_row_once_an_epoch(n: int, size: int, rng: torch.Generator) -> None:
    per_epoch = -(-n // size)
    drawn = [rows.tolist() for rows in islice(batches(n, size, rng), 4 * per_epoch)]
    epochs = [drawn[i : i + per_epoch] for i in range(0, len(drawn), per_epoch)]
    orders = []
    for epoch in epochs:
        assert [len(rows) for rows in epoch[:-1]] == [size] * (per_epoch - 1)
        orders.append(tuple(row for rows in epoch for row in rows))
        assert sorted(orders[-1]) == list(range(n))
    assert len(set(orders)) > 1


@pytest.mark.parametrize("size", [4, 5, 100])
def test_a_small_set_is_a_batch_of_its_own_in_its_own_order(
    size: int, rng: torch.Generator
) -> None:
    before = rng.get_state()
    drawn = islice(batches(4, size, rng), 3)
    assert [rows.tolist() for rows in drawn] == [[0, 1, 2, 3]] * 3
    assert torch.equal(rng.get_state(), before)


def last_layer(
    classes: int, features: int, images: int
) -> tuple[Network, Weights, Tensor, Tensor, Tensor]:
    """Logistic regression, which begins undecided, on images that are its features."""
    f = Architecture(
        lambda: nn.Sequential(
            OrderedDict(features=nn.Flatten(), classifier=nn.Linear(features, classes, bias=False))
        )
    )
    rng = torch.Generator().manual_seed(3)
    x = 1 + torch.randn(images, 1, 1, features, generator=rng, dtype=torch.double)
    y = torch.eye(classes, dtype=torch.double)[torch.arange(images) % classes]
    h = x.flatten(1)
    curvature = torch.linalg.eigvalsh(h.T @ h / images)[-1] / classes
    return f, {"classifier.weight": torch.zeros(classes, features).double()}, x, y, curvature


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("features", [4, 64])
def test_what_a_network_bears_is_the_reciprocal_of_its_curvature(
    classes: int, features: int
) -> None:
    f, theta, x, y, curvature = last_layer(classes, features, images=10)
    assert bearable(f, theta, x, y, lr=1e3) * curvature.item() == pytest.approx(1, rel=0.02)
    assert bearable(f, theta, x, y, lr=1e-6) == 1e-6


def test_a_convnet_bears_the_less_the_wider_it_is_and_descends_at_what_it_bears() -> None:
    x = torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    y = torch.eye(2).repeat_interleave(2, 0)
    rates = []
    for width in (8, 32):
        f = convnet(2, 1, 16, width=width)
        theta = f.init(torch.Generator().manual_seed(0))
        rates.append(bearable(f, theta, x, y, lr=1e3))
        losses = [loss_on(f, theta, x, y).item()]
        for _ in range(5):
            theta = descend(f, theta, x, y, lr=rates[-1], steps=1)
            losses.append(loss_on(f, theta, x, y).item())
        assert losses == sorted(losses, reverse=True)
    assert 2 < rates[0] / rates[1] < 8


def test_a_network_that_nothing_moves_bears_what_is_asked_for() -> None:
    f, theta, x, y, _ = last_layer(2, 4, images=4)
    assert bearable(f, theta, torch.zeros_like(x), y, lr=0.5) == 0.5
