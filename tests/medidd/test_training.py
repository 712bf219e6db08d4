"""Training beside a literal loop, alone and at once."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import cos, pi

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import one_hot

from medidd.architectures import alexnet, convnet, lenet, mlp
from medidd.augment import OPERATIONS, Omega, draw, draw_each
from medidd.evaluate import (
    Training,
    log_probabilities,
    one_cycle,
    published,
    train,
    train_together,
)
from medidd.network import Network, Several, Weights


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def soft(labels: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    return one_hot(labels).to(dtype)


EVERY = tuple(OPERATIONS)


@pytest.mark.parametrize("f", [convnet(2, 1, 16, width=4), mlp(2, 1, 16, width=8)])
def test_training_is_momentum_and_decay_with_a_step_cut_half_way(
    films: Callable, f: Network
) -> None:
    images, labels = films(3, dtype=torch.double)
    y = soft(labels, torch.double) * 0.8 + 0.1
    how = Training(steps=7, lr=0.1, momentum=0.7, weight_decay=0.01)
    trained = train(f, images, y, how, seeded())

    theta = f.init(seeded(), like=images)
    velocity = {name: torch.zeros_like(weight) for name, weight in theta.items()}
    for step in range(7):
        leaves = {name: weight.requires_grad_() for name, weight in theta.items()}
        loss = -(y * f(leaves, images).log_softmax(1)).sum(1).mean()
        grads = torch.autograd.grad(loss, list(leaves.values()))
        for (name, weight), grad in zip(leaves.items(), grads, strict=True):
            velocity[name] = 0.7 * velocity[name] + grad + 0.01 * weight.detach()
        lr = 0.1 if step < 3 else 0.01
        theta = {name: (w - lr * velocity[name]).detach() for name, w in theta.items()}
    for name, weight in theta.items():
        torch.testing.assert_close(trained[name], weight, rtol=1e-8, atol=1e-10)


def test_one_cycle_is_adam_whose_step_rises_and_falls(films: Callable) -> None:
    images, labels = films(3, dtype=torch.double)
    f, y, steps, greatest = mlp(2, 1, 16, width=8), soft(labels, torch.double), 9, 0.01
    how = Training(steps=steps, lr=greatest, momentum=0.7, weight_decay=0.1, descent=one_cycle)
    trained = train(f, images, y, how, seeded())

    def between(one: float, other: float, share: float) -> float:
        return other + (one - other) * (1 + cos(pi * share)) / 2

    # As in Smith & Topin's code: from 1/25 to the greatest in three tenths of the steps.
    least, top = greatest / 25, 0.3 * (steps + 1) - 1
    rates = [
        between(least, greatest, step / top)
        if step <= top
        else between(greatest, least / 1e4, (step - top) / (steps - top))
        for step in range(steps)
    ]
    theta = f.init(seeded(), like=images)
    first, second = ({name: torch.zeros_like(w) for name, w in theta.items()} for _ in range(2))
    for step, rate in enumerate(rates, start=1):
        leaves = {name: weight.requires_grad_() for name, weight in theta.items()}
        loss = -(y * f(leaves, images).log_softmax(1)).sum(1).mean()
        grads = torch.autograd.grad(loss, list(leaves.values()))
        for (name, weight), grad in zip(leaves.items(), grads, strict=True):
            first[name] = 0.7 * first[name] + 0.3 * grad
            second[name] = 0.999 * second[name] + 0.001 * grad.square()
            mean, size = first[name] / (1 - 0.7**step), second[name] / (1 - 0.999**step)
            kept = weight.detach() * (1 - rate * 0.1)
            theta[name] = kept - rate * mean / (size.sqrt() + 1e-8)
    for name, weight in theta.items():
        torch.testing.assert_close(trained[name], weight, rtol=1e-8, atol=1e-10)


ALONE_AND_TOGETHER = [
    (convnet, Training(steps=9, batch=4, augment=draw, noise=0.2, averaged=0.5)),
    (convnet, Training(steps=6, augment=partial(draw_each, operations=("crop", "cutout")))),
    (mlp, Training(steps=5, batch=3, lr=0.1)),
    (lenet, Training(steps=4, augment=partial(draw, operations=EVERY))),
    (alexnet, Training(steps=2, batch=2, noise=0.1)),
]


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize(("kind", "how"), ALONE_AND_TOGETHER)
def test_networks_trained_together_are_those_trained_alone(
    films: Callable, kind: Callable, how: Training, dtype: torch.dtype, limit: float, shared: bool
) -> None:
    f = kind(2, 1, 16)
    sets = [films(3, dtype=dtype, seed=seed) for seed in range(4)]
    sets = [(images, soft(labels, dtype) * 0.8 + 0.1) for images, labels in sets]
    sets = [sets[0]] * 4 if shared else sets
    alone, together = ([seeded(seed) for seed in range(4)] for _ in range(2))
    theirs = [train(f, x, y, how, rng) for (x, y), rng in zip(sets, alone, strict=True)]
    ours = train_together(f, sets, how, together)
    for one, other in zip(ours, theirs, strict=True):
        assert list(one) == list(other)
        largest = max(weight.abs().max() for weight in other.values())  # a bias begins at nothing
        for name, weight in one.items():
            assert not weight.requires_grad
            assert (weight - other[name]).abs().max() <= limit * largest
    first, second = (torch.cat([w.flatten() for w in of.values()]) for of in ours[:2])
    assert not torch.allclose(first, second)
    for rng, replay in zip(together, alone, strict=True):
        assert torch.equal(rng.get_state(), replay.get_state())


def test_what_is_not_of_one_shape_is_not_trained_together(films: Callable) -> None:
    images, labels = films(3)
    whole, part = (images, soft(labels)), (images[:-1], soft(labels)[:-1])
    rngs, how = [seeded(seed) for seed in range(2)], Training(steps=1)
    with pytest.raises(ValueError, match="of one shape alone are trained together"):
        train_together(mlp(2, 1, 16, width=4), [whole, part], how, rngs)
    several = Several((mlp(2, 1, 16, width=4), convnet(2, 1, 16, width=4)))
    with pytest.raises(ValueError, match="of one shape alone are trained together"):
        train_together(several, [whole] * 8, how, [seeded(seed) for seed in range(8)])


def test_training_tells_two_templates_apart(films: Callable) -> None:
    images, labels = films(10)
    strangers, truth = films(50, seed=2)
    f = convnet(2, 1, 16, width=8)
    theta = train(f, images, soft(labels), Training(steps=60), seeded())
    assert (log_probabilities(f, theta, strangers).argmax(1) == truth).float().mean() > 0.95
    fresh = f.init(seeded())
    assert (log_probabilities(f, fresh, strangers).argmax(1) == truth).float().mean() < 0.95


def test_training_follows_from_its_generator(films: Callable) -> None:
    images, labels = films(4)
    torch.manual_seed(1)
    before = torch.get_rng_state()

    def trained(seed: int) -> Tensor:
        how = Training(steps=5, batch=3)
        theta = train(mlp(2, 1, 16, width=4), images, soft(labels), how, seeded(seed))
        return torch.cat([weight.flatten() for weight in theta.values()])

    first = trained(0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(trained(0), first)
    assert not torch.equal(trained(1), first)
    assert not first.requires_grad


def test_every_image_gets_noise_of_its_own_at_every_step(films: Callable) -> None:
    images, labels = films(3)
    shown: list[Tensor] = []

    class Watching:
        """A network that keeps what it is shown."""

        def __init__(self) -> None:
            self.f = mlp(2, 1, 16, width=4)
            self.init, self.embed = self.f.init, self.f.embed

        def __call__(self, theta: Weights, x: Tensor) -> Tensor:
            shown.append(x)
            return self.f(theta, x)

    train(Watching(), images, soft(labels), Training(steps=40, noise=0.3), seeded())
    off = torch.stack(shown) - images
    assert off.std().item() == pytest.approx(0.3, rel=0.02)
    assert off.mean().abs().item() < 0.01
    assert len(off.flatten(2)[:, :, 0].unique()) == 40 * len(images)


def test_averaged_weights_are_the_mean_of_the_last_steps(films: Callable) -> None:
    images, labels = films(3)
    f = mlp(2, 1, 16, width=4)
    # Steps 4 to 6 of 6; the step size is cut at the third in all of these.
    constant = Training(steps=6, lr=0.1, averaged=0.5)
    averaged = train(f, images, soft(labels), constant, seeded())
    ends = [_after(f, images, soft(labels), steps) for steps in (4, 5, 6)]
    for name, weight in averaged.items():
        expected = torch.stack([end[name] for end in ends]).mean(0)
        torch.testing.assert_close(weight, expected)
    assert not torch.equal(averaged["classifier.weight"], ends[-1]["classifier.weight"])


def _after(f: Network, images: Tensor, labels: Tensor, steps: int) -> Weights:
    """The weights after so many of six steps of the same training."""
    theta = {name: weight.requires_grad_() for name, weight in f.init(seeded()).items()}
    how = Training()
    sgd = torch.optim.SGD(theta.values(), 0.1, how.momentum, weight_decay=how.weight_decay)
    for step in range(steps):
        if step == 3:
            sgd.param_groups[0]["lr"] = 0.01
        sgd.zero_grad()
        loss = -(labels * f(theta, images).log_softmax(1)).sum(1).mean()
        loss.backward()
        sgd.step()
    return {name: weight.detach().clone() for name, weight in theta.items()}


@given(n=st.integers(1, 12), batch=st.integers(1, 15), steps=st.integers(1, 12))
def test_every_image_is_shown_once_before_any_is_shown_again(
    n: int, batch: int, steps: int
) -> None:
    images = torch.arange(float(n))[:, None, None, None].expand(-1, 1, 2, 2)
    batches: list[list[int]] = []

    def watch(x: Tensor) -> Tensor:
        batches.append(x[:, 0, 0, 0].int().tolist())
        return x

    how = Training(steps=steps, batch=batch, augment=lambda *_, **__: watch)
    train(mlp(2, 1, 2, width=1), images, torch.full((n, 2), 0.5), how, seeded())
    assert len(batches) == steps
    shown = [row for one in batches for row in one]
    assert max(len(one) for one in batches) == min(batch, n)
    for first in range(0, len(shown), n):
        epoch = shown[first : first + n]
        assert len(set(epoch)) == len(epoch)
        assert set(epoch) <= set(range(n))


def test_training_goes_through_the_augmentation_and_its_generator(films: Callable) -> None:
    images, labels = films(3)
    f = mlp(2, 1, 16, width=4)
    how = Training(steps=3)

    def darker(_: torch.Generator, *, images: int) -> Callable[[Tensor], Tensor]:
        return lambda x: x - torch.ones(images, 1, 1, 1)

    ours = train(f, images, soft(labels), replace(how, augment=darker), seeded())
    theirs = train(f, images - 1, soft(labels), how, seeded())
    for name in ours:
        assert torch.equal(ours[name], theirs[name])


def test_each_image_of_a_batch_is_augmented_by_draws_of_its_own(films: Callable) -> None:
    images, labels = films(4)
    rng, drawn = seeded(), []

    def watched(given: torch.Generator, *, images: int) -> Omega:
        assert given is rng
        drawn.append(draw(given, images=images))
        return drawn[-1]

    how = Training(steps=4, batch=5, augment=watched)
    train(mlp(2, 1, 16, width=4), images, soft(labels), how, rng)
    assert [omega.u.shape for omega in drawn] == [(3, 5), (3, 3)] * 2
    assert all(len(omega.u.unique()) == omega.u.numel() for omega in drawn)


@pytest.mark.parametrize(("images", "steps"), [(2, 300), (256, 300), (257, 600), (5000, 6000)])
def test_the_published_training_is_300_epochs_of_batches_of_256(images: int, steps: int) -> None:
    assert published(images) == Training(steps=steps, batch=256, lr=0.01)
    assert (Training.momentum, Training.weight_decay, Training.augment) == (0.9, 5e-4, None)
    assert published(images, epochs=1000).steps == steps * 1000 // 300


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_log_probabilities_do_not_depend_on_chunks(films: Callable, chunk: int) -> None:
    images, _ = films(5, classes=3)
    f = convnet(3, 1, 16, width=4)
    theta = f.init(seeded())
    ours = log_probabilities(f, theta, images, chunk)
    torch.testing.assert_close(ours, f(theta, images).log_softmax(1))
    torch.testing.assert_close(ours.exp().sum(1), torch.ones(15))
    assert not ours.requires_grad
