"""The diffusion model beside MONAI's schedules, a literal DDIM, and Gaussians."""

from collections.abc import Callable
from math import cos, pi

import pytest
import torch
from monai.networks.schedulers import DDIMScheduler, DDPMScheduler
from torch import Tensor

from medidd.denoisers.diffusion import MOMENTS, Diffusion
from medidd.denoisers.shapes import Shape
from medidd.network import Weights

HOW = {"num_train_timesteps": MOMENTS, "schedule": "cosine", "prediction_type": "v_prediction"}
TINY = Shape((16, 16), attention=0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.double)


@pytest.fixture(scope="module")
def diffusion() -> Diffusion:
    return Diffusion(2, 3, TINY, bounded=False)


@pytest.fixture(scope="module")
def theta(diffusion: Diffusion, stirred: Callable) -> Weights:
    return stirred(diffusion.init(seeded()))


def velocity(
    diffusion: Diffusion, theta: Weights, x: Tensor, moments: Tensor, labels: Tensor
) -> Tensor:
    return diffusion._network.call(theta, x, moments, class_labels=labels)


def test_the_noise_follows_the_cosine_of_its_paper(diffusion: Diffusion) -> None:
    def f(t: int) -> float:
        return cos((t / MOMENTS + 0.008) / 1.008 * pi / 2) ** 2

    kept = diffusion._schedule.alphas_cumprod
    assert len(kept) == MOMENTS
    for t in range(0, MOMENTS, 37):
        assert float(kept[t]) == pytest.approx(f(t + 1) / f(0), abs=1e-3)


def test_the_clean_latents_and_the_error_are_those_of_monais_schedules(
    diffusion: Diffusion, theta: Weights
) -> None:
    latents, noise = drawn(6, 3, 4, 4), drawn(6, 3, 4, 4, seed=1)
    moments, labels = torch.tensor([0, 1, 250, 500, 998, 999]), torch.tensor([0, 1, 2, 0, 1, 2])
    predicted, error = diffusion.clean(theta, latents, noise, moments, labels)

    ddpm, ddim = DDPMScheduler(**HOW), DDIMScheduler(**HOW, clip_sample=False)
    noisy = ddpm.add_noise(latents, noise, moments)
    v = velocity(diffusion, theta, noisy, moments, labels)
    wanted = ddpm.get_velocity(latents, noise, moments)
    for i in range(6):
        assert float(error[i]) == pytest.approx(float((v[i] - wanted[i]).square().mean()))
        _, original = ddim.step(v[i], int(moments[i]), noisy[i])
        torch.testing.assert_close(predicted[i], original, rtol=1e-5, atol=1e-5)


def test_from_the_true_velocity_the_latents_themselves_follow() -> None:
    latents, noise, moments = drawn(5, 3, 4, 4), drawn(5, 3, 4, 4, seed=1), torch.arange(5) * 249
    true = DDPMScheduler(**HOW).get_velocity(latents, noise, moments)
    told = Diffusion(2, 3, TINY)
    vars(told)["_network"] = Network(lambda *_: true)
    predicted, error = told.clean({}, latents, noise, moments, torch.zeros(5).long())
    torch.testing.assert_close(predicted, latents, rtol=1e-5, atol=1e-5)
    assert error.max() < 1e-10


def test_latents_are_predicted_one_by_one(diffusion: Diffusion, theta: Weights) -> None:
    latents, noise = drawn(4, 3, 4, 4), drawn(4, 3, 4, 4, seed=1)
    moments, labels = torch.tensor([3, 300, 600, 900]), torch.tensor([0, 1, 2, 0])
    together = diffusion.clean(theta, latents, noise, moments, labels)
    for i in range(4):
        own = slice(i, i + 1)
        alone = diffusion.clean(theta, latents[own], noise[own], moments[own], labels[own])
        for whole, part in zip(together, alone, strict=True):
            torch.testing.assert_close(whole[own], part)


# Drawing.


