"""Starts that choose films: by their embedding, or by what networks learn from them."""

from collections.abc import Callable
from itertools import combinations

import pytest
import torch
from torch import Tensor

from medidd.architectures import convnet, mlp
from medidd.evaluate import train
from medidd.starts import STARTS, begin
from medidd.starts.herding import herding
from medidd.starts.kcenter import kcenter
from medidd.starts.optimized_random import best, optimized_random
from medidd.starts.random import random
from medidd.starts.real import CHUNK, TRAINING, Real, each_class

both = pytest.mark.parametrize("choose", [herding, kcenter])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def vectors(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, 3, generator=seeded(seed), dtype=torch.float64)


def apart(one: list[float], other: list[float]) -> float:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5


def mean(of: list[list[float]]) -> list[float]:
    return [sum(column) / len(of) for column in zip(*of, strict=True)]


def herded(points: list[list[float]], ipc: int) -> list[int]:
    chosen: list[int] = []
    while len(chosen) < ipc:
        left = [row for row in range(len(points)) if row not in chosen]

        def gap(row: int) -> float:
            return apart(mean(points), mean([points[one] for one in [*chosen, row]]))

        chosen.append(min(left, key=gap))
    return chosen


def centers(points: list[list[float]], ipc: int) -> list[int]:
    chosen = [min(range(len(points)), key=lambda row: apart(mean(points), points[row]))]
    while len(chosen) < ipc:
        left = [row for row in range(len(points)) if row not in chosen]
        chosen.append(
            max(left, key=lambda row: min(apart(points[row], points[one]) for one in chosen))
        )
    return chosen


@pytest.mark.parametrize(("choose", "naive"), [(herding, herded), (kcenter, centers)])
@pytest.mark.parametrize("ipc", [1, 2, 5, 12])
def test_films_are_chosen_as_a_literal_loop_would(
    choose: Callable, naive: Callable, ipc: int
) -> None:
    for seed in range(5):
        points = vectors(12, seed)
        assert choose(points, ipc).tolist() == naive(points.tolist(), ipc)


@both
def test_the_first_film_is_the_nearest_to_the_class_mean(choose: Callable) -> None:
    points = vectors(20)
    points[13] = points.mean(0)
    assert choose(points, 1).tolist() == [13]


@both
@pytest.mark.parametrize("points", [vectors(9), torch.ones(9, 3)], ids=["spread", "alike"])
def test_as_many_as_there_are_is_every_film_once(choose: Callable, points: Tensor) -> None:
    chosen = choose(points, 9)
    assert sorted(chosen.tolist()) == list(range(9))
    torch.testing.assert_close(points[chosen].mean(0), points.mean(0))


def test_herding_follows_the_mean_better_than_chance() -> None:
    points = vectors(200)

    def gap(rows: Tensor) -> float:
        return float((points[rows].mean(0) - points.mean(0)).norm())

    chance = [gap(torch.randperm(200, generator=seeded(seed))[:10]) for seed in range(50)]
    assert gap(herding(points, 10)) < min(chance)


def test_kcenter_leaves_no_film_twice_as_far_as_the_best_centers_would() -> None:
    def radius(distances: Tensor, rows: list[int]) -> float:
        return float(distances[:, rows].min(1).values.max())

    for seed in range(10):
        points = vectors(9, seed)
        distances = torch.cdist(points, points)
        optimum = min(radius(distances, list(rows)) for rows in combinations(range(9), 3))
        assert radius(distances, kcenter(points, 3).tolist()) <= 2 * optimum + 1e-9


def test_the_embedding_is_that_of_a_network_trained_on_the_films(films: Callable) -> None:
    images, labels = films(CHUNK)
    f = convnet(2, 1, 16, width=4)
    theta = train(f, images, torch.eye(2)[labels], TRAINING, seeded(3))
    ours = Real(images, labels, 2, f).embedding(seeded(3))
    torch.testing.assert_close(ours, f.embed(theta, images))
    assert not ours.requires_grad


@pytest.mark.parametrize(("name", "choose"), [("herding", herding), ("kcenter", kcenter)])
def test_films_are_chosen_class_by_class_in_the_embedding(
    films: Callable, name: str, choose: Callable
) -> None:
    images, labels = films(8, classes=3)
    shuffle = torch.randperm(len(images), generator=seeded())
    images, labels = images[shuffle], labels[shuffle]
    f = mlp(3, 1, 16, width=8)
    points = Real(images, labels, 3, f).embedding(seeded(5))
    expected = []
    for label in range(3):
        rows = [row for row in range(len(labels)) if labels[row] == label]
        expected += [rows[one] for one in choose(points[rows], 2)]
    rng = seeded(5)
    s = begin(STARTS[name], images, labels, classes=3, ipc=2, rng=rng, network=f)
    assert torch.equal(s.images, images[expected])


@pytest.mark.parametrize("place", [0, 1, 3])
def test_the_best_set_is_the_one_that_was_planted(films: Callable, place: int) -> None:
    images, labels = films(10, noise=1.0)
    real = Real(images, labels, 2, convnet(2, 1, 16, width=4))
    means = torch.stack([images[labels == label].mean(0) for label in range(2)])
    noise = torch.randn(2, 2, 1, 16, 16, generator=seeded())
    candidates = [means.flip(0), *noise]
    candidates.insert(place, means)
    assert best(candidates, real, seeded()) is means


def test_a_rare_class_counts_as_much_as_a_frequent_one(films: Callable) -> None:
    images, labels = films(60, noise=5.0)
    means = torch.stack([images[labels == label].mean(0) for label in range(2)])
    kept = torch.cat([(labels == 0).nonzero()[:6], (labels == 1).nonzero()]).squeeze(1)
    real = Real(images[kept], labels[kept], 2, convnet(2, 1, 16, width=8))
    # Of a white film nothing is learned about the rare class: all films are called frequent, which
    # is right for 60 of 66. Of the means both classes are learned, each at five in six.
    blind = torch.stack([torch.full((1, 16, 16), 10.0), means[1]])
    assert best([blind, means], real, seeded()) is means


def test_optimized_random_gives_one_of_the_random_sets(films: Callable) -> None:
    images, labels = films(6, noise=2.0)
    real = Real(images, labels, 2, mlp(2, 1, 16, width=4))
    replay = seeded(4)
    candidates = [each_class(random)(real, 2, replay) for _ in range(3)]
    chosen = optimized_random(real, 2, seeded(4))
    assert [torch.equal(chosen, candidate) for candidate in candidates].count(True) == 1
    assert torch.equal(chosen, best(candidates, real, replay))
