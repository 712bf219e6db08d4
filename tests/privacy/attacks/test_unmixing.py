"""A6 finds the films that an image is mixed from, and clears what is nobody's."""

import numpy as np
import pytest
import torch
from invented_radiographs import evidence, labelled, noise, radiographs
from scipy.optimize import nnls
from torch import Tensor

from privacy import Films, Policy, Verdict
from privacy.attacks.unmixing import FITS, by_chance, shares, unmixing, weights


def mixed(members: Films, *parts: float) -> Tensor:
    """Returns four images, each of as many patients as there are parts."""
    films = members.images[members.first]
    return torch.stack(
        [
            sum((part * films[4 * i + j] for i, part in enumerate(parts)), torch.zeros(()))
            for j in range(4)
        ]
    )


@pytest.mark.parametrize(
    ("parts", "low", "high"),
    [((1.0,), 0.999, 1.0), ((0.7, 0.3), 0.6, 0.8), ((0.5, 0.5), 0.5, 0.65), ((0.2,) * 5, 0.2, 0.3)],
)
def test_shares_are_those_that_were_mixed(
    parts: tuple[float, ...], low: float, high: float, members: Films, controls: Films
) -> None:
    found = shares(evidence(labelled(mixed(members, *parts)), members, controls))
    assert (found.explained > 0.99).all()
    assert low <= float(found.top[:, 0].min())
    assert float(found.top[:, 0].max()) <= high
    assert float(found.patients.min()) == pytest.approx(len(parts), rel=0.35)


@pytest.mark.parametrize("parts", [(1.0,), (0.7, 0.3)])
def test_an_image_of_one_patient_fails(
    parts: tuple[float, ...],
    members: Films,
    controls: Films,
    policy: Policy,
    rng: torch.Generator,
) -> None:
    images = torch.cat([noise(3, rng).images, 0.5 * mixed(members, *parts)[:1] + 0.3])
    finding = unmixing(evidence(labelled(images), members, controls), policy, rng)
    assert finding.verdict is Verdict.FAIL
    assert finding.details["images of one patient"] == [3]
    assert finding.value > finding.limit >= 0.5


def test_a_second_film_counts_for_its_patient(members: Films, controls: Films) -> None:
    again = len(members) - 1
    assert members.patients[again] in members.patients[:again]
    found = shares(evidence(labelled(members.images[again:]), members, controls))
    assert float(found.top[0, 0]) == pytest.approx(1.0)
    both = 0.5 * members.images[:1] + 0.5 * members.images[120:121]
    assert members.patients[0] == members.patients[120]
    found = shares(evidence(labelled(both), members, controls))
    assert float(found.top[0, 0]) == pytest.approx(1.0, abs=0.01)


def test_what_is_nobodys_passes(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    clean = {
        "noise": noise(6, rng).images,
        "class means": torch.stack([members.images[members.labels == c].mean(0) for c in (0, 1)]),
        "means of five": mixed(members, *(0.2,) * 5),
        "films of strangers": radiographs(4, torch.tensor([0, 1, 0, 1]), rng),
        "blank": torch.zeros(2, 1, 32, 32),
    }
    for name, images in clean.items():
        finding = unmixing(evidence(labelled(images), members, controls), policy, rng)
        assert finding.verdict is Verdict.PASS, name


def test_large_shares_of_noise_do_not_count(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    case = evidence(noise(60, rng), members, controls)
    found = shares(case)
    assert float(found.explained.max()) < FITS
    assert float(found.top[:, 0].max()) > 0.5
    assert unmixing(case, policy, rng).value == 0


def test_strangers_films_raise_the_limit(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    # Controls who are members' doubles: then a film of a member is nothing special.
    doubles = Films(members.images[:20], members.labels[:20], [f"double {i}" for i in range(20)])
    case = evidence(labelled(mixed(members, 0.7, 0.3)), members, controls.beside(doubles))
    finding = unmixing(case, policy, rng)
    assert finding.verdict is Verdict.PASS
    assert finding.limit == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(("pixels", "films"), [(50, 20), (60, 400)])
def test_weights_equal_those_found_with_all_films_at_once(pixels: int, films: int) -> None:
    draws = np.random.default_rng(pixels)
    for _ in range(5):
        columns = draws.normal(size=(pixels, films)) + draws.normal(size=(pixels, 1))
        image = columns @ draws.exponential(size=films) + 20 * draws.normal(size=pixels)
        found, rest = nnls(columns, image)
        mine = weights(columns, image)
        assert (mine >= 0).all()
        assert np.linalg.norm(columns @ mine - image) <= rest * (1 + 1e-3) + 1e-6
        if films < pixels:
            np.testing.assert_allclose(mine, found, atol=1e-4 * found.max())


def test_shares_are_remembered_and_name_nobody(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    case = evidence(labelled(mixed(members, 0.7, 0.3)), members, controls)
    assert shares(case) is shares(case)
    assert shares(case).top.shape == (4, 10)
    assert not any(str(one) in str(unmixing(case, policy, rng)) for one in members.ids)


def test_with_few_controls_members_films_show_what_chance_gives(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    few = controls.of(controls.ids[:5])
    case = evidence(noise(2, rng), members, few)
    found = by_chance(case)
    assert len(found.explained) == 5 + len(members.ids)
    # A member among the strangers is not taken for himself.
    assert float(found.top[5:, 0].max()) < 0.9
    assert unmixing(case, policy, rng).verdict is Verdict.PASS
