"""Soft-label distillation beside plain autograd through the same inner loop."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from medidd.architectures import convnet
from medidd.data import NORMALIZATION, RealSet, SyntheticSet
from medidd.distill import distill
from medidd.methods.soft_label import SoftLabel
from medidd.network import Network, Weights

WIDTH = 4


@pytest.fixture
def soft(started: Callable) -> Callable[..., SyntheticSet]:
    """Makes S of soft labels, all of it to be learned."""

    def make(images: Tensor, ipc: int = 2, classes: int = 2) -> SyntheticSet:
        s, rng = started(images, ipc=ipc, classes=classes), torch.Generator().manual_seed(3)
        s.labels = (s.labels + torch.rand(s.labels.shape, generator=rng, dtype=s.labels.dtype)) / 2
        s.labels /= s.labels.sum(1, keepdim=True)
        for tensor in s.tensors().values():
            tensor.requires_grad_()
        return s

    return make


def inner(f: Network, theta: Weights, s: SyntheticSet, steps: int) -> Weights:
    """Plain descent on S, kept as one graph."""
    theta = {name: weight.requires_grad_() for name, weight in theta.items()}
    for _ in range(steps):
        loss = cross_entropy(f(theta, s.images), s.labels)
        grads = torch.autograd.grad(loss, list(theta.values()), create_graph=True)
        theta = {
            name: weight - s.log_lr.exp() * grad
            for (name, weight), grad in zip(theta.items(), grads, strict=True)
        }
    return theta


def test_the_gradient_agrees_with_finite_differences(films: Callable, soft: Callable) -> None:
    images, labels = films(2, size=4, dtype=torch.double)
    s = soft(images, ipc=1)
    method = SoftLabel(convnet(2, 1, 4, width=2, depth=1), horizon=3, window=3)

    def loss(*tensors: Tensor) -> Tensor:
        real = RealSet(images, labels, 2, torch.Generator().manual_seed(4))
        return next(method.losses(SyntheticSet(*tensors), real, torch.Generator().manual_seed(5)))

    assert torch.autograd.gradcheck(loss, list(s.tensors().values()))


def test_windows_begin_at_every_stage_of_the_horizon(films: Callable, soft: Callable) -> None:
    images, labels = films(2, size=8)
    s = soft(images)
    real = RealSet(images, labels, 2, torch.Generator().manual_seed(4))
    f = convnet(2, 1, 8, width=2)
    seen = set()
    for seed in range(20):
        rng = torch.Generator().manual_seed(seed)
        start = int(torch.randint(3, (), generator=rng))
        theta = f.init(rng, like=images)
        end = inner(f, theta, s, start + 1)
        with torch.no_grad():
            expected = sum(
                cross_entropy(f(end, images[labels == c]), labels[labels == c]) / 2
                for c in range(2)
            )
        loss = next(
            SoftLabel(f, horizon=3, window=1).losses(s, real, torch.Generator().manual_seed(seed))
        )
        assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
        seen.add(start)
    assert seen == {0, 1, 2}


def test_the_classifier_has_taken_every_step_of_the_horizon(
    films: Callable, soft: Callable
) -> None:
    images, _ = films(5, size=8, dtype=torch.double)
    f, s = convnet(2, 1, 8, width=WIDTH), soft(images)
    ours = SoftLabel(f, horizon=4, window=2).classifier(s, torch.Generator().manual_seed(6))
    theta = inner(f, f.init(torch.Generator().manual_seed(6), like=images), s, 4)
    torch.testing.assert_close(ours(images), f(theta, images).softmax(1), rtol=1e-9, atol=1e-12)
    assert not ours(images).requires_grad


def test_s_made_for_one_set_of_weights_is_asked_about_no_other(
    films: Callable, soft: Callable
) -> None:
    images, labels = films(2, size=8)
    s, f = soft(images), convnet(2, 1, 8, width=2)

    def loss(weights_seed: int | None, seed: int) -> float:
        method = SoftLabel(f, horizon=2, window=2, weights_seed=weights_seed)
        real = RealSet(images, labels, 2, torch.Generator().manual_seed(4))
        return next(method.losses(s, real, torch.Generator().manual_seed(seed))).item()

    assert len({loss(7, seed) for seed in range(4)}) == 1
    assert loss(7, 0) != loss(8, 0)
    assert len({loss(None, seed) for seed in range(4)}) == 4


@pytest.mark.parametrize("lr", [0.0, -0.1])
def test_a_step_size_that_has_no_logarithm_is_refused(lr: float) -> None:
    with pytest.raises(ValueError, match="lr must be above 0"):
        SoftLabel(convnet(2, 1, 8, width=2), lr=lr)


def test_s_begins_with_the_step_size_asked_for(films: Callable, soft: Callable) -> None:
    s = soft(films(2, size=8, dtype=torch.double)[0])
    prepared = SoftLabel(convnet(2, 1, 8, width=2), lr=0.03).prepare(s)
    assert (prepared.log_lr.shape, prepared.log_lr.dtype) == ((), torch.double)
    assert prepared.log_lr.exp().item() == pytest.approx(0.03)
    assert prepared.images is s.images


@pytest.mark.parametrize(("window", "horizon"), [(21, 20), (0, 20)])
def test_a_window_outside_the_horizon_is_refused_by_both_numbers(window: int, horizon: int) -> None:
    with pytest.raises(ValueError, match=rf"window {window}\b.*horizon {horizon}\b"):
        SoftLabel(convnet(2, 1, 8, width=2), horizon=horizon, window=window)


@pytest.mark.parametrize("rate", [0.01, 3.0])
@pytest.mark.parametrize("constraint", ["simplex", "none"])
def test_labels_stay_on_the_simplex_if_asked_to_and_images_on_screen(
    films: Callable, soft: Callable, rng: torch.Generator, constraint: str, rate: float
) -> None:
    images, labels = films(6, classes=3, size=8)
    s = soft(images, classes=3)
    rates = {"lr_images": rate, "lr_labels": rate}
    method = SoftLabel(
        convnet(3, 1, 8, width=WIDTH), horizon=3, window=2, constraint=constraint, **rates
    )
    before = s.labels.detach().clone()
    least, sums = [], []
    for _ in distill(method, s, RealSet(images, labels, 3, rng), steps=12, rng=rng):
        pixels = NORMALIZATION.display(s.images.detach())
        assert pixels.min() >= 0
        assert pixels.max() <= 1
        least.append(s.labels.min().item())
        sums.append(s.labels.detach().sum(1))
    assert not torch.equal(s.labels, before)
    on_simplex = min(least) >= 0 and torch.allclose(torch.stack(sums), torch.ones(12, 6))
    assert on_simplex == (constraint == "simplex")


@pytest.mark.parametrize("kept", ["labels", "log_lr"])
def test_a_learning_rate_of_zero_keeps_what_it_is_for(
    films: Callable, started: Callable, soft: Callable, rng: torch.Generator, kept: str
) -> None:
    images, labels = films(4, size=8)
    s = started(images, ipc=2) if kept == "labels" else soft(images)
    before = {name: tensor.detach().clone() for name, tensor in s.tensors().items()}
    rate = {"labels": "lr_labels", "log_lr": "lr_lr"}[kept]
    method = SoftLabel(convnet(2, 1, 8, width=WIDTH), horizon=3, window=2, **{rate: 0.0})
    list(distill(method, s, RealSet(images, labels, 2, rng), steps=3, rng=rng))
    same = {name for name, tensor in s.tensors().items() if torch.equal(tensor, before[name])}
    assert same == {kept}
