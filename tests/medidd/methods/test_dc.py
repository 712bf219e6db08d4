"""Gradient matching beside the formula of its paper."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from medidd.architectures import convnet
from medidd.data import RealSet, SyntheticSet
from medidd.fields import make
from medidd.methods.dc import DC, distance
from medidd.methods.dsa import DSA
from medidd.network import Network, Weights
from medidd.sketch import LayerSketch

LAYERS = {"conv": (4, 2, 3, 3), "norm": (4,), "linear": (3, 5), "bias": (3,)}
ROWS = 4 + 3


def gradients(rng: torch.Generator) -> Weights:
    return {n: torch.randn(s, generator=rng, dtype=torch.double) for n, s in LAYERS.items()}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# The distance. Its denominator is held from zero by 1e-6, so that 0 is reached to about that.


@pytest.mark.parametrize(("factor", "per_row"), [(1, 0), (-1, 2), (7, 0), (-0.5, 2)])
def test_the_distance_of_a_row_is_0_along_and_2_against(
    rng: torch.Generator, factor: float, per_row: float
) -> None:
    a = gradients(rng)
    b = {name: factor * grad for name, grad in a.items()}
    assert distance(a, b).item() == pytest.approx(per_row * ROWS, abs=1e-5)


def test_the_distance_of_a_row_is_1_across(rng: torch.Generator) -> None:
    a = gradients(rng)
    # Of each pair of entries one is kept on either side.
    ones = {name: torch.arange(grad.numel()).reshape(grad.shape) % 2 for name, grad in a.items()}
    b = {name: grad * ones[name] for name, grad in a.items()}
    c = {name: grad * (1 - ones[name]) for name, grad in a.items()}
    assert distance(b, c).item() == ROWS


def test_weights_of_one_dimension_are_left_out(rng: torch.Generator) -> None:
    a = gradients(rng)
    b = {name: -grad if grad.ndim == 1 else grad for name, grad in a.items()}
    assert distance(a, b).item() == distance(a, a).item()


def test_the_distance_is_the_papers_formula_row_by_row(rng: torch.Generator) -> None:
    a, b = gradients(rng), gradients(rng)
    expected = 0.0
    for name in ("conv", "linear"):
        for one, other in zip(a[name], b[name], strict=True):
            lengths = float(one.square().sum().sqrt()) * float(other.square().sum().sqrt())
            expected += 1 - float((one * other).sum()) / (lengths + 1e-6)
    assert distance(a, b).item() == pytest.approx(expected, rel=1e-12)


def test_a_row_of_zeros_has_a_finite_distance_and_gradient(rng: torch.Generator) -> None:
    a, b = gradients(rng), gradients(rng)
    a["conv"][1], b["conv"][2], a["linear"][0], b["linear"][0] = 0, 0, 0, 0
    for grad in a.values():
        grad.requires_grad_()
    value = distance(a, b)
    value.backward()
    assert value.isfinite()
    assert all(a[name].grad.isfinite().all() for name in ("conv", "linear"))


# The loss.


@pytest.mark.parametrize("kind", [DC, DSA])
def test_the_loss_is_zero_where_s_is_t(
    films: Callable, started: Callable, kind: type[DC] | type[DSA]
) -> None:
    images, labels = films(3, dtype=torch.double)
    network = convnet(2, 1, 16, width=4)
    method = make(kind, {"network": network, "inner_steps": 2, "net_epochs": 1, "batch": 3})

    def losses(s: SyntheticSet) -> list[float]:
        real = RealSet(images, labels, 2, seeded(1))
        return [loss.item() for loss in method.losses(s, real, seeded(2))]

    others = started(images, ipc=3)
    same = SyntheticSet(images, others.labels, others.log_lr)
    assert max(losses(same)) < 0.02  # what 1e-6 is to the lengths of small gradients
    assert min(losses(others)) > 1


def stepped(f: Network, theta: Weights, x: Tensor, y: Tensor, lr: float) -> Weights:
    theta = {name: weight.clone().requires_grad_() for name, weight in theta.items()}
    cross_entropy(f(theta, x), y).backward()
    return {name: (weight - lr * weight.grad).detach() for name, weight in theta.items()}


def test_a_network_too_wide_for_its_rate_is_trained_at_a_lower_one(
    films: Callable, started: Callable
) -> None:
    images, labels = films(4)
    losses = {}
    for lr_net in (1.0, 100.0):
        method = DC(convnet(2, 1, 16, width=16), inner_steps=4, net_epochs=5, lr_net=lr_net)
        real = RealSet(images, labels, 2, seeded(1))
        path = method.losses(started(images, ipc=2), real, seeded())
        losses[lr_net] = [loss.item() for loss in path]
    assert losses[1.0] == losses[100.0]


@pytest.mark.parametrize(("inner_steps", "net_epochs"), [(1, 5), (3, 2)])
def test_the_network_is_trained_between_two_updates_and_at_no_other_time(
    films: Callable, started: Callable, watched: Callable, inner_steps: int, net_epochs: int
) -> None:
    images, labels = films(1)
    f, seen = watched()
    s = started(images, ipc=2)
    method = DC(f, inner_steps=inner_steps, net_epochs=net_epochs)
    drawn = 0
    asked = [4] if inner_steps > 1 else []  # all of S, for the step size that a network bears
    for drawn, _ in enumerate(
        method.losses(s, RealSet(images, labels, 2, seeded()), seeded()), start=1
    ):
        # One film and two images of each class; between two updates all four, so many times.
        matched, trained = [1, 1, 2, 2], [4] * net_epochs
        assert [len(x) for x in seen] == asked + (matched + trained) * (drawn - 1) + matched
    assert drawn == inner_steps


@pytest.mark.parametrize("kind", [DC, DSA])
def test_a_path_of_no_steps_is_refused(kind: type[DC] | type[DSA]) -> None:
    with pytest.raises(ValueError, match="inner_steps must be 1 or more, not 0"):
        make(kind, {"network": convnet(2, 1, 8, width=2), "inner_steps": 0})


@pytest.mark.parametrize("name", ["inner_steps", "repeats"])
def test_what_cannot_be_a_number_of_updates_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be 1 or more, not 0"):
        DC(convnet(2, 1, 8, width=2), **{name: 0})


# Few answers.


def test_an_answer_serves_several_updates_at_the_same_weights(
    films: Callable, started: Callable
) -> None:
    images, labels = films(3, dtype=torch.double)
    f = convnet(2, 1, 16, width=4)
    s, again = started(images, ipc=2), started(images, ipc=2)
    s.images.requires_grad_()
    again.images.requires_grad_()
    once = DC(f, inner_steps=2, net_epochs=1, batch=3)
    thrice = DC(f, inner_steps=2, net_epochs=1, batch=3, repeats=3)
    plain = list(once.losses(again, RealSet(images, labels, 2, seeded(1)), seeded(2)))
    path = thrice.losses(s, RealSet(images, labels, 2, seeded(1)), seeded(2))
    # S stays, so that the same weights give the same losses.
    losses = list(path)
    assert [loss.item() for loss in losses] == pytest.approx(
        [loss.item() for loss in plain for _ in range(3)]
    )
    path = thrice.losses(s, RealSet(images, labels, 2, seeded(1)), seeded(2))
    first = next(path)
    s.images.data += 0.1
    assert next(path).item() != pytest.approx(first.item())


def test_projected_gradients_are_compared_layer_by_layer(
    films: Callable, started: Callable
) -> None:
    images, labels = films(3, dtype=torch.double)
    f = convnet(2, 1, 16, width=4)
    s = started(images, ipc=2)
    s.images.requires_grad_()
    method = DC(f, inner_steps=2, net_epochs=1, batch=3, sketch=30)
    replay = seeded(2)
    theta = f.init(replay, like=images)
    for t, loss in enumerate(method.losses(s, RealSet(images, labels, 2, seeded(1)), seeded(2))):
        if t:
            theta = stepped(f, theta, s.images.detach(), s.labels, 0.01)
        to = LayerSketch.drawn(theta, 30, replay).layers
        expected = torch.zeros((), dtype=torch.double)
        for c in range(2):
            sides = []
            for x in (images[labels == c], s.images[2 * c : 2 * c + 2]):
                weights = {name: weight.clone().requires_grad_() for name, weight in theta.items()}
                value = cross_entropy(f(weights, x), torch.full((len(x),), c))
                grads = torch.autograd.grad(value, list(weights.values()), create_graph=True)
                sides.append(dict(zip(theta, grads, strict=True)))
            for name, one in to.items():
                a, b = (one(side[name].flatten()[None])[0] for side in sides)
                assert a.shape == (10,)
                expected = expected + 1 - a.detach() @ b / (a.detach().norm() * b.norm() + 1e-6)
        assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
        (ours,), (theirs,) = (torch.autograd.grad(value, [s.images]) for value in (loss, expected))
        assert theirs.norm() > 0
        assert (ours - theirs).norm() <= 1e-6 * theirs.norm()


def test_no_more_is_asked_than_the_projection(films: Callable, started: Callable) -> None:
    images, labels = films(3)
    real = RealSet(images, labels, 2, seeded(1))
    answers: list[Weights] = []
    real.means = lambda questions, size: (
        answers.extend(RealSet.means(real, questions, size=size)) or answers[-2:]
    )
    method = DC(convnet(2, 1, 16, width=4), batch=3, sketch=32)
    next(method.losses(started(images), real, seeded()))
    for answer in answers:
        assert sum(part.numel() for part in answer.values()) == 32
    assert len(answers) == 2
