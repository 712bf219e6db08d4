"""Training a denoiser: its steps written out, its questions counted, its samples like the films."""

import copy
from collections.abc import Callable
from itertools import islice

import pytest
import torch
from one_by_one import OneByOne
from torch import Tensor

from medidd.data import RealSet
from medidd.denoisers.trained import Trained
from medidd.denoisers.training import LEAST, WARM, State, Training, denoising, trained
from medidd.network import Weights

SPREAD = 0.5
"""Of each pixel of the Gaussians, as they are made."""


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def weights(seed: int = 0) -> Weights:
    rng = seeded(seed)
    return {
        "a": torch.randn(3, generator=rng, dtype=torch.double),
        "b": torch.randn(2, 2, generator=rng, dtype=torch.double),
    }


def test_the_step_size_grows_at_first_and_then_falls_to_a_tenth() -> None:
    how = Training(steps=1000, lr=0.5)
    assert how.rate(0) == pytest.approx(0.5 / WARM)
    assert how.rate(WARM - 1) == pytest.approx(0.5 * (1 - (1 - LEAST) * (WARM - 1) / 1000))
    assert how.rate(1000) == pytest.approx(0.5 * LEAST)
    rates = [how.rate(step) for step in range(1001)]
    assert rates[:WARM] == sorted(rates[:WARM])
    falls = [rates[i] - rates[i + 1] for i in range(WARM - 1, 1000)]
    assert falls == pytest.approx([0.5 * (1 - LEAST) / 1000] * len(falls))
    assert Training(steps=1, lr=0.5).rate(0) > 0


def test_the_average_begins_as_the_weights_and_neither_is_the_one_that_was_given() -> None:
    theta = weights()
    before = copy.deepcopy(theta)
    state = State.begun(theta, Training(steps=5), seeded())
    for name, weight in before.items():
        assert torch.equal(state.average[name], weight)
        assert torch.equal(state.theta[name], weight)
        assert state.theta[name].requires_grad
        assert not state.average[name].requires_grad
    state.update(weights(1), Training(steps=5))
    assert all(torch.equal(theta[name], weight) for name, weight in before.items())


def test_an_update_is_adam_down_the_shortened_gradient_and_the_average_follows() -> None:
    how = Training(steps=20, lr=0.3, kept=0.25, longest=0.7)
    state = State.begun(weights(), how, seeded())
    theta, average = weights(), weights()
    first, second = ({name: torch.zeros_like(w) for name, w in theta.items()} for _ in range(2))
    for step in range(1, 9):
        gradient = {name: step / 4 * w for name, w in weights(step).items()}
        length = float(torch.cat([g.flatten() for g in gradient.values()]).norm())
        state.update({name: g.clone() for name, g in gradient.items()}, how)
        kept = min(0.25, (1 + step) / (10 + step))
        for name, g in gradient.items():
            g = g * min(1.0, 0.7 / length)
            first[name] = 0.9 * first[name] + 0.1 * g
            second[name] = 0.999 * second[name] + 0.001 * g**2
            m, v = first[name] / (1 - 0.9**step), second[name] / (1 - 0.999**step)
            theta[name] = theta[name] - how.rate(step - 1) * m / (v.sqrt() + 1e-8)
            average[name] = kept * average[name] + (1 - kept) * theta[name]
            torch.testing.assert_close(state.theta[name].detach(), theta[name], rtol=1e-5, atol=0)
            torch.testing.assert_close(state.average[name], average[name], rtol=1e-5, atol=0)
    assert state.step == 8


