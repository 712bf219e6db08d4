"""A1 for releases drawn from a model of films: models whose leak is known, and a real denoiser."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from invented_radiographs import cohort, evidence, models, noise
from scipy.stats import norm
from torch import Tensor
from torch.nn import functional as F

from privacy import Evidence, Films, Nulls, Policy, Release, Verdict, folds
from privacy.attacks.canary import ATTACKS
from privacy.attacks.tracing import explanations, scores, tracing
from privacy.evidence import Canaries, Explained
from privacy.statistics.scores import auc

SIGMA = 0.3
"""Noise that the denoiser takes away, in the unit of the films."""


def with_models(
    seed: int, *, shift: float = 0.0, ease: float = 0.0, count: int = 150, extra: int = 0
) -> Evidence:
    """Returns evidence of which it is known how well each model explains each film.

    Args:
        seed: of all that is drawn.
        shift: by how much the model of the release explains a member's film better than others, in
            deviations of what is chance in a model.
        ease: how much films differ for all models alike, in the same unit.
        count: members; there are as many controls.
        extra: members and controls with a second film.
    """
    rng = torch.Generator().manual_seed(seed)
    inside, outside = cohort(count, rng, "IN", extra), cohort(count, rng, "OUT", extra)
    nulls = Nulls(tuple(noise(2, rng) for _ in range(5)), folds(inside, rng) | folds(outside, rng))
    release, films = noise(2, rng), inside.beside(outside)
    shared = ease * torch.randn(len(films), generator=rng)
    rows = {
        one: shared + torch.randn(len(films), generator=rng) for one in (release, *nulls.releases)
    }
    rows[release][: len(inside)] += shift
    return evidence(
        release, inside, outside, nulls=nulls, matches=(), explained=models(films, rows)
    )


def denoiser(films: Films) -> Callable[[Tensor, Tensor], Tensor]:
    """Returns minus the loss of the best linear denoiser of these films (Wiener 1949).

    With mu_c the mean of a class, S the covariance within classes and A = S (S + sigma^2 I)^-1, it
    expects the film mu + A (x + sigma e - mu) behind x + sigma e. Its loss, the mean over the noise
    e, is |(I - A)(x - mu)|^2 but for a constant.
    """
    x, y = films.images.flatten(1).double(), F.one_hot(films.labels, 2).double()
    mu = y.T @ x / y.sum(0).unsqueeze(1)
    rows = x - mu[films.labels]
    covariance = rows.T @ rows / len(rows)
    noisy = covariance + SIGMA**2 * torch.eye(len(covariance)).double()
    a = torch.linalg.solve(noisy, covariance, left=False)

    def explain(images: Tensor, labels: Tensor) -> Tensor:
        away = images.flatten(1).double() - labels.double() @ mu
        return -(away - away @ a.T).square().sum(1)

    return explain


def with_denoisers(seed: int, *, of_members: bool) -> Evidence:
    """Returns evidence of denoisers: of members or of other people, and of controls for nulls."""
    rng = torch.Generator().manual_seed(seed)
    inside, outside = cohort(100, rng, "IN"), cohort(100, rng, "OUT")
    fold_of = folds(inside, rng) | folds(outside, rng)
    kept = [outside.of({p for p in outside.ids if fold_of[p] != k}) for k in range(5)]
    nulls = Nulls(tuple(noise(2, rng) for _ in kept), fold_of)
    release = noise(2, rng)
    trained = inside if of_members else cohort(100, rng, "X")
    behind = {release: denoiser(trained)} | {
        null: denoiser(films) for null, films in zip(nulls.releases, kept, strict=True)
    }
    return evidence(release, inside, outside, nulls=nulls, matches=(), explained=behind.__getitem__)


def test_a_model_that_explains_its_patients_better_fails(
    policy: Policy, rng: torch.Generator
) -> None:
    finding = tracing(with_models(0, shift=1.5), policy, rng)
    assert finding.verdict is Verdict.FAIL
    assert "model" in finding.name
    assert "has the model that drew the images" in finding.text


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0, 2.0])
def test_the_auc_is_that_of_two_normals(shift: float) -> None:
    """Without a difficulty of their own, films differ by chance alone, and by the known shift."""
    found = [auc(scores(with_models(seed, shift=shift)).raw) for seed in range(6)]
    expected = float(norm.cdf(shift / math.sqrt(2)))
    # One AUC of 150 and 150 patients has a standard error of at most 0.034.
    assert sum(found) / 6 == pytest.approx(expected, abs=3 * 0.034 / math.sqrt(6))


def test_calibration_takes_away_what_makes_a_film_easy_for_every_model() -> None:
    """What models agree on is four times what chance adds; the null models know it."""
    for seed in range(4):
        found = scores(with_models(seed, shift=1.5, ease=4.0))
        assert found.calibrated is not None
        # cdf(1.5 / sqrt(2 (1 + 16))) = .60; chance of two models remains: cdf(1.5 / 2) = .77.
        assert auc(found.raw) == pytest.approx(0.60, abs=3 * 0.034)
        assert auc(found.calibrated) == pytest.approx(0.77, abs=3 * 0.034)
        assert auc(found.calibrated) > auc(found.raw) + 0.05


@pytest.mark.parametrize("ease", [0.0, 4.0])
def test_models_that_never_saw_anybody_do_not_fail(
    ease: float, policy: Policy, rng: torch.Generator
) -> None:
    held = 0
    for seed in range(10):
        finding = tracing(with_models(seed, ease=ease), policy, rng)
        assert finding.verdict is not Verdict.FAIL
        held += finding.low <= 0.5 <= finding.high
    assert held >= 8  # both bounds together hold in nine of ten draws


def test_a_denoiser_of_the_members_fails(policy: Policy, rng: torch.Generator) -> None:
    finding = tracing(with_denoisers(1, of_members=True), policy, rng)
    assert finding.verdict is Verdict.FAIL
    assert finding.value > 0.9


def test_a_denoiser_of_other_people_does_not_fail(policy: Policy, rng: torch.Generator) -> None:
    for seed in range(3):
        finding = tracing(with_denoisers(seed, of_members=False), policy, rng)
        assert finding.verdict is not Verdict.FAIL
        assert finding.low <= 0.5 <= finding.high


def test_a_patient_scores_the_mean_over_the_films() -> None:
    case = with_models(2, shift=1.0, count=12, extra=4)
    assert case.explained is not None
    films = case.everybody
    by_film = case.explained(case.release)(films.images, F.one_hot(films.labels, 2))
    expected = [
        by_film[[i for i, p in enumerate(films.patients) if p == one]].mean() for one in films.ids
    ]
    found = scores(case).raw
    torch.testing.assert_close(
        torch.cat([found.members, found.controls]).float(), torch.stack(expected)
    )


def test_a_model_is_shown_every_film_once_with_a_certain_label_and_no_gradient() -> None:
    rng = torch.Generator().manual_seed(0)
    films, seen = cohort(70, rng), []
    releases = [noise(2, rng), noise(2, rng)]

    def explained(release: Release) -> Callable[[Tensor, Tensor], Tensor]:
        number = releases.index(release)

        def explain(images: Tensor, labels: Tensor) -> Tensor:
            assert not torch.is_grad_enabled()
            seen.append((number, images, labels))
            return number + images.flatten(1)[:, 0]

        return explain

    found = explanations(explained, releases, films)
    for number in (0, 1):
        own = [(x, y) for which, x, y in seen if which == number]
        assert torch.equal(torch.cat([x for x, _ in own]), films.images)
        assert torch.equal(torch.cat([y for _, y in own]), F.one_hot(films.labels, 2).float())
        torch.testing.assert_close(found[number], number + films.images[:, 0, 0, 0].double())


@pytest.mark.parametrize("which", ["release", "null"])
def test_a_model_that_gives_no_number_is_invalid(
    which: str, policy: Policy, rng: torch.Generator
) -> None:
    case = with_models(3, shift=1.5)
    assert case.nulls is not None
    assert case.explained is not None
    broken = case.release if which == "release" else case.nulls.releases[2]
    finding = tracing(replace_model(case, broken), policy, rng)
    assert finding.verdict is Verdict.INVALID
    assert tracing(case, policy, rng).verdict is Verdict.FAIL


def replace_model(case: Evidence, broken: Release) -> Evidence:
    """Returns the evidence with a model that diverged behind one of the releases."""
    others: Explained | None = case.explained
    assert others is not None

    def explained(release: Release) -> Callable[[Tensor, Tensor], Tensor]:
        if release is broken:
            return lambda images, labels: torch.full((len(images),), math.nan)  # noqa: ARG005
        return others(release)

    return replace(case, explained=explained)


def test_a_model_is_asked_and_not_what_is_matched() -> None:
    """Other methods match something; with a model, that is not looked at."""
    case = with_models(4, shift=1.0)

    def never(release: Release) -> Callable[[Tensor, Tensor], Tensor]:
        raise AssertionError(release)

    torch.testing.assert_close(
        scores(replace(case, matches=[never])).raw.members, scores(case).raw.members
    )


def test_planted_patients_are_looked_for_in_the_model_of_each_run(rng: torch.Generator) -> None:
    case = with_models(5, count=20)
    planted = case.controls.at(case.controls.first[:6].tolist())
    runs = tuple(noise(2, rng) for _ in range(4))
    rows = {run: torch.randn(6, generator=rng) for run in runs}
    canaries = Canaries(planted, torch.ones(4, 6, dtype=torch.bool), runs)
    found = ATTACKS["A1"](replace(case, explained=models(planted, rows)), canaries)
    torch.testing.assert_close(found, torch.stack(list(rows.values())).double())
