"""A1 against a score written out in loops, and releases whose leak is known."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from invented_radiographs import cohort, evidence, labelled, noise
from torch import Tensor
from torch.nn import functional as F

from privacy import Films, Nulls, Policy, Release, Verdict, folds
from privacy.attacks.tracing import RIDGE, Traced, leanings, scores, tracing
from privacy.evidence import Evidence, Match, Statistic
from privacy.nulls import calibrate
from privacy.statistics.scores import auc


def random_features(seed: int, width: int = 64) -> Statistic:
    """Returns one layer of a random network, of ``width`` units."""
    rng = torch.Generator().manual_seed(seed)
    weight = torch.randn(32 * 32, width, generator=rng) / 32

    def statistic(images: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG001
        return torch.relu(images.flatten(1) @ weight)

    return statistic


def fixed(*seeds: int) -> list[Match]:
    """Returns networks that no release changes."""

    def match(statistic: Statistic) -> Match:
        return lambda release: statistic  # noqa: ARG005

    return [match(random_features(seed)) for seed in seeds]


def class_means(films: Films, per_class: int = 2) -> Release:
    """Returns means of as many parts of each class, as in Homer's pools."""
    images = [
        part.mean(0)
        for turn in range(per_class)
        for part in (films.images[films.labels == c][turn::per_class] for c in (0, 1))
    ]
    return labelled(torch.stack(images))


def sides(seed: int, members: int = 44, controls: int = 120, extra: int = 0) -> tuple[Films, Films]:
    rng = torch.Generator().manual_seed(seed)
    return cohort(members, rng, "IN", extra), cohort(controls, rng, "OUT", extra)


def with_nulls(release: Release, inside: Films, outside: Films, **other: Any) -> Evidence:
    """Returns evidence whose null releases are class means of controls, each fold left out once."""
    rng = torch.Generator().manual_seed(5)
    fold_of = folds(inside, rng) | folds(outside, rng)
    kept = [outside.of({p for p in outside.ids if fold_of[p] != k}) for k in range(5)]
    nulls = Nulls(tuple(class_means(films) for films in kept), fold_of)
    return evidence(release, inside, outside, **{"nulls": nulls, "matches": fixed(0, 1)} | other)


def naive(statistic: Statistic, release: Release, films: Films) -> list[float]:
    """The score of each film under one network, number by number."""
    hard = F.one_hot(films.labels, release.classes).float()
    psi = statistic(films.images, hard).double().numpy()
    of_release = statistic(release.images, release.labels).double().numpy()
    labels, classes = films.labels.numpy(), release.labels.argmax(1).numpy()

    def standard(values: np.ndarray, label: int) -> np.ndarray:
        inside = psi[labels == label]
        s = inside.std(0)
        return np.where(s == 0, 0.0, (values - inside.mean(0)) / np.where(s == 0, 1.0, s))

    rows = np.array([standard(one, label) for one, label in zip(psi, labels, strict=True)])
    covariance = sum(np.outer(row, row) for row in rows) / len(rows)
    ridge = RIDGE * np.trace(covariance)
    whiten = np.linalg.inv(covariance + ridge * np.eye(len(covariance)))

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ whiten @ b / math.sqrt((a @ whiten @ a) * (b @ whiten @ b)))

    lean = {c: standard(of_release[classes == c].mean(0), c) for c in set(labels.tolist())}
    return [cosine(row, lean[label]) for row, label in zip(rows, labels.tolist(), strict=True)]


def test_the_score_is_the_one_written_out_in_loops() -> None:
    inside, outside = sides(0, members=10, controls=8, extra=3)
    soft = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]])
    release = Release(noise(3, torch.Generator().manual_seed(1)).images, soft)
    films = inside.beside(outside)
    networks = [random_features(seed, width=7) for seed in (3, 4)]
    by_film = torch.tensor([naive(one, release, films) for one in networks]).double().mean(0)
    found = leanings(fixed_to(networks), [release], films)
    torch.testing.assert_close(found[0], by_film)
    case = evidence(release, inside, outside, matches=fixed_to(networks))
    expected = torch.tensor(
        [by_film[[i for i, p in enumerate(films.patients) if p == one]].mean() for one in films.ids]
    )
    torch.testing.assert_close(scores(case).raw.members, expected[: len(inside.ids)])
    torch.testing.assert_close(scores(case).raw.controls, expected[len(inside.ids) :])


def fixed_to(statistics: list[Statistic]) -> list[Match]:
    return [lambda release, one=one: one for one in statistics]  # type: ignore[misc]  # noqa: ARG005


def test_who_is_called_a_member_changes_no_score() -> None:
    inside, outside = sides(1, members=20, controls=20)
    release = class_means(inside)
    one = evidence(release, inside, outside, matches=fixed(0))
    other = evidence(release, outside, inside, matches=fixed(0))
    torch.testing.assert_close(scores(one).raw.members, scores(other).raw.controls)
    torch.testing.assert_close(scores(one).raw.controls, scores(other).raw.members)


def test_class_means_of_a_small_cohort_fail(policy: Policy, rng: torch.Generator) -> None:
    inside, outside = sides(2, members=24)
    finding = tracing(with_nulls(class_means(inside), inside, outside), policy, rng)
    assert finding.verdict is Verdict.FAIL
    assert finding.value > 0.8