def test_a_loss_that_is_not_finite_stops_before_its_step() -> None:
    how = Training(steps=5)
    state = State.begun(weights(), how, seeded())
    told = iter([(torch.tensor(1.0), weights(1)), (torch.tensor(torch.nan), weights(2))])
    run = trained(state, how, lambda *_: told)
    assert next(run) == 1.0
    before = copy.deepcopy(state.average)
    with pytest.raises(FloatingPointError, match="not finite after step 1; lower lr"):
        next(run)
    assert state.step == 1
    assert all(torch.equal(state.average[name], w) for name, w in before.items())


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({"steps": 0}, "steps and batch must be 1 or more"),
        ({"batch": 0}, "steps and batch must be 1 or more"),
        ({"lr": 0.0}, "lr must be above 0, not 0"),
        ({"lr": float("nan")}, "lr must be above 0, not nan"),
        ({"hidden": 1.0}, "hidden must be from 0 to below 1, not 1"),
        ({"hidden": -0.1}, "hidden must be from 0"),
    ],
)
def test_a_training_that_cannot_be_is_refused(own: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Training(**{"steps": 5} | own)


# On films.


def test_every_update_asks_once_about_everybody_and_hides_some_labels(
    films: Callable, fresh: Callable, stirred: Callable
) -> None:
    images, labels = films(4, size=8, dtype=torch.double)
    denoiser, how = fresh(size=8).denoiser, Training(steps=4, batch=30, hidden=0.5)
    theta, real = stirred(fresh(size=8).theta), OneByOne(images, labels)
    rng = seeded(3)
    answers = list(islice(denoising(denoiser, {}, real, how)(theta, rng), 4))
    assert real.asked == 4
    rng = seeded(3)
    for loss, gradient in answers:
        table = denoiser.table(30, rng, like=theta, hidden=0.5)
        wanted = denoiser.gradient(theta, table, images, torch.eye(2, dtype=torch.double)[labels])
        assert float(loss) == pytest.approx(float(wanted[0]), abs=1e-12)
        for name, of in gradient.items():
            torch.testing.assert_close(of, wanted[1][name], rtol=1e-9, atol=1e-11)
        assert 3 < int(table.blind.sum()) < 27


def test_a_source_that_asks_image_by_image_trains_the_same_weights(
    films: Callable, fresh: Callable
) -> None:
    images, labels = films(4, size=8, dtype=torch.double)
    one, how = fresh(size=8), Training(steps=3, batch=8)
    ends = []
    for real in (RealSet(images, labels, 2, seeded(7)), OneByOne(images, labels)):
        theta = one.denoiser.diffusion.init(seeded(), like=images)
        state = State.begun(theta, how, seeded(1))
        losses = list(trained(state, how, denoising(one.denoiser, {}, real, how)))
        assert len(losses) == 3
        ends.append(torch.cat([w.flatten() for w in state.average.values()]))
    # Adam divides by the size of a gradient, so that what is rounding in one that is 0 could grow.
    assert float((ends[0] - ends[1]).norm()) < 1e-6 * float(ends[0].norm())


def test_samples_have_the_means_and_the_spread_of_the_films_of_their_class(
    of_gaussians: Trained, gaussians: tuple[Tensor, Tensor, Tensor]
) -> None:
    means, _, _ = gaussians
    noise = torch.randn(200, 1, 8, 8, generator=seeded(1))
    labels = torch.arange(2).repeat_interleave(100)
    model, theta = of_gaussians.denoiser, of_gaussians.theta
    drawn = model.sample(theta, noise, labels, guidance=1.0, steps=25)
    for label in range(2):
        of_class = drawn[labels == label]
        off = of_class.mean(0) - means[label]
        # A mean of 100 samples of a model of 200 films is .06 off where all is well, and the means
        # of the classes are .85 apart.
        assert off.square().mean().sqrt() < 0.12
        assert off.abs().max() < 0.4
        spread = of_class.std(0) / SPREAD
        assert 0.85 < float(spread.mean()) < 1.25
        assert float(spread.min()) > 0.6
        assert float(spread.max()) < 1.6
        # Pixels vary independently, so that a mean over all 64 of them varies by an eighth.
        assert 0.5 < float(of_class.mean((1, 2, 3)).std()) * 8 / SPREAD < 2
