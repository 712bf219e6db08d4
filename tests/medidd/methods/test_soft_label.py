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
from medidd.starts import STARTS, begin

WIDTH = 4


def begun(images: Tensor, labels: Tensor, rng: torch.Generator, ipc: int = 2) -> SyntheticSet:
    s = begin(STARTS["noise"], images, labels, classes=2, ipc=ipc, rng=rng, lr=0.05)
    s.labels = (s.labels + torch.rand(s.labels.shape, generator=rng, dtype=s.labels.dtype)) / 2
    s.labels /= s.labels.sum(1, keepdim=True)
    for tensor in s.tensors().values():
        tensor.requires_grad_()
    return s


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


@pytest.mark.parametrize(("horizon", "window"), [(4, 4), (6, 2)], ids=["exact", "truncated"])
def test_the_gradient_is_that_of_the_loss_after_the_window(
    films: Callable, horizon: int, window: int
) -> None:
    images, labels = films(5, size=8, dtype=torch.double)
    f = convnet(2, 1, 8, width=WIDTH)
    s = begun(images, labels, torch.Generator().manual_seed(3))
    # A batch of a whole class is a fixed batch.
    real = RealSet(images, labels, 2, torch.Generator().manual_seed(4))
    method = SoftLabel(f, horizon=horizon, window=window, batch=5)
    losses = method.losses(s, real, torch.Generator().manual_seed(5))
    replay = torch.Generator().manual_seed(5)
    starts = []
    for _ in range(4):
        starts.append(int(torch.randint(horizon - window + 1, (), generator=replay)))
        theta = f.init(replay, like=images)
        theta = {n: w.detach() for n, w in inner(f, theta, s, starts[-1]).items()}
        end = inner(f, theta, s, window)
        per_class = [
            cross_entropy(f(end, images[labels == c]), labels[labels == c]) for c in range(2)
        ]
        expected_loss = (per_class[0] + per_class[1]) / 2
        expected = torch.autograd.grad(expected_loss, list(s.tensors().values()))

        loss = next(losses)
        ours = torch.autograd.grad(loss, list(s.tensors().values()))
        assert loss.item() == pytest.approx(expected_loss.item(), rel=1e-9)
        for mine, theirs in zip(ours, expected, strict=True):
            assert theirs.norm() > 0
            assert (mine - theirs).norm() <= 1e-6 * theirs.norm()
    assert (max(starts) > 0) == (window < horizon)


def test_windows_begin_at_every_stage_of_the_horizon(films: Callable) -> None:
    images, labels = films(2, size=8)
    s = begun(images, labels, torch.Generator().manual_seed(3))
    real = RealSet(images, labels, 2, torch.Generator().manual_seed(4))
    f = convnet(2, 1, 8, width=2)
    seen = set()
    for seed in range(30):
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


@pytest.mark.parametrize(("window", "horizon"), [(21, 20), (0, 20)])
def test_a_window_outside_the_horizon_is_refused_by_both_numbers(window: int, horizon: int) -> None:
    with pytest.raises(ValueError, match=rf"window {window}\b.*horizon {horizon}\b"):
        SoftLabel(convnet(2, 1, 8, width=2), horizon=horizon, window=window)


@pytest.mark.parametrize("rate", [0.01, 3.0])
def test_labels_stay_on_the_simplex_and_images_on_screen(
    films: Callable, rng: torch.Generator, rate: float
) -> None:
    images, labels = films(6, classes=3, size=8)
    s = begin(STARTS["noise"], images, labels, classes=3, ipc=2, rng=rng)
    method = SoftLabel(
        convnet(3, 1, 8, width=WIDTH),
        horizon=3,
        window=2,
        lr_images=rate,
        lr_labels=rate,
    )
    started = s.labels.clone()
    for _ in distill(method, s, RealSet(images, labels, 3, rng), steps=12, rng=rng):
        pixels = NORMALIZATION.display(s.images.detach())
        assert pixels.min() >= 0
        assert pixels.max() <= 1
        assert s.labels.min() >= 0
        torch.testing.assert_close(s.labels.detach().sum(1), torch.ones(6))
    assert not torch.equal(s.labels, started)


@pytest.mark.parametrize("kept", ["labels", "log_lr"])
def test_a_learning_rate_of_zero_keeps_what_it_is_for(
    films: Callable, rng: torch.Generator, kept: str
) -> None:
    images, labels = films(4, size=8)
    s = begin(STARTS["noise"], images, labels, classes=2, ipc=2, rng=rng)
    before = {name: tensor.clone() for name, tensor in s.tensors().items()}
    rate = {"labels": "lr_labels", "log_lr": "lr_lr"}[kept]
    method = SoftLabel(convnet(2, 1, 8, width=WIDTH), horizon=3, window=2, **{rate: 0.0})
    list(distill(method, s, RealSet(images, labels, 2, rng), steps=3, rng=rng))
    same = {name for name, tensor in s.tensors().items() if torch.equal(tensor, before[name])}
    assert same == {kept}
