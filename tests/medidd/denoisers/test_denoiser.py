"""What a denoiser is asked about images: means over single ones, on the draws of a table."""

from collections.abc import Callable

import pytest
import torch
from one_by_one import OneByOne
from torch import Tensor

from medidd.data import Question, RealSet
from medidd.denoisers.denoiser import Denoiser, Penalty, learned
from medidd.denoisers.latents import OF_LATENTS, RANGE
from medidd.descent import leaves
from medidd.network import Weights


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def denoiser(fresh: Callable) -> Denoiser:
    return fresh(3, size=8).denoiser


@pytest.fixture(scope="module")
def theta(fresh: Callable, stirred: Callable) -> Weights:
    return stirred(fresh(3, size=8).theta)


@pytest.fixture
def some(films: Callable) -> tuple[Tensor, Tensor]:
    return films(4, classes=3, size=8, dtype=torch.double)


def asked(denoiser: Denoiser, theta: Weights, penalty: Penalty | None = None) -> Question:
    table = denoiser.table(30, seeded(2), like=theta, hidden=0.3)
    return Question(lambda x, y: denoiser.gradient(theta, table, x, y, penalty), (0, 1, 2))


def brightness(predicted: Tensor, labels: Tensor) -> Tensor:
    return predicted.flatten(1).mean(1) * (1 + labels)


@pytest.mark.parametrize("penalty", [None, brightness])
def test_loss_and_gradient_of_a_batch_are_the_means_over_its_images(
    denoiser: Denoiser, theta: Weights, some: tuple[Tensor, Tensor], penalty: Penalty | None
) -> None:
    question = asked(denoiser, theta, penalty)
    plain = RealSet(*some, 3, seeded()).means([question], size=12)[0]
    chunked = RealSet(*some, 3, seeded(1), chunk=5).means([question], size=12)[0]
    single = OneByOne(*some).means([question], size=12)[0]
    for loss, gradient in (chunked, single):
        assert float(loss) == pytest.approx(float(plain[0]), abs=1e-12)
        for name, of in gradient.items():
            torch.testing.assert_close(of, plain[1][name], rtol=1e-9, atol=1e-11)
    assert all(of.norm() > 0 for name, of in plain[1].items() if not name.endswith("bias"))


@pytest.mark.parametrize("penalty", [None, brightness])
def test_the_gradient_is_that_of_the_loss_written_out(
    denoiser: Denoiser, theta: Weights, some: tuple[Tensor, Tensor], penalty: Penalty | None
) -> None:
    images, labels = some
    table = denoiser.table(30, seeded(2), like=theta, hidden=0.3)
    kept = denoiser.diffusion._schedule.alphas_cumprod.double()
    held, losses = leaves(theta), []
    for x, label in zip(images.split(1), labels.split(1), strict=True):
        row = table.rows(x)
        z, epsilon, t = denoiser.latents.encode({}, x), table.noise[row], table.moments[row]
        a, s = kept[t].sqrt(), (1 - kept[t]).sqrt()
        told = torch.tensor([3]) if table.blind[row] else label
        noisy = a * z + s * epsilon
        v = denoiser.diffusion._network.call(held, noisy, t, class_labels=told)
        loss = (v - (a * epsilon - s * z)).square().mean()
        if penalty is not None:
            loss = loss + penalty(a * noisy - s * v, label)[0]
        losses.append(loss)
    mean = torch.stack(losses).mean()
    wanted = torch.autograd.grad(mean, list(held.values()))
    mean = mean.detach()
    loss, gradient = denoiser.gradient(theta, table, images, torch.eye(3)[labels], penalty)
    assert float(loss) == pytest.approx(float(mean), rel=1e-9)
    for name, of in zip(held, wanted, strict=True):
        torch.testing.assert_close(gradient[name], of, rtol=1e-9, atol=1e-9)
    assert table.blind[table.rows(images)].any()


def test_what_an_image_gets_does_not_depend_on_its_place(
    denoiser: Denoiser, theta: Weights, some: tuple[Tensor, Tensor]
) -> None:
    images, hot = some[0], torch.eye(3, dtype=torch.double)[some[1]]
    table = denoiser.table(30, seeded(2), like=theta)
    whole = denoiser.seen(theta, table, images, hot)
    order = torch.randperm(12, generator=seeded())
    for one, moved in zip(
        whole, denoiser.seen(theta, table, images[order], hot[order]), strict=True
    ):
        torch.testing.assert_close(one[order], moved)
    assert torch.equal(whole[0], denoiser.latents.encode({}, images))


def test_weights_and_images_are_left_as_they_are(
    denoiser: Denoiser, theta: Weights, some: tuple[Tensor, Tensor]
) -> None:
    before = {name: weight.clone() for name, weight in theta.items()}
    images = some[0].clone()
    loss, gradient = RealSet(*some, 3, seeded()).means([asked(denoiser, theta)], size=12)[0]
    assert gradient.keys() == theta.keys()
    assert not loss.requires_grad
    assert not any(of.requires_grad for of in [*gradient.values(), *theta.values()])
    assert all(torch.equal(theta[name], weight) for name, weight in before.items())
    assert torch.equal(some[0], images)


def test_drawn_images_are_those_of_latents_drawn_from_the_moved_noise(
    denoiser: Denoiser, theta: Weights
) -> None:
    noise = torch.randn(2, 1, 8, 8, generator=seeded(), dtype=torch.double)
    labels = torch.tensor([0, 2])
    images = denoiser.sample(theta, noise, labels, guidance=2.0, steps=4)
    latents = denoiser.latents.encode({}, noise * RANGE)
    drawn = denoiser.diffusion.sample(theta, latents, labels, guidance=2.0, steps=4)
    torch.testing.assert_close(images, denoiser.latents.decode({}, drawn))
    assert images.abs().max() <= RANGE
    assert not images.requires_grad


def test_what_makes_latents_is_no_part_of_what_is_learned(theta: Weights) -> None:
    assert learned(theta | {f"{OF_LATENTS}scale": torch.ones(())}).keys() == theta.keys()
