"""What so many patients can show, beside the plan's tables, other formulas and simulations."""

import json
from math import comb, exp, log, sqrt

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import binom, norm, rankdata

from privacy import Policy
from privacy.statistics.epsilon import (
    SHARES,
    ceiling,
    epsilon_low,
    one_run_epsilon,
    patients_to_refute,
    perfect_epsilon,
)
from privacy.statistics.power import power
from privacy.statistics.scores import Scores, Tail, clopper_pearson

SIZES = {
    20: (1.60, 1.82, 0.092, 0.730),
    50: (2.57, 2.78, 0.058, 0.644),
    100: (3.28, 3.49, 0.041, 0.602),
    200: (3.98, 4.19, 0.029, 0.572),
    300: (4.39, 4.60, 0.024, 0.559),
    500: (4.91, 5.11, 0.018, 0.545),
    1000: (5.60, 5.81, 0.013, 0.532),
}

THRESHOLDS = {  # residual risk: mu, AUC, epsilon at delta 1e-5, patients a side to pass in 80 %
    0.03: (0.230, 0.564, 0.84, 249),
    0.05: (0.349, 0.597, 1.34, 110),
    0.09: (0.544, 0.650, 2.19, 47),
    0.15: (0.776, 0.708, 3.27, 25),
    0.20: (0.939, 0.747, 4.07, 18),
    0.33: (1.296, 0.820, 5.93, 11),
}


def with_risk(policy: Policy, risk: float) -> Policy:
    return policy.model_copy(update={"residual_risk": risk})


@pytest.mark.parametrize("n", SIZES)
def test_the_table_of_powers(n: int, policy: Policy) -> None:
    found = power(n, n, policy)
    expected = SIZES[n]
    assert found.perfect_epsilon == pytest.approx(expected[0], abs=0.006)
    assert found.one_run_epsilon == pytest.approx(expected[1], abs=0.006)
    assert found.null_se == pytest.approx(expected[2], abs=6e-4)
    assert found.smallest_auc == pytest.approx(expected[3], abs=6e-4)


@pytest.mark.parametrize("risk", THRESHOLDS)
def test_one_number_gives_all_thresholds(risk: float, policy: Policy) -> None:
    changed = with_risk(policy, risk)
    mu, auc, epsilon, n = THRESHOLDS[risk]
    assert changed.largest_mu == pytest.approx(mu, abs=6e-4)
    assert changed.largest_auc == pytest.approx(auc, abs=6e-4)

    def delta(eps: float) -> float:
        m = changed.largest_mu
        return float(norm.cdf(-eps / m + m / 2) - exp(eps) * norm.cdf(-eps / m - m / 2))

    assert brentq(lambda eps: delta(eps) - 1e-5, 0.01, 20) == pytest.approx(epsilon, abs=0.006)
    assert power(n, n, changed).chance_auc >= 0.8
    assert power(n - 1, n - 1, changed).chance_auc < 0.8


def test_claims_that_so_many_patients_can_refute() -> None:
    assert [patients_to_refute(eps) for eps in (3, 5, 8, 10)] == [76, 550, 10_999, 81_255]
    assert perfect_epsilon(76, 76) > 3 >= perfect_epsilon(75, 75)


def test_a_perfect_attack_proves_what_the_binomial_test_leaves() -> None:
    # No false alarm among n leaves a rate f with (1 - f)^n = .025; no miss the same.
    rate = 0.025 ** (1 / 120)
    assert perfect_epsilon(120, 120) == pytest.approx(log(rate / (1 - rate)))


@pytest.mark.parametrize("m", [5, 20, 60])
def test_one_run_proves_the_epsilon_at_which_all_right_is_rare(m: int) -> None:
    odds = exp(one_run_epsilon(m))
    chance = odds / (1 + odds)
    assert sum(comb(m, v) * chance**v * (1 - chance) ** (m - v) for v in (m,)) == pytest.approx(
        0.05
    )


@pytest.mark.parametrize(("n_in", "n_out"), [(25, 40), (60, 90), (160, 150)])
def test_the_chance_to_pass_is_that_of_drawn_ranks(n_in: int, n_out: int, policy: Policy) -> None:
    draws, rounds = np.random.default_rng(0), 20_000
    expected = power(n_in, n_out, policy)
    k = int(0.05 * (n_out + 1) + 1e-9)
    high = np.array([Tail(h, n_in, k, n_out).risk_bounds()[1] for h in range(n_in + 1)])
    members, controls = draws.random((rounds, n_in)), draws.random((rounds, n_out))
    ranks = rankdata(np.concatenate([members, controls], 1), axis=1)[:, :n_in]
    auc = (ranks.sum(1) - n_in * (n_in + 1) / 2) / (n_in * n_out)
    passes = auc + 1.6449 * expected.null_se < policy.largest_auc
    hits = (members >= np.sort(controls)[:, [-k]]).sum(1)
    both = passes & (high[hits] < policy.residual_risk)
    error = 3 * 0.5 / sqrt(rounds)
    assert passes.mean() == pytest.approx(expected.chance_auc, abs=error)
    assert both.mean() == pytest.approx(expected.chance_both, abs=error)


def test_the_policy_decides_what_counts(policy: Policy) -> None:
    few, some, many = (power(n, n, policy) for n in (49, 149, 150))
    assert few.chance_to_pass == 0
    assert some.chance_to_pass == some.chance_auc > some.chance_both
    assert many.chance_to_pass == many.chance_both
    assert power(10, 10, policy).chance_both == 0
    assert json.loads(json.dumps(few.to_json()))["controls"] == 49


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.5])
def test_the_lower_bound_of_epsilon_holds(shift: float, rng: torch.Generator) -> None:
    # The bound is compared with the best of its own thresholds: the sharpest test there is.
    broken = 0
    for _ in range(300):
        x, y = torch.randn(2, 60, generator=rng).double()
        proved = epsilon_low(Scores(x + shift, y))
        thresholds = [
            float(y.sort(descending=True).values[max(1, int(s * 61)) - 1]) for s in SHARES
        ]
        true = [
            max(log(norm.sf(t - shift) / norm.sf(t)), log(norm.cdf(t) / norm.cdf(t - shift)))
            for t in thresholds
        ]
        broken += proved > max(*true, 0)
    assert broken / 300 <= 0.05


def test_the_lower_bound_of_epsilon_is_that_of_the_rates() -> None:
    # Above all of 100 controls are 40 of 50 members; no other threshold proves more.
    scores = Scores(
        torch.cat([torch.full((40,), 200.0), torch.full((10,), -1.0)]), torch.arange(100)
    )
    each = 1 - 0.05 / (2 * len(SHARES))
    expected = log((clopper_pearson(40, 50, each)[0] - 1e-5) / clopper_pearson(0, 100, each)[1])
    assert epsilon_low(scores) == pytest.approx(expected)
    assert binom.pmf(0, 100, clopper_pearson(0, 100, each)[1]) == pytest.approx(1 - each)


def test_no_attack_proves_more_than_the_ceiling(rng: torch.Generator) -> None:
    for n in (20, 60, 200):
        top = ceiling(n, n)
        assert epsilon_low(Scores(torch.rand(n, generator=rng) + 9, torch.rand(n))) == top
        assert epsilon_low(Scores(*torch.randn(2, n, generator=rng))) < top < perfect_epsilon(n, n)


def test_tied_scores_prove_nothing() -> None:
    assert epsilon_low(Scores(torch.zeros(100), torch.zeros(100))) == 0
