"""Class means beside means."""

from collections.abc import Callable

import pytest
import torch

from medidd.data import Normalization, Question, RealSet, SyntheticSet
from medidd.distill import distill
from medidd.methods.class_mean import ClassMean

SCALES = [Normalization(), Normalization((0.4, 0.5, 0.6), (0.2, 0.25, 0.3)), Normalization(0, 1)]


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("scale", SCALES)
def test_every_image_is_the_mean_of_its_class(films: Callable, scale: Normalization) -> None:
    images, labels = films(5, channels=3, dtype=torch.double)
    images, labels = scale.bounded(images)[1:], labels[1:]
    start = torch.zeros(6, 3, 16, 16, dtype=torch.double)
    s = SyntheticSet(start, torch.eye(2).repeat_interleave(3, 0), torch.tensor(0.0), scale)
    real = RealSet(images, labels, 2, seeded(), chunk=2)
    losses = list(distill(ClassMean(), s, real, steps=2, rng=seeded()))
    means = torch.stack([images[labels == c].mean(0) for c in range(2)])
    torch.testing.assert_close(s.images.detach(), means.repeat_interleave(3, 0))
    assert losses[0] == pytest.approx(float(means.square().mean() / 2))
    assert losses[1] < 1e-20


def test_no_film_moves_a_mean_further_than_the_bound(films: Callable) -> None:
    asked: list[Question] = []

    class Source(RealSet):
        def means(self, questions: list[Question], *, size: int) -> list:
            asked.extend(questions)
            return super().means(questions, size=size)

    images, labels = films(2, channels=3, dtype=torch.double)
    for scale in SCALES:
        start = torch.zeros(2, 3, 16, 16, dtype=torch.double)
        s = SyntheticSet(start, torch.eye(2), torch.tensor(0.0), scale)
        list(distill(ClassMean(), s, Source(images, labels, 2, seeded()), steps=1, rng=seeded()))
    assert [question.classes for question in asked] == [(0,), (1,)] * 3
    for question in asked:
        lengths = [
            float(question.f(x[None], torch.eye(2)[:1]).norm())
            for x in (*images, *(1e6 * images), torch.full_like(images[0], -9))
        ]
        assert max(lengths) == pytest.approx(question.bound)


def test_unbounded_images_have_no_bound_and_the_same_means(films: Callable) -> None:
    images, labels = films(5, noise=3.0, dtype=torch.double)
    scale = Normalization(low=-torch.inf, high=torch.inf)
    s = SyntheticSet(
        torch.zeros(2, 1, 16, 16, dtype=torch.double), torch.eye(2), torch.tensor(0.0), scale
    )
    real = RealSet(5 * images, labels, 2, seeded())
    list(distill(ClassMean(), s, real, steps=1, rng=seeded()))
    means = torch.stack([5 * images[labels == c].mean(0) for c in range(2)])
    torch.testing.assert_close(s.images.detach(), means)
