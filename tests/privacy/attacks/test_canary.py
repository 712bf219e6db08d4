"""A8: the likelihood ratio, bounds that know of repeated canaries, and planted leaks."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from invented_radiographs import evidence, noise
from scipy.stats import norm
from torch import Tensor
from torch.nn import functional as F

from privacy import Evidence, Films, Policy, Release, Verdict
from privacy.attacks.canary import (
    ATTACKS,
    Pooled,
    centred,
    epsilon,
    likelihood_ratios,
    worst_case,
)
from privacy.evidence import Canaries

RUNS, PLANTED = 16, 32


def coins(rng: torch.Generator, runs: int = RUNS, planted: int = PLANTED) -> Tensor:
    return torch.rand(runs, planted, generator=rng) < 0.5


def drawn(
    rng: torch.Generator, effect: Tensor | float, *, shape: tuple[int, int] = (RUNS, PLANTED)
) -> tuple[Tensor, Tensor]:
    """Returns scores in which each canary has its own level, and rises by ``effect`` when in."""
    included = coins(rng, *shape)
    scores = torch.randn(shape, generator=rng) + 3 * torch.randn(1, shape[1], generator=rng)
    return (scores + effect * included).double(), included


def flat(release: Release) -> Callable[[Tensor, Tensor], Tensor]:  # noqa: ARG001
    return lambda images, labels: F.avg_pool2d(images, 2).flatten(1)  # noqa: ARG005


def sure(release: Release) -> Callable[[Tensor], Tensor]:
    """Returns a recipient who answers by the nearest released image."""

    def predict(images: Tensor) -> Tensor:
        distance = torch.cdist(images.flatten(1), release.images.flatten(1))
        return (-distance).softmax(1).matmul(release.labels).clamp_min(1e-6).log()

    return predict


def planted_in(
    controls: Films, rng: torch.Generator, hold: Callable[[Films, list[int]], Release]
) -> Canaries:
    """Returns canaries from controls, and releases that ``hold`` makes of those included."""
    films = controls.at(controls.first[:PLANTED].tolist())
    included = coins(rng)
    rows = [one.nonzero().flatten().tolist() for one in included]
    return Canaries(films, included, tuple(hold(films, chosen) for chosen in rows))


def case(members: Films, controls: Films, canaries: Canaries | None) -> Evidence:
    release = noise(4, torch.Generator().manual_seed(1))
    return evidence(release, members, controls, matches=[flat], fits=[sure], canaries=canaries)


def test_the_likelihood_ratio_is_that_of_two_normals_fitted_to_the_other_runs(
    rng: torch.Generator,
) -> None:
    scores, included = drawn(rng, 1.0, shape=(6, 5))
    included[:, 4] = True  # always in: nothing to compare with
    found = likelihood_ratios(scores, included).numpy()
    for run in range(6):
        rest = [k for k in range(6) if k != run]
        means, squares, count = {}, 0.0, 0
        for j in range(5):
            for side in (True, False):
                values = [float(scores[k, j]) for k in rest if bool(included[k, j]) is side]
                if values:
                    means[j, side] = np.mean(values)
                    squares += float(np.sum((np.array(values) - np.mean(values)) ** 2))
                    count += len(values) - 1
        spread = math.sqrt(squares / count)
        for j in range(4):
            if (j, True) not in means or (j, False) not in means:
                assert found[run, j] == 0
                continue
            inside, outside = (
                norm.logpdf(float(scores[run, j]), means[j, side], spread) for side in (True, False)
            )
            assert found[run, j] == pytest.approx(inside - outside)
        assert found[run, 4] == 0


def test_what_a_run_gives_all_canaries_of_a_sort_is_taken_away(rng: torch.Generator) -> None:
    films = Films(
        torch.zeros(8, 1, 2, 2),
        torch.tensor([0, 0, 1, 1, 0, 0, 1, 1]),
        range(8),
        {"canary": ["mislabelled"] * 4 + ["pattern"] * 4},
    )
    scores = torch.randn(3, 8, generator=rng).double()
    moved = scores + torch.randn(3, 4, generator=rng)[:, [0, 0, 1, 1, 2, 2, 3, 3]]
    torch.testing.assert_close(centred(moved, films), centred(scores, films))
    expected = scores[:, 0] - (scores[:, 0] + scores[:, 1]) / 2
    torch.testing.assert_close(centred(scores, films)[:, 0], expected)


def test_bounds_enclose_the_estimate_and_are_wider_than_for_independent_observations(
    rng: torch.Generator,
) -> None:
    scores, included = drawn(rng, 2.0)
    pooled = Pooled(likelihood_ratios(scores, included), included)
    low, high = pooled.risk_bounds(rng)
    assert low < pooled.tail.risk < high
    alone = pooled.tail.risk_bounds()
    assert low < alone[0]
    assert high > alone[1]


def test_the_lower_bound_misses_in_at_most_five_percent_where_independence_would_in_more(
    rng: torch.Generator,
) -> None:
    def leaky() -> Pooled:
        some = (torch.rand(PLANTED, generator=rng) < 0.3) * 6.0
        scores, included = drawn(rng, some)
        return Pooled(likelihood_ratios(scores, included), included)

    truth = np.mean([leaky().tail.risk for _ in range(150)])
    repeated = [leaky() for _ in range(60)]
    missed = np.mean([one.risk_bounds(rng, rounds=200)[0] > truth for one in repeated])
    naive = np.mean([one.tail.risk_bounds()[0] > truth for one in repeated])
    assert missed <= 0.12  # .05 and 2.5 standard errors of 60 draws
    assert naive > 0.13


def test_epsilon_is_what_right_guesses_of_fair_coins_prove(rng: torch.Generator) -> None:
    scores, included = drawn(rng, 40.0)
    found, ceiling = epsilon(scores, included)
    # All 256 guesses on eight runs are right, and then .05^(1/256) is still possible.
    chance = 0.05 ** (1 / 256)
    assert found == pytest.approx(math.log(chance / (1 - chance)))
    assert found == ceiling


def test_epsilon_is_rarely_above_zero_without_a_leak(rng: torch.Generator) -> None:
    found = [epsilon(*drawn(rng, 0.0))[0] for _ in range(60)]
    assert np.mean(np.array(found) > 0) <= 0.12


def test_epsilon_is_rarely_above_that_of_randomized_response(rng: torch.Generator) -> None:
    true = 1.5
    above = []
    for _ in range(40):
        included = coins(rng)
        truthful = torch.rand(included.shape, generator=rng) < math.exp(true) / (1 + math.exp(true))
        told = torch.where(truthful, included, ~included).double()
        found, _ = epsilon(told + 1e-3 * torch.randn(told.shape, generator=rng), included)
        above.append(found > true)
    assert np.mean(above) <= 0.13


def film_of_each(films: Films, rows: list[int]) -> Release:
    labels = F.one_hot(films.labels[rows], 2).float()
    return Release(films.images[rows], labels)


def test_releases_of_the_planted_films_fail(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    canaries = planted_in(controls, rng, film_of_each)
    finding = worst_case(case(members, controls, canaries), policy, rng)
    assert finding.verdict is Verdict.FAIL
    assert finding.low > 2 * policy.residual_risk == finding.limit
    assert finding.details["attacks"].keys() == ATTACKS.keys()
    assert max(one["epsilon at least"] for one in finding.details["attacks"].values()) > 2


def test_releases_that_no_coin_touched_do_not_fail(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    found = []
    for _ in range(4):
        canaries = planted_in(controls, rng, lambda films, rows: noise(4, rng))  # noqa: ARG005
        found.append(worst_case(case(members, controls, canaries), policy, rng))
    assert {one.verdict for one in found} == {Verdict.PASS}
    assert all(one.low <= 0.05 for one in found)


def test_scores_without_a_leak_fail_in_at_most_five_percent(
    policy: Policy, rng: torch.Generator
) -> None:
    lows = []
    for _ in range(40):
        scores, included = drawn(rng, 0.0)
        pooled = Pooled(likelihood_ratios(scores, included), included)
        lows.append(pooled.risk_bounds(rng, rounds=200)[0])
    assert np.mean(np.array(lows) > 2 * policy.residual_risk) <= 0.05


def test_a_planted_control_is_no_control_when_canaries_are_scored(
    members: Films, controls: Films, rng: torch.Generator
) -> None:
    canaries = planted_in(controls, rng, film_of_each)
    planted = set(canaries.films.ids)
    whole = case(members, controls, canaries)
    without = replace(whole, controls=controls.of(set(controls.ids) - planted))
    for attack in ATTACKS.values():
        torch.testing.assert_close(attack(whole, canaries), attack(without, canaries))


def test_without_canaries_nothing_can_be_said(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    assert worst_case(case(members, controls, None), policy, rng).verdict is Verdict.INVALID


@pytest.mark.parametrize(("runs", "planted"), [(4, 3), (3, PLANTED)])
def test_too_few_coins_are_invalid(
    members: Films,
    controls: Films,
    policy: Policy,
    rng: torch.Generator,
    runs: int,
    planted: int,
) -> None:
    whole = planted_in(controls, rng, film_of_each)
    few = Canaries(
        whole.films.at(range(planted)), whole.included[:runs, :planted], whole.releases[:runs]
    )
    finding = worst_case(case(members, controls, few), policy, rng)
    assert finding.verdict is Verdict.INVALID
    assert "few" in finding.text
