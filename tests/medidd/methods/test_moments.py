"""Moments beside the statistics and the regression written out."""

import math
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from medidd.architectures import convnet
from medidd.data import Question, RealSet, SyntheticSet
from medidd.distill import Classifies, distill
from medidd.features import LowFrequencies
from medidd.methods.moments import Moments, error, waves
from medidd.methods.rfad import RFAD
from medidd.surrogate import Statistics

FEATURES = LowFrequencies(12)
LR = torch.tensor(0.0)
KINDS = pytest.mark.parametrize(("classes", "channels"), [(2, 1), (3, 3), (4, 1)])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def begun(images: Tensor, classes: int, ipc: int) -> SyntheticSet:
    start = torch.randn(classes * ipc, *images.shape[1:], generator=seeded()).to(images)
    return SyntheticSet(start, torch.eye(classes).repeat_interleave(ipc, 0).to(images), LR)


def moments(classes: int = 2, channels: int = 1, size: int = 16, **own: Any) -> Moments:
    """Closed form alone, unless told otherwise."""
    network = convnet(classes, channels, size, width=8)
    return Moments(FEATURES, network, **{"refined": 0, "drawn": 8, **own})


def learned(method: Moments, images: Tensor, labels: Tensor, ipc: int) -> SyntheticSet:
    s = begun(images, int(labels.max()) + 1, ipc)
    real = RealSet(images, labels, s.classes, seeded(), chunk=3)
    list(distill(method, s, real, steps=1, rng=seeded()))
    return SyntheticSet(s.images.detach(), s.labels, LR)


class Noisy(RealSet):
    """Adds noise of one size to every number, as a private source does."""

    def __init__(self, *films: object, noise: float) -> None:
        super().__init__(*films)  # type: ignore[arg-type]
        self._noise, self.asked = noise, []

    def means(self, questions: list[Question], *, size: int) -> list:
        self.asked += questions
        answers = super().means(questions, size=size)
        rng = seeded(5)

        def noised(value: Tensor) -> Tensor:
            return value + self._noise * torch.randn(value.shape, generator=rng).to(value)

        return [{name: noised(value) for name, value in answer.items()} for answer in answers]


@KINDS
def test_what_is_known_are_the_moments_of_the_films(
    films: Callable, classes: int, channels: int
) -> None:
    images, labels = films(6, classes=classes, channels=channels, dtype=torch.double)
    images, labels = images[2:], labels[2:]  # classes of different sizes
    known = moments().asked(RealSet(images, labels, classes, seeded()), images)
    phi, y = FEATURES(images), torch.eye(classes, dtype=torch.double)[labels]
    means = y.T @ phi / y.sum(0)[:, None]
    off = phi - means[labels]
    torch.testing.assert_close(known.shares, y.mean(0))
    torch.testing.assert_close(known.means, means)
    torch.testing.assert_close(known.within, off.T @ off / len(off))
    assert known.noise == 0
    w, middle = torch.randn(12, classes, generator=seeded()).double(), phi.mean(0)
    there = (phi - middle) @ w - (y - 1 / classes)
    torch.testing.assert_close(error((w, middle), known), there.square().mean() / 2)


@pytest.mark.parametrize("channels", [1, 3])
def test_no_film_moves_the_answer_further_than_the_bound(films: Callable, channels: int) -> None:
    images, labels = films(4, channels=channels, dtype=torch.double)
    real = Noisy(images, labels, 2, seeded(), noise=0.0)
    method = moments(counts=0.3, first=0.7, second=1.1)
    method.asked(real, images)
    (question,) = real.asked
    assert question.classes == (0, 1)
    assert question.bound == pytest.approx(math.sqrt(0.3**2 + 0.7**2 + 1.1**2))
    signs = torch.randn(20, *images.shape[1:], generator=seeded()).double()
    tried = torch.cat([images, signs, 2 * signs.sign(), 1e6 * signs, torch.full_like(signs, 2.0)])
    lengths = []
    for image in tried:
        for y in torch.eye(2, dtype=torch.double):
            answer = question.f(image[None], y[None])
            lengths.append(torch.cat([part.flatten() for part in answer.values()]).norm())
    longest = torch.stack(lengths).max()
    assert longest <= question.bound + 1e-12
    assert longest > question.bound - 1e-6  # the bound is reached, so it is no looser than needed


@KINDS
@pytest.mark.parametrize("ipc", [2, 3, 10])
@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize("refined", [0, 3])
def test_regression_from_s_is_the_best_one_that_the_moments_know(
    films: Callable, classes: int, channels: int, ipc: int, noise: float, refined: int
) -> None:
    images, labels = films(30, classes=classes, channels=channels, noise=1.0, dtype=torch.double)
    strangers, _ = films(10, classes=classes, channels=channels, noise=1.0, seed=3)
    method = moments(classes, channels, refined=refined)
    s = begun(images, classes, ipc)
    real = Noisy(images, labels, classes, seeded(), noise=noise)
    list(distill(method, s, real, steps=1, rng=seeded()))
    known = method.asked(real, images)
    w = method.solution(known)
    # As released: 16 bits a pixel.
    display = (s.normalization.display(s.images.detach()) * 65535).round() / 65535
    assert display.min() >= 0
    assert display.max() <= 1
    released = SyntheticSet(s.normalization.standardize(display), s.labels, LR)
    found = method.classifier(released, seeded())(strangers.double()).log()
    wanted = FEATURES(strangers.double()) @ w
    found, wanted = (part - part.mean(1, keepdim=True) for part in (found, wanted))
    found, wanted = (part - part.mean(0) for part in (found, wanted))
    scale = (found * wanted).sum() / wanted.square().sum()  # of S's one factor
    assert scale > 0
    assert (found / scale - wanted).norm() < 0.02 * wanted.norm()


