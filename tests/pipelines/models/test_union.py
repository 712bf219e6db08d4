"""Bundles of several sites as one set: each counts as much as it should."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from medidd.dicom.patches import Patches
from medidd.dicom.reading import DEFAULT, Reading
from pipelines.models.received import Received, Recipe
from pipelines.models.union import united
from pipelines.run.errors import Stop

RECIPE = Recipe(
    steps=3,
    batch=256,
    lr=0.01,
    momentum=0.9,
    weight_decay=0.0005,
    augment=[],
    noise=0.0,
    averaged=0.0,
    networks=1,
    width=4,
)


def bundle(ipc: int, *, seed: int, size: int = 16, reading: Reading = DEFAULT) -> Received:
    rng = torch.Generator().manual_seed(seed)
    images = torch.rand(2 * ipc, 1, size, size, generator=rng)
    labels = torch.eye(2).repeat_interleave(ipc, 0)
    names = ("normal", "pneumonia")
    site = Path(f"site{seed}")
    return Received(site, images, labels, names, reading, RECIPE, "dm", None, f"{seed:064}")


def loss_of(images: torch.Tensor, labels: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """The loss that a training on a pool sees, of a linear classifier w."""
    return cross_entropy(images.flatten(1) @ w, labels)


@pytest.mark.parametrize("ipcs", [(3, 3), (3, 5), (1, 10), (7, 2, 4)])
@pytest.mark.parametrize("weights", ["alike", "unlike", "far apart"])
def test_every_site_counts_by_its_weight_whatever_its_size(
    ipcs: tuple[int, ...], weights: str
) -> None:
    sites = [bundle(ipc, seed=seed) for seed, ipc in enumerate(ipcs)]
    given = {"alike": [1.0, 1.0, 1.0], "unlike": [2.5, 1.0, 0.25], "far apart": [1e9, 1.0, 1e-3]}
    counts = given[weights][: len(sites)]
    w = torch.randn(256, 2, generator=torch.Generator().manual_seed(9))
    images, labels = united(sites, {}).pool(counts, None)
    assert len(images) <= 5000
    each = torch.stack([loss_of(site.standardised, site.labels, w) for site in sites])
    wanted = (each * torch.tensor(counts)).sum() / sum(counts)
    assert loss_of(images, labels, w) == pytest.approx(float(wanted), rel=1e-5)


def test_one_bundle_alone_is_left_as_it_is() -> None:
    one = bundle(3, seed=0)
    images, labels = united([one], {}).pool([1.0], None)
    assert torch.equal(images, one.standardised)
    assert torch.equal(labels, one.labels)


def test_patches_are_joined_if_they_show_as_much_and_films_have_the_same_classes() -> None:
    one = replace(
        bundle(3, seed=0, reading=Reading(patches=Patches(40, 20, 96, "normal"))),
        film_classes=("pneumonia", "normal"),
    )
    cut = replace(one.reading, patches=Patches(40, 10, 96, "nothing"))
    other = replace(
        one, classes=("nothing", "pneumonia"), reading=cut, film_classes=("pneumonia", "nothing")
    )
    joined = united([one, other], {"nothing": "normal"})
    assert joined.film_classes == one.film_classes
    assert joined.bundles[1].reading.patches == Patches(40, 10, 96, "normal")
    for wrong in (
        replace(one, reading=DEFAULT, film_classes=()),
        replace(one, reading=Reading(patches=Patches(40, 20, 90, "normal"))),
        replace(one, reading=Reading(patches=Patches(30, 20, 96, "normal"))),
        replace(one, film_classes=("pneumonia",)),
    ):
        for pair in ([one, wrong], [wrong, one]):
            with pytest.raises(Stop, match="not cut into patches as those of"):
                united(pair, {})


def test_films_that_were_read_differently_are_told() -> None:
    other = bundle(3, seed=1, reading=replace(DEFAULT, voi="percentile"))
    (said,) = united([bundle(3, seed=0), other], {}).remarks
    assert "voi: auto, percentile" in said
    assert united([bundle(3, seed=0), bundle(3, seed=1)], {}).remarks == ()


def test_resampled_images_keep_their_mean_and_their_scale() -> None:
    small, large = bundle(3, seed=0), bundle(3, seed=1, size=32)
    with pytest.raises(Stop, match="of different sizes") as stop:
        united([small, large], {})
    assert stop.value.code == 2
    found = united([small, large], {}, 16)
    assert found.size == 16
    assert found.bundles[1].images.mean() == pytest.approx(float(large.images.mean()), abs=0.01)
    assert found.images.min() >= 0
    assert found.images.max() <= 1