def test_class_means_of_people_outside_do_not_fail(policy: Policy, rng: torch.Generator) -> None:
    for seed in range(5):
        inside, outside = sides(10 + seed, members=80)
        others = cohort(80, torch.Generator().manual_seed(50 + seed), "X")
        finding = tracing(with_nulls(class_means(others), inside, outside), policy, rng)
        assert finding.verdict is not Verdict.FAIL


def test_noise_is_near_chance_once_calibrated() -> None:
    found = []
    for seed in range(12):
        rng = torch.Generator().manual_seed(seed)
        inside, outside = sides(100 + seed, members=80)
        fold_of = folds(inside, rng) | folds(outside, rng)
        nulls = Nulls(tuple(noise(4, rng) for _ in range(5)), fold_of)
        case = evidence(noise(4, rng), inside, outside, nulls=nulls, matches=fixed(0, 1))
        found.append(auc(scores(case).best_informed))
    # One AUC of 80 and 120 patients has a standard error of 0.042.
    assert abs(sum(found) / len(found) - 0.5) < 3 * 0.042 / math.sqrt(len(found))
    assert max(abs(one - 0.5) for one in found) < 4 * 0.042


def test_without_null_releases_nothing_passes(policy: Policy, rng: torch.Generator) -> None:
    inside, outside = sides(3, members=100)
    case = evidence(noise(4, rng), inside, outside, matches=fixed(0))
    assert tracing(case, policy, rng).verdict is not Verdict.PASS


def test_a_statistic_that_stays_is_asked_for_the_films_once() -> None:
    inside, outside = sides(4, members=12, controls=12)
    seen: list[int] = []
    plain = random_features(0)

    def counted(images: Tensor, labels: Tensor) -> Tensor:
        seen.append(len(images))
        return plain(images, labels)

    case = with_nulls(class_means(inside), inside, outside, matches=fixed_to([counted]))
    scores(case)
    assert sorted(seen) == [4] * 6 + [24]


def test_a_statistic_that_follows_the_release_is_asked_anew_for_each() -> None:
    inside, outside = sides(5, members=12, controls=12)

    def match(release: Release) -> Statistic:
        shift = float(release.images.mean())
        return lambda images, labels: random_features(0)(images - shift, labels)

    case = with_nulls(class_means(inside), inside, outside, matches=[match])
    assert case.nulls is not None
    by_hand = [
        leanings([match], [release], case.everybody)[0]
        for release in (case.release, *case.nulls.releases)
    ]
    rows = dict(zip((case.release, *case.nulls.releases), by_hand, strict=True))
    own = case.everybody.per_patient(by_hand[0])
    against = case.nulls.unseen(lambda one, films: films.per_patient(rows[one]), case.everybody)
    found = scores(case)
    assert found.calibrated is not None
    torch.testing.assert_close(torch.cat([found.raw.members, found.raw.controls]), own)
    torch.testing.assert_close(
        torch.cat([found.calibrated.members, found.calibrated.controls]),
        calibrate(own, against, case.everybody.strata),
    )


def test_labels_reach_the_statistic_certain_for_films_and_as_released_for_images() -> None:
    inside, outside = sides(6, members=4, controls=4)
    soft = torch.tensor([[0.6, 0.4], [0.2, 0.8]])
    release = Release(noise(2, torch.Generator().manual_seed(0)).images, soft)
    seen: list[Tensor] = []

    def statistic(images: Tensor, labels: Tensor) -> Tensor:
        seen.append(labels)
        return images.flatten(1)

    films = inside.beside(outside)
    leanings(fixed_to([statistic]), [release], films)
    assert torch.equal(seen[0], F.one_hot(films.labels, 2).float())
    assert torch.equal(seen[1], soft)


def test_films_of_a_class_without_an_image_score_nothing() -> None:
    rng = torch.Generator().manual_seed(0)
    values, labels = torch.randn(6, 3, generator=rng).double(), torch.tensor([0, 0, 0, 1, 1, 1])
    released, soft = torch.randn(2, 3).double(), torch.tensor([[1.0, 0]] * 2)
    found = Traced(values, labels).leaning(released, soft)
    assert found[:3].abs().min() > 0
    assert found[3:].tolist() == [0, 0, 0]


def test_a_feature_that_is_the_same_for_all_films_does_not_count() -> None:
    rng = torch.Generator().manual_seed(0)
    values, released = torch.randn(6, 3, generator=rng).double(), torch.randn(2, 3).double()
    labels, soft = torch.zeros(6, dtype=torch.long), torch.tensor([[1.0, 0]] * 2)
    dead = torch.full((6, 1), 0.1).double()
    wider = torch.cat([values, dead], 1), torch.cat([released, torch.full((2, 1), 7.0).double()], 1)
    torch.testing.assert_close(
        Traced(wider[0], labels).leaning(wider[1], soft),
        Traced(values, labels).leaning(released, soft),
    )


def test_a_statistic_that_is_no_number_is_invalid(policy: Policy, rng: torch.Generator) -> None:
    inside, outside = sides(7)

    def broken(images: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG001
        return images.flatten(1) * math.nan

    case = evidence(noise(2, rng), inside, outside, matches=fixed_to([broken]))
    assert tracing(case, policy, rng).verdict is Verdict.INVALID


def test_nobody_saying_what_is_matched_is_an_error(policy: Policy, rng: torch.Generator) -> None:
    case = replace(evidence(noise(2, rng), *sides(8)), matches=())
    with pytest.raises(ValueError, match="A1 needs"):
        tracing(case, policy, rng)