def test_without_noise_it_is_linear_discriminant_analysis(films: Callable) -> None:
    images, labels = films(200, noise=1.0, dtype=torch.double)
    method = moments()
    s = learned(method, images, labels, ipc=3)
    phi = FEATURES(images)
    zero, one = phi[labels == 0], phi[labels == 1]
    within = (torch.cov(zero.T, correction=0) + torch.cov(one.T, correction=0)) / 2
    direction = torch.linalg.solve(within, one.mean(0) - zero.mean(0))
    scores = method.classifier(s, seeded())(images).log()
    ours, theirs = scores[:, 1] - scores[:, 0], phi @ direction
    assert torch.corrcoef(torch.stack([ours, theirs]))[0, 1] > 0.9999


@pytest.mark.parametrize("ipc", [2, 5, 10])
def test_class_means_stay_and_deviations_have_the_greatest_variances(
    films: Callable, ipc: int
) -> None:
    images, labels = films(200, noise=1.0, dtype=torch.double)
    method = moments()
    known = method.asked(RealSet(images, labels, 2, seeded()), images)
    s = learned(method, images, labels, ipc)
    phi = FEATURES(s.images).view(2, ipc, -1)
    factor = phi.mean(1).norm() / known.means.norm()
    torch.testing.assert_close(phi.mean(1), factor * known.means)
    # Across the means, nothing of the deviations is lost.
    both = phi.mean(0) - phi.mean((0, 1))
    apart = known.means[1] - known.means[0]
    across = torch.eye(12).double() - torch.outer(apart, apart) / apart.square().sum()
    values, axes = torch.linalg.eigh(known.within)
    wanted = across @ (axes[:, 1 - ipc :] * values[1 - ipc :]) @ axes[:, 1 - ipc :].T @ across
    torch.testing.assert_close(across @ both.T @ both @ across / ipc / factor**2, wanted)


def test_one_image_per_class_leans_from_the_means_to_the_classifier(films: Callable) -> None:
    images, labels = films(100, noise=1.0, dtype=torch.double)
    known = moments().asked(RealSet(images, labels, 2, seeded()), images)
    apart = known.means[1] - known.means[0]
    w = moments().solution(known)[:, 1]
    for lean, towards in ((0.0, apart), (1.0, w)):
        s = learned(moments(lean=lean), images, labels, ipc=1)
        phi = FEATURES(s.images)
        cosine = torch.nn.functional.cosine_similarity(phi[1] - phi[0], towards, dim=0)
        assert cosine > 1 - 1e-9


@pytest.mark.parametrize("ipc", [1, 3])
def test_regression_on_random_features_of_refined_images_errs_less(
    films: Callable, ipc: int
) -> None:
    images, labels = films(100, noise=1.0)
    network = convnet(2, 1, 16, width=8)
    closed, refined = (
        learned(moments(refined=n, drawn=32, lr_images=0.05), images, labels, ipc) for n in (0, 60)
    )
    judge = RFAD(network, ridge=1e-2, augment=())
    thetas = [network.init(seeded(seed), like=images) for seed in range(20)]

    def off(s: SyntheticSet) -> float:
        real = RealSet(images, labels, 2, seeded())
        return float(judge.loss(thetas, s, real, seeded()))

    assert off(refined) < 0.9 * off(closed)


@pytest.mark.parametrize("noise", [1e-3, 1e-1])
def test_what_comes_back_for_nothing_tells_the_noise(films: Callable, noise: float) -> None:
    images, labels = films(10)
    method = moments(second=0.5)
    known = method.asked(Noisy(images, labels, 2, seeded(), noise=noise), images)
    assert known.noise == pytest.approx(noise / 0.5, rel=0.15)
    blind = Statistics(known.shares, known.means, torch.zeros(12, 12), known.noise)
    draw = known.noise * torch.randn(12, 12, generator=seeded())
    greatest = torch.linalg.eigvalsh((draw + draw.T) / 2).max()
    assert blind.edge == pytest.approx(float(greatest), rel=0.3)


def test_drowned_in_noise_s_is_still_a_set_of_images(films: Callable) -> None:
    images, labels = films(3, classes=3)
    s, method = begun(images, 3, 3), moments()
    real = Noisy(images, labels, 3, seeded(), noise=100.0)
    losses = list(distill(method, s, real, steps=1, rng=seeded()))
    assert math.isfinite(losses[0])
    assert s.images.isfinite().all()
    assert s.images.abs().max() <= 2
    assert method.classifier(s, seeded())(images).isfinite().all()


@pytest.mark.parametrize(("n", "many"), [(2, 1), (3, 2), (7, 4), (50, 49)])
def test_waves_are_orthogonal_with_mean_0_and_variance_1(n: int, many: int) -> None:
    columns = waves(n, many)
    torch.testing.assert_close(columns.T @ columns / n, torch.eye(many, dtype=torch.double))
    assert columns.mean(0).abs().max() < 1e-12


def test_all_films_are_asked_about_at_once(films: Callable) -> None:
    sizes = []

    class Source(RealSet):
        def means(self, questions: list[Question], *, size: int) -> list:
            sizes.append(size)
            return super().means(questions, size=size)

    images, labels = films(5)
    moments().asked(Source(images, labels, 2, seeded()), images)
    assert sizes == [sys.maxsize]


def test_it_has_a_classifier_of_its_own() -> None:
    assert isinstance(moments(), Classifies)


@pytest.mark.parametrize("name", ["ridge", "tilt", "counts", "first", "second"])
def test_a_weight_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be above 0, not 0"):
        moments(**{name: 0.0})