class Network:
    """A network whose velocity is known; keeps the moments and labels that it was asked about."""

    def __init__(self, v: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        self.v = v
        self.asked: list[tuple[Tensor, Tensor]] = []

    def call(self, _: Weights, x: Tensor, moments: Tensor, *, class_labels: Tensor) -> Tensor:
        self.asked.append((moments, class_labels))
        return self.v(x, moments.long(), class_labels)


def ddim(
    v: Callable[[Tensor, int, int], Tensor],
    noise: Tensor,
    labels: list[int],
    *,
    guidance: float,
    steps: int,
    bounded: bool,
) -> Tensor:
    """DDIM image by image; after a moment t comes what noise is left T / steps moments earlier."""
    kept = [float(one) for one in DDIMScheduler(**HOW).alphas_cumprod]
    found = []
    for z, label in zip(noise.split(1), labels, strict=True):
        for t in torch.linspace(MOMENTS - 1, 0, steps).round().long().tolist():
            without, given = v(z, t, 2), v(z, t, label)
            guided = without + guidance * (given - without)
            a, s = kept[t] ** 0.5, (1 - kept[t]) ** 0.5
            clean, epsilon = a * z - s * guided, a * guided + s * z
            clean = clean.clamp(-1, 1) if bounded else clean
            before = t - MOMENTS // steps
            left = kept[before] if before >= 0 else 1.0
            z = left**0.5 * clean + (1 - left) ** 0.5 * epsilon
        found.append(z)
    return torch.cat(found)


@pytest.mark.parametrize("bounded", [True, False])
@pytest.mark.parametrize("guidance", [0.0, 1.0, 2.5])
def test_drawing_is_ddim_with_guidance(theta: Weights, guidance: float, bounded: bool) -> None:
    diffusion = Diffusion(2, 3, TINY, bounded)

    def v(z: Tensor, t: int, label: int) -> Tensor:
        return velocity(diffusion, theta, z, torch.tensor([t]), torch.tensor([label]))

    noise, labels, steps = drawn(3, 3, 4, 4), [0, 1, 1], 8
    ours = diffusion.sample(theta, noise, torch.tensor(labels), guidance=guidance, steps=steps)
    literal = ddim(v, noise, labels, guidance=guidance, steps=steps, bounded=bounded)
    torch.testing.assert_close(ours, literal, rtol=1e-4, atol=1e-5)
    if bounded:
        assert ours.abs().max() <= 1


def test_guidance_of_one_is_none_and_more_goes_further_from_what_no_label_says() -> None:
    def v(x: Tensor, moments: Tensor, labels: Tensor) -> Tensor:
        return 0.1 * x + 0.2 * labels[:, None, None, None] + moments[:, None, None, None] / 2000

    def sampled(guidance: float) -> Tensor:
        diffusion = Diffusion(2, 3, TINY, bounded=False)
        vars(diffusion)["_network"] = Network(v)
        labels = torch.tensor([0, 1])
        return diffusion.sample({}, drawn(2, 3, 4, 4), labels, guidance=guidance, steps=10)

    plain = ddim(
        lambda z, t, label: v(z, torch.tensor([t]), torch.tensor([label])),
        drawn(2, 3, 4, 4),
        [0, 1],
        guidance=1.0,
        steps=10,
        bounded=False,
    )
    torch.testing.assert_close(sampled(1.0), plain, rtol=1e-5, atol=1e-5)
    towards = (sampled(1.0) - sampled(0.0)).flatten(1).norm(dim=1)
    twice = (sampled(2.0) - sampled(0.0)).flatten(1).norm(dim=1)
    torch.testing.assert_close(twice, 2 * towards)


def test_the_network_is_asked_with_a_hidden_label_and_with_the_true_one() -> None:
    network = Network(lambda x, *_: torch.zeros_like(x))
    diffusion = Diffusion(4, 3, TINY)
    vars(diffusion)["_network"] = network
    labels = torch.tensor([0, 3, 1])
    diffusion.sample({}, drawn(3, 3, 4, 4), labels, guidance=3.0, steps=5)
    assert len(network.asked) == 5
    for moments, asked in network.asked:
        assert torch.equal(asked, torch.cat([torch.full((3,), 4), labels]))
        assert len(moments) == 6
        assert len(moments.unique()) == 1


def gaussian(mean: float, spread: float) -> Network:
    """The best network for latents that are normal, independently of each other."""
    kept_ = DDPMScheduler(**HOW).alphas_cumprod.double()

    def v(z: Tensor, moments: Tensor, _: Tensor) -> Tensor:
        kept = kept_[moments][:, None, None, None]
        a, s = kept.sqrt(), (1 - kept).sqrt()
        clean = mean + a * spread**2 / (kept * spread**2 + 1 - kept) * (z - a * mean)
        return a * (z - a * clean) / s - s * clean

    return Network(v)


@pytest.mark.parametrize(
    ("steps", "most"), [(10, 0.1), (50, 0.03), (MOMENTS, 0.002)], ids=["few", "usual", "all"]
)
def test_of_gaussian_latents_noise_becomes_the_mean_and_as_many_spreads(
    steps: int, most: float
) -> None:
    diffusion = Diffusion(2, 1, TINY, bounded=False)
    vars(diffusion)["_network"] = gaussian(0.3, 0.4)
    noise = torch.linspace(-2, 2, 9, dtype=torch.double).reshape(9, 1, 1, 1)
    latents = diffusion.sample({}, noise, torch.zeros(9).long(), guidance=1.0, steps=steps)
    # The path of DDIM without noise, in the limit of many steps.
    assert ((latents - (0.3 + 0.4 * noise)).abs() < most * (1 + noise.abs())).all()


def test_drawing_depends_on_nothing_but_noise_labels_and_weights(
    diffusion: Diffusion, theta: Weights
) -> None:
    noise, labels = drawn(4, 3, 4, 4), torch.tensor([0, 0, 1, 1])
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = diffusion.sample(theta, noise, labels, guidance=2.0, steps=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again = diffusion.sample(theta, noise, labels, guidance=2.0, steps=3)
    assert torch.equal(one, again)
    half = diffusion.sample(theta, noise[1:3], labels[1:3], guidance=2.0, steps=3)
    torch.testing.assert_close(half, one[1:3])
    other = diffusion.sample(theta, noise, 1 - labels, guidance=2.0, steps=3)
    assert (other - one).flatten(1).norm(dim=1).min() > 1e-3


def test_weights_follow_from_the_generator_alone(diffusion: Diffusion) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, two, other = (diffusion.init(seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
    like = torch.empty(0, dtype=torch.double)
    assert {w.dtype for w in diffusion.init(seeded(), like).values()} == {torch.double}
