"""Every start by shape and seed, each by what it is."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from medidd.architectures import mlp
from medidd.data import NORMALIZATION, RealSet, SyntheticSet
from medidd.distill import distill
from medidd.features import LowFrequencies
from medidd.methods import Moments
from medidd.starts import BASELINES, STARTS, begin
from medidd.starts.average import average
from medidd.starts.kmeans import kmeans
from medidd.starts.noise import SPREAD, noise
from medidd.starts.random import random

every_start = pytest.mark.parametrize("name", sorted(STARTS))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def begun(name: str, images: Tensor, labels: Tensor, *, ipc: int, seed: int = 0) -> SyntheticSet:
    classes, channels, size = int(labels.max()) + 1, images.shape[1], images.shape[2]
    network = mlp(classes, channels, size, width=4)
    start, rng = STARTS[name], seeded(seed)
    return begin(start, images, labels, classes=classes, ipc=ipc, rng=rng, network=network)


def test_the_closed_form_is_what_moments_makes_without_refinement(films: Callable) -> None:
    images, labels = films(12, size=16)
    ours = begun("closed-form", images, labels, ipc=3)
    s = begun("noise", images, labels, ipc=3)
    method = Moments(LowFrequencies(), mlp(2, 1, 16, width=4), refined=0)
    list(distill(method, s, RealSet(images, labels, 2, seeded()), steps=1, rng=seeded()))
    torch.testing.assert_close(ours.images, s.images.detach())


def draw(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, 1, 4, 4, generator=seeded(seed))


@every_start
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("classes", "channels", "ipc"), [(2, 1, 1), (3, 3, 4)])
def test_a_start_has_ipc_images_of_every_class_in_order(
    films: Callable, name: str, dtype: torch.dtype, classes: int, channels: int, ipc: int
) -> None:
    images, labels = films(6, classes=classes, channels=channels, dtype=dtype)
    s = begun(name, images, labels, ipc=ipc)
    assert s.images.shape == (classes * ipc, channels, 16, 16)
    assert (s.classes, s.ipc) == (classes, ipc)
    assert s.labels.tolist() == torch.eye(classes).repeat_interleave(ipc, 0).tolist()
    assert s.log_lr.exp().item() == pytest.approx(0.01)
    assert {tensor.dtype for tensor in s.tensors().values()} == {dtype}
    assert s.images.isfinite().all()


@every_start
def test_a_start_follows_from_its_generator(films: Callable, name: str) -> None:
    images, labels = films(6)
    before, torchs = images.clone(), torch.get_rng_state()

    first, again, *others = (
        begun(name, images, labels, ipc=3, seed=seed).images for seed in (0, 0, 1, 2, 3, 4)
    )
    assert torch.equal(again, first)
    assert any(not torch.equal(other, first) for other in others)
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), torchs)


@every_start
def test_a_start_takes_each_class_from_its_own_films(films: Callable, name: str) -> None:
    if STARTS[name].holds == "noise":
        return
    images, labels = films(6, noise=0.1)
    shuffle = torch.randperm(len(images), generator=seeded())
    s = begun(name, images[shuffle], labels[shuffle], ipc=2)
    means = torch.stack([images[labels == label].mean(0) for label in range(2)])
    nearest = torch.cdist(s.images.flatten(1), means.flatten(1)).argmin(1)
    assert nearest.tolist() == [0, 0, 1, 1]


@every_start
def test_a_start_shares_no_memory_with_the_films(films: Callable, name: str) -> None:
    images, labels = films(2)
    before = images.clone()
    begun(name, images, labels, ipc=1).images.fill_(9)
    assert torch.equal(images, before)


@every_start
def test_more_images_than_a_class_has_are_refused_except_of_noise(
    films: Callable, name: str
) -> None:
    images, labels = films(3)

    def ask() -> Tensor:
        return begun(name, images, labels, ipc=4).images

    if STARTS[name].holds == "noise":
        assert len(ask()) == 8
    else:
        with pytest.raises(ValueError, match="class number 0 has 3 images; lower ipc"):
            ask()


@pytest.mark.parametrize("name", [name for name in STARTS if STARTS[name].holds == "films"])
def test_a_start_that_holds_films_holds_none_of_them_twice(films: Callable, name: str) -> None:
    images, labels = films(4)
    s = begun(name, images, labels, ipc=3)
    rows = [int((images == film).flatten(1).all(1).nonzero()) for film in s.images]
    assert len(set(rows)) == 6


def test_random_gives_existing_films_without_repetition() -> None:
    images = draw(8)
    rows: set[int] = set()
    for seed in range(20):
        drawn = random(images, 5, seeded(seed))
        found = [row for film in drawn for row, own in enumerate(images) if torch.equal(own, film)]
        assert len(found) == len(set(found)) == 5
        rows |= set(found)
    assert rows == set(range(8))


def test_random_of_all_films_is_a_permutation_of_them() -> None:
    images = draw(5)
    drawn = random(images, 5, seeded())
    assert torch.equal(drawn.flatten(1).sort(0).values, images.flatten(1).sort(0).values)


@pytest.mark.parametrize("start", [average, kmeans])
def test_one_mean_is_the_class_mean(start: Callable) -> None:
    images = draw(7)
    torch.testing.assert_close(start(images, 1, seeded()), images.mean(0, keepdim=True))


@pytest.mark.parametrize(("n", "ipc"), [(6, 3), (7, 3), (5, 5), (9, 2)])
def test_averages_are_means_of_disjoint_parts_as_equal_as_can_be(n: int, ipc: int) -> None:
    # Film i is 2^i, so that a sum of films says which they are.
    images = (2.0 ** torch.arange(n))[:, None, None, None].double()
    means = average(images, ipc, seeded()).flatten().tolist()
    sizes = [n // ipc + (part < n % ipc) for part in range(ipc)]
    sums = [round(mean * size) for mean, size in zip(means, sizes, strict=True)]
    assert [one.bit_count() for one in sums] == sizes
    assert sum(sums) == 2**n - 1


def test_kmeans_finds_the_clusters_that_are_there() -> None:
    centres = 20 * draw(3, seed=1)
    images = centres.repeat(10, 1, 1, 1) + 0.01 * draw(30)
    found = kmeans(images, 3, seeded())
    distances = torch.cdist(found.flatten(1), centres.flatten(1))
    assert sorted(distances.argmin(1).tolist()) == [0, 1, 2]
    assert distances.min(1).values.max() < 0.1


def test_centroids_are_the_means_of_the_films_nearest_to_them() -> None:
    images = draw(40)
    found = kmeans(images, 4, seeded())
    nearest = torch.cdist(images.flatten(1), found.flatten(1)).argmin(1)
    for cluster in range(4):
        torch.testing.assert_close(
            images[nearest == cluster].mean(0), found[cluster], rtol=1e-4, atol=1e-4
        )


def test_noise_uses_nothing_of_the_films_but_their_shape() -> None:
    films = draw(8)
    ours = noise(films, 3, seeded())
    for others in (films * 100 + 7, films[:1], torch.full_like(films, float("nan")), films[:0]):
        assert torch.equal(noise(others, 3, seeded()), ours)


def test_noise_is_normal_and_hardly_leaves_the_screen() -> None:
    drawn = noise(torch.zeros(1, 1, 100, 100), 10, seeded())
    assert drawn.mean().item() == pytest.approx(0, abs=0.01)
    assert drawn.std().item() == pytest.approx(SPREAD, rel=0.01)
    pixels = NORMALIZATION.display(drawn)
    assert ((pixels < 0) | (pixels > 1)).float().mean() < 1e-3


def test_baselines_are_starts_that_learn_something_of_the_films() -> None:
    assert all(STARTS[name].holds != "noise" for name in BASELINES)
