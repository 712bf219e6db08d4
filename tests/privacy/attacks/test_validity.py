"""A0 on cohorts that are alike, and on such as differ in one planted thing."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from invented_radiographs import cohort, evidence, noise
from sklearn.linear_model import LogisticRegression, Ridge

from privacy import Evidence, Films, Policy, Verdict
from privacy.attacks.validity import RIDGE, UNITS, blind_auc, comparable, features

Side = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


@pytest.fixture(scope="module")
def clean() -> Evidence:
    rng = torch.Generator().manual_seed(5)
    members, controls = cohort(80, rng, "IN", extra=20), cohort(80, rng, "OUT", extra=20)
    return evidence(noise(4, rng), members, controls, unit="patient")


def with_members(clean: Evidence, images: torch.Tensor) -> Evidence:
    members = clean.members
    return replace(clean, members=Films(images, members.labels, members.patients))


def drawn(n: int, rng: torch.Generator, shift: float = 0.0) -> Side:
    """Returns features, membership, class and fold of n patients."""
    x = torch.randn(n, 10, generator=rng, dtype=torch.float64)
    member = torch.rand(n, generator=rng).argsort() < n // 2
    x[member, 0] += shift
    return x, member, torch.arange(n) % 2, torch.arange(n) // 2 % 5


def naive_auc(side: Side, logistic: bool = False) -> float:
    x, member, strata, fold = (one.numpy() for one in side)
    won = []
    for k in range(5):
        train = fold != k
        if logistic:
            scores = LogisticRegression().fit(x[train], member[train]).decision_function(x)
        else:
            scores = Ridge(RIDGE * train.sum()).fit(x[train], member[train]).predict(x)
        for i, j in product(np.flatnonzero(~train & member), np.flatnonzero(~train & ~member)):
            if strata[i] == strata[j]:
                won.append(scores[i] > scores[j])
    return float(np.mean(won))


def test_the_auc_is_that_of_classifiers_trained_one_by_one(rng: torch.Generator) -> None:
    side = drawn(90, rng, shift=0.5)
    found, _ = blind_auc(*side, rng, rounds=1)
    assert found == pytest.approx(naive_auc(side))


def test_logistic_regression_would_tell_them_apart_as_well(rng: torch.Generator) -> None:
    side = drawn(300, rng, shift=0.8)
    found, _ = blind_auc(*side, rng, rounds=1)
    assert found > 0.65
    assert found == pytest.approx(naive_auc(side, logistic=True), abs=0.02)


def test_random_splits_are_called_different_as_often_as_chance_allows(rng: torch.Generator) -> None:
    p, aucs = [], []
    for _ in range(300):
        found, others = blind_auc(*drawn(60, rng), rng, rounds=99)
        p.append((1 + (others >= found).sum()) / 100)
        aucs.append(found)
    # The AUC of a classifier judged on other patients is fair only within a fold.
    assert np.mean(aucs) == pytest.approx(0.5, abs=3 * np.std(aucs) / np.sqrt(300))
    for level in (0.01, 0.05, 0.5):
        spread = np.sqrt(level * (1 - level) / 300)
        assert np.mean(np.array(p) <= level) == pytest.approx(level, abs=3 * spread)


def test_members_of_one_class_more_often_are_no_difference(rng: torch.Generator) -> None:
    x, _, strata, fold = drawn(200, rng)
    x[:, 0] += 4 * strata
    member = torch.rand(200, generator=rng) < 0.2 + 0.6 * strata
    found, others = blind_auc(x, member, strata, fold, rng)
    assert (1 + (others >= found).sum()) / 1000 > 0.05


def test_patients_drawn_alike_are_comparable(
    clean: Evidence, policy: Policy, rng: torch.Generator
) -> None:
    for unit in UNITS:
        found = comparable(replace(clean, unit=unit), policy, rng)
        assert found.verdict is Verdict.PASS
        assert found.value < found.limit
        assert found.p is not None
        assert found.p >= 0.01
        assert f"One {unit} counts" in found.text


@pytest.mark.parametrize("planted", ["brightness", "noise", "films per patient"])
def test_a_planted_difference_is_found(
    planted: str, clean: Evidence, policy: Policy, rng: torch.Generator
) -> None:
    images = clean.members.images
    if planted == "brightness":
        case = with_members(clean, images + 0.05)
    elif planted == "noise":
        case = with_members(clean, images + 0.1 * torch.randn(images.shape, generator=rng))
    else:
        case = replace(clean, controls=clean.controls.at(range(80)))
        case = replace(case, members=cohort(80, rng, "IN", extra=60))
    found = comparable(case, policy, rng)
    assert found.verdict is Verdict.INVALID
    assert found.value > found.limit
    assert found.p is not None
    assert found.p < 0.01
    assert "not drawn alike" in found.text


def test_nobody_knows_what_a_patient_is(
    clean: Evidence, policy: Policy, rng: torch.Generator
) -> None:
    found = comparable(replace(clean, unit=""), policy, rng)
    assert found.verdict is Verdict.INVALID
    assert "--unit study" in found.text
    assert "--unit image" in found.text
    assert comparable(replace(clean, unit="family"), policy, rng).verdict is Verdict.INVALID


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_one_film_on_both_sides_is_found(
    zero: float, clean: Evidence, policy: Policy, rng: torch.Generator
) -> None:
    images, controls = clean.members.images.clone(), clean.controls
    images[3] = controls.images[7]
    images[3, 0, 0, 0] = zero
    others = controls.images.clone()
    others[7, 0, 0, 0] = 0.0
    case = replace(
        with_members(clean, images), controls=Films(others, controls.labels, controls.patients)
    )
    found = comparable(case, policy, rng)
    assert found.verdict is Verdict.INVALID
    assert found.details["films on both sides"] == 1
    assert "equal pixels" in found.text


def test_features_are_means_over_a_patients_films_and_never_infinite() -> None:
    films = cohort(12, torch.Generator().manual_seed(0), extra=4)
    reordered = films.at([*range(12, 16), *range(12)])
    order = [reordered.ids.index(one) for one in films.ids]
    torch.testing.assert_close(features(films), features(reordered)[order])
    blank = features(Films(torch.zeros(6, 1, 32, 32), torch.zeros(6).long(), range(6)))
    assert not blank.any()
