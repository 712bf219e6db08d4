"""The autoencoder: its loss written out, and latents that vary by 1."""

import math
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
import torch
from one_by_one import OneByOne
from torch import Tensor

from medidd.data import Question, RealSet
from medidd.denoisers import making
from medidd.denoisers.autoencoder import KL, Autoencoder, Encoded, held
from medidd.denoisers.denoiser import learned
from medidd.denoisers.draws import Draws
from medidd.denoisers.latents import OF_LATENTS, RANGE
from medidd.denoisers.shapes import Shape
from medidd.denoisers.trained import Configuration, Trained
from medidd.denoisers.training import Training
from medidd.network import Weights

SHAPE = Shape((16,), attention=0, encoder=(8, 16))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(folder: Path, steps: int = 80) -> Trained:
    how = Configuration(SHAPE, Training(1), Training(steps, batch=32, lr=5e-3, kept=0.9))
    return Trained(folder, how, 2, 1, 8, {})


@pytest.fixture(scope="module")
def trained(
    gaussians: tuple[Tensor, Tensor, Tensor], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Trained, list[float]]:
    """A denoiser whose autoencoder learned the Gaussians, and the losses of that."""
    _, images, labels = gaussians
    one = made(tmp_path_factory.mktemp("encoded"))
    steps = making.make(
        one.folder, one, lambda *of: RealSet(images, labels, 2, of[2]), torch.empty(0)
    )
    return one, [loss for what, step, _, loss in steps if what == "autoencoder" and step]


def test_a_latent_has_a_quarter_of_the_places_for_each_halving() -> None:
    assert Autoencoder(1, 8, SHAPE).latent == (3, 4, 4)
    assert Autoencoder(1, 8, Shape((16,), encoder=(8, 8, 8), latent=2)).latent == (2, 2, 2)
    coder = Autoencoder(3, 8, SHAPE)
    theta = coder.init(seeded())
    images = torch.randn(2, 3, 8, 8, generator=seeded())
    latents = coder.encode(theta, images)
    assert latents.shape == (2, *coder.latent)
    assert coder.decode(theta, latents).shape == images.shape


def test_the_loss_is_the_absolute_error_and_a_little_of_the_divergence_from_normal(
    films: Callable,
) -> None:
    images, labels = films(3, size=8, dtype=torch.double)
    coder = Autoencoder(1, 8, SHAPE)
    theta = coder.init(seeded(), like=images)
    table = Draws.drawn(6, coder.latent, 1, seeded(4), pixels=64, like=images)
    wanted = []
    for x in images.split(1):
        mean = coder.encode(theta, x)
        _, back, sigma = coder._coder.call(theta, x / RANGE, table.noise[table.rows(x)])
        normal = torch.distributions.Normal(mean, sigma)
        standard = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(sigma))
        kl = torch.distributions.kl_divergence(normal, standard).sum()
        z = mean + sigma * table.noise[table.rows(x)]
        torch.testing.assert_close(back * RANGE, coder.decode(theta, z))
        wanted.append((coder.decode(theta, z) - x).abs().mean() / RANGE + KL * kl)
    real = RealSet(images, labels, 2, seeded(9))
    loss, _ = next(coder.losses(theta, real, seeded(4), batch=6))
    assert float(loss) == pytest.approx(float(torch.stack(wanted).mean()), rel=1e-9)


def test_loss_and_gradient_of_a_batch_are_the_means_over_its_images(films: Callable) -> None:
    images, labels = films(3, size=8, dtype=torch.double)
    coder = Autoencoder(1, 8, SHAPE)
    theta = coder.init(seeded(), like=images)
    plain, chunked, single = (
        next(coder.losses(theta, real, seeded(4), batch=6))
        for real in (
            RealSet(images, labels, 2, seeded()),
            RealSet(images, labels, 2, seeded(1), chunk=4),
            OneByOne(images, labels),
        )
    )
    for loss, gradient in (chunked, single):
        assert float(loss) == pytest.approx(float(plain[0]), abs=1e-12)
        for name, of in gradient.items():
            torch.testing.assert_close(of, plain[1][name], rtol=1e-9, atol=1e-11)


def test_every_update_asks_once(films: Callable) -> None:
    coder, real = Autoencoder(1, 8, SHAPE), OneByOne(*films(3, size=8))
    list(islice(coder.losses(coder.init(seeded()), real, seeded(), batch=6), 3))
    assert real.asked == 3


def test_the_loss_falls_and_images_come_back(
    trained: tuple[Trained, list[float]], gaussians: tuple[Tensor, Tensor, Tensor]
) -> None:
    one, losses = trained
    assert len(losses) == 80
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])
    means, images, labels = gaussians
    latents = one.denoiser.latents
    back = latents.decode(one.theta, latents.encode(one.theta, images))
    # Better than the best that knows only the class.
    assert (back - images).abs().mean() < (means[labels] - images).abs().mean()


def test_latents_are_about_as_wide_as_one(
    trained: tuple[Trained, list[float]], gaussians: tuple[Tensor, Tensor, Tensor]
) -> None:
    one, _ = trained
    latents = one.denoiser.latents.encode(one.theta, gaussians[1])
    assert latents.shape[1:] == one.denoiser.latents.shape
    assert float(latents.square().mean()) == pytest.approx(1, abs=0.05)
    assert not latents.requires_grad


def test_what_makes_latents_is_held_by_its_name_and_scaled_there_and_back() -> None:
    coder = Autoencoder(1, 8, SHAPE)
    weights = coder.init(seeded())
    theta = held(weights, torch.tensor(0.25)) | {"out.weight": torch.ones(1)}
    assert len(theta) == len(weights) + 2
    assert all(torch.equal(theta[f"{OF_LATENTS}{name}"], w) for name, w in weights.items())
    assert list(learned(theta)) == ["out.weight"]
    latents, images = Encoded(coder), torch.randn(2, 1, 8, 8, generator=seeded())
    encoded = latents.encode(theta, images)
    torch.testing.assert_close(encoded, 0.25 * coder.encode(weights, images))
    decoded = coder.decode(weights, coder.encode(weights, images))
    torch.testing.assert_close(latents.decode(theta, encoded), decoded)
    assert not latents.bounded


def test_an_answer_below_nothing_gives_a_scale_all_the_same(
    films: Callable, tmp_path: Path
) -> None:
    images, labels = films(4, size=8)

    class Noisy(RealSet):
        def means(self, questions: list[Question], *, size: int) -> list:
            answers = super().means(questions, size=size)
            return [-one if isinstance(one, Tensor) else one for one in answers]

    def source(_: int, __: int, rng: torch.Generator) -> Noisy:
        return Noisy(images, labels, 2, rng)

    one = made(tmp_path / "noisy", steps=1)
    list(making.make(one.folder, one, source, torch.empty(0)))
    assert math.isfinite(float(one.theta[f"{OF_LATENTS}scale"]))


def test_the_diffusion_model_learns_and_the_autoencoder_does_not(
    trained: tuple[Trained, list[float]], gaussians: tuple[Tensor, Tensor, Tensor]
) -> None:
    one, _ = trained
    theta: Weights = one.theta
    table = one.denoiser.table(8, seeded(), like=theta)
    hot = torch.eye(2)[gaussians[2][:8]]
    _, gradient = one.denoiser.gradient(theta, table, gaussians[1][:8], hot)
    assert gradient.keys() == learned(theta).keys() < theta.keys()
    images = one.denoiser.sample(
        theta, torch.randn(2, 1, 8, 8, generator=seeded()), torch.arange(2), guidance=1.0, steps=2
    )
    assert images.shape == (2, 1, 8, 8)
    assert images.isfinite().all()
