"""Every statistic beside a naive oracle, every bound by its coverage."""

from itertools import permutations, product
from math import comb, sqrt

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm

from privacy import Policy
from privacy.attacks.attack import NOT_ASSESSABLE, Scored, caught, judge
from privacy.finding import Verdict
from privacy.statistics.scores import (
    AucBounds,
    Scores,
    Tail,
    auc,
    clopper_pearson,
    exceedance_p,
    holm,
    null_se,
    permutation_p,
    tail,
)

few_values = st.lists(st.integers(0, 4).map(float), min_size=1, max_size=8)


def scores(members: object, controls: object, *strata: object) -> Scores:
    return Scores(*(torch.as_tensor(x) for x in (members, controls, *strata)))


def naive_auc(members: list[float], controls: list[float]) -> float:
    wins = [1.0 if x > y else 0.5 if x == y else 0.0 for x, y in product(members, controls)]
    return sum(wins) / len(wins)


@given(few_values, few_values)
def test_auc_is_the_share_of_won_pairs(members: list[float], controls: list[float]) -> None:
    assert auc(scores(members, controls)) == pytest.approx(naive_auc(members, controls))


def test_auc_compares_patients_of_one_class_only() -> None:
    # Class 1 scores high, and there are more members of class 1: no leak.
    mixed = scores([0.0, 9.0, 9.0], [0.0, 0.0, 9.0], [0, 1, 1], [0, 0, 1])
    assert naive_auc([0, 9, 9], [0, 0, 9]) > 0.5
    assert auc(mixed) == 0.5


def test_permutation_p_is_that_of_all_permutations(rng: torch.Generator) -> None:
    members, controls = [3.0, 1.0, 4.0], [2.0, 0.0, 1.0]
    pool = members + controls
    all_aucs = [naive_auc(list(order[:3]), list(order[3:])) for order in permutations(pool)]
    exact = np.mean([one >= naive_auc(members, controls) - 1e-9 for one in all_aucs])
    assert permutation_p(scores(members, controls), rng) == pytest.approx(exact, abs=0.02)


def test_permutation_p_never_is_zero(rng: torch.Generator) -> None:
    certain = scores(torch.arange(100) + 100.0, torch.arange(100) * 1.0)
    assert permutation_p(certain, rng, rounds=99) == pytest.approx(0.01)


def test_permutation_p_ignores_a_difference_between_classes(rng: torch.Generator) -> None:
    draws = torch.randn(200, generator=rng)
    labels = (torch.arange(200) < 100).long()
    member = torch.cat([torch.ones(80), torch.zeros(20), torch.ones(20), torch.zeros(80)]).bool()
    shifted = draws + 10 * labels
    blind = scores(shifted[member], shifted[~member])
    aware = scores(shifted[member], shifted[~member], labels[member], labels[~member])
    assert permutation_p(blind, rng, rounds=999) < 0.01
    assert permutation_p(aware, rng, rounds=999) > 0.05


def test_permutation_p_is_below_alpha_in_a_share_of_alpha(rng: torch.Generator) -> None:
    p = [
        permutation_p(scores(*torch.randn(2, 20, generator=rng)), rng, rounds=199)
        for _ in range(400)
    ]
    assert np.mean(np.array(p) <= 0.05) <= 0.085  # 0.05 and three standard errors


def test_permutation_p_is_that_of_all_memberships_within_classes(rng: torch.Generator) -> None:
    values, strata = np.array([3.0, 1.0, 4.0, 2.0, 9.0, 7.0, 8.0]), np.array([0, 0, 0, 0, 1, 1, 1])

    def of(rows: tuple[int, ...]) -> float:
        out = np.setdiff1d(np.arange(7), rows)
        kept = list(rows)
        return auc(scores(values[kept], values[out], strata[kept], strata[out]))

    observed = (0, 2, 4)
    others = [
        of((i, j, k)) for i in range(4) for j in range(i + 1, 4) for k in (4, 5, 6)
    ]  # two of class 0, one of class 1
    exact = np.mean([one >= of(observed) - 1e-9 for one in others])
    kept, out = list(observed), [1, 3, 5, 6]
    found = permutation_p(scores(values[kept], values[out], strata[kept], strata[out]), rng)
    assert found == pytest.approx(exact, abs=0.02)


# benchmarks/coverage.py measures the same in full.
@pytest.mark.parametrize("truth", [0.5, 0.6, 0.65, 0.8, 0.92])
def test_auc_bounds_cover(truth: float, rng: torch.Generator) -> None:
    mu = float(np.sqrt(2) * norm.ppf(truth))
    covered = np.zeros(2)
    for _ in range(300):
        x, y = torch.randn(2, 40, generator=rng)
        bounds = AucBounds(scores(x + mu, y), rng, rounds=200)
        covered += [bounds.low() <= truth, truth <= bounds.high()]
    assert (covered / 300).min() >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 300)


def test_auc_bounds_are_never_tighter_than_the_null_error(rng: torch.Generator) -> None:
    certain = AucBounds(scores([5.0, 6.0, 7.0], [1.0, 2.0, 3.0]), rng)
    assert certain.low() == pytest.approx(1 - 1.6449 * null_se([(3, 3)]), abs=1e-3)


def test_null_se_is_the_spread_of_the_auc_without_leak(rng: torch.Generator) -> None:
    values = [auc(scores(*torch.randn(2, 15, generator=rng))) for _ in range(2000)]
    assert np.std(values) == pytest.approx(null_se([(15, 15)]), rel=0.06)


def test_null_se_of_unequal_classes_is_that_of_their_pairs(rng: torch.Generator) -> None:
    strata = torch.tensor([0] * 18 + [1] * 2), torch.tensor([0] * 4 + [1] * 16)
    values = [
        auc(scores(torch.randn(20, generator=rng), torch.randn(20, generator=rng), *strata))
        for _ in range(2000)
    ]
    assert np.std(values) == pytest.approx(null_se([(18, 4), (2, 16)]), rel=0.06)
    assert np.std(values) > 1.2 * null_se([(20, 20)])


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_clopper_pearson_inverts_the_binomial_test(case: tuple[int, int]) -> None:
    hits, n = case
    low, high = clopper_pearson(hits, n)
    assert low == 0 if hits == 0 else binom.sf(hits - 1, n, low) == pytest.approx(0.05)
    assert high == 1 if hits == n else binom.cdf(hits, n, high) == pytest.approx(0.05)


@pytest.mark.parametrize(("hits", "n"), [(0, 7), (3, 7), (7, 7), (5, 40)])
def test_clopper_pearson_leaves_five_percent_of_the_binomial_sum(hits: int, n: int) -> None:
    def at_least(k: int, p: float) -> float:
        return sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))

    low, high = clopper_pearson(hits, n)
    assert low == 0 if hits == 0 else at_least(hits, low) == pytest.approx(0.05)
    assert high == 1 if hits == n else 1 - at_least(hits + 1, high) == pytest.approx(0.05)


@pytest.mark.parametrize("share", [0.02, 0.05, 0.3, 0.9])
def test_clopper_pearson_covers(share: float) -> None:
    n = 60
    weight = binom.pmf(range(n + 1), n, share)
    low, high = np.array([clopper_pearson(hits, n) for hits in range(n + 1)]).T
    assert weight[low <= share].sum() >= 0.95
    assert weight[high >= share].sum() >= 0.95


def test_the_threshold_catches_at_most_five_percent_of_fresh_controls(rng: torch.Generator) -> None:
    rates, covered = [], np.zeros(2)
    for _ in range(1000):
        controls = torch.randn(59, generator=rng)
        found = tail(scores(torch.zeros(1), controls))
        truth = norm.sf(float(controls.sort(descending=True).values[found.k - 1]))
        rates.append(truth)
        low, high = found.fpr_bounds()
        covered += [low <= truth, truth <= high]
    assert np.mean(rates) == pytest.approx(found.fpr, abs=0.004)
    assert found.fpr <= 0.05
    assert (covered / 1000).min() >= 0.93


@pytest.mark.parametrize("n", [50, 150])
@pytest.mark.parametrize("mu", [0.0, 0.358, 0.544, 1.19])
def test_residual_risk_bounds_cover(mu: float, n: int, rng: torch.Generator) -> None:
    covered = np.zeros(2)
    for _ in range(500):
        x, y = torch.randn(2, n, generator=rng).double()
        found = tail(scores(x + mu, y))
        threshold = float(y.sort(descending=True).values[found.k - 1])
        tpr, fpr = norm.sf(threshold - mu), norm.sf(threshold)
        low, high = found.risk_bounds()
        covered += [low <= (tpr - fpr) / (1 - fpr), (tpr - fpr) / (1 - fpr) <= high]
    assert (covered / 500).min() >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 500)


def test_residual_risk_is_zero_at_chance_and_one_for_a_perfect_attack() -> None:
    even = tail(scores(torch.arange(20) + 0.5, torch.arange(19.0)))
    assert (even.tpr, even.fpr) == (0.1, 0.05)
    assert even.risk == pytest.approx(0.05 / 0.95)
    assert tail(scores(torch.full((50,), 99.0), torch.arange(19.0))).risk == 1


def test_residual_risk_bounds_are_those_of_mover() -> None:
    found = Tail(hits=12, n1=80, k=5, n0=119)
    p1, p0 = 12 / 80, 5 / 120
    (l1, u1), (l0, u0) = found.tpr_bounds(), found.fpr_bounds()
    low = p1 - p0 - sqrt((p1 - l1) ** 2 + (u0 - p0) ** 2)
    high = p1 - p0 + sqrt((u1 - p1) ** 2 + (p0 - l0) ** 2)
    assert found.risk == pytest.approx((p1 - p0) / (1 - p0))
    assert found.risk_bounds() == pytest.approx((low / (1 - p0), high / (1 - p0)))


def test_patients_who_share_a_score_count_as_if_drawn_by_lot(rng: torch.Generator) -> None:
    members, controls = (
        torch.randint(4, (40,), generator=rng),
        torch.randint(4, (60,), generator=rng),
    )
    found, drawn = tail(scores(members.double(), controls.double())), []
    for _ in range(2000):
        lot = 0.1 * torch.rand(100, generator=rng)
        drawn.append(tail(scores(members + lot[:40], controls + lot[40:])).hits)
    assert found.hits == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / np.sqrt(2000))


def test_an_attack_that_says_the_same_of_everybody_does_not_fail(
    policy: Policy, rng: torch.Generator
) -> None:
    same = scores(torch.zeros(200), torch.zeros(200))
    assert judge("A2", "", Scored(same, same), policy, rng).verdict is not Verdict.FAIL


def test_patients_of_a_class_that_one_side_lacks_are_compared_with_nobody(
    policy: Policy, rng: torch.Generator
) -> None:
    strata = torch.tensor([0] * 60 + [1] * 60), torch.zeros(80)
    lone = scores(torch.cat([torch.zeros(60), torch.full((60,), 9.0)]), torch.rand(80), *strata)
    assert (tail(lone).n1, tail(lone).hits) == (60, 0)
    nobody = scores(torch.rand(60), torch.rand(60), torch.zeros(60), torch.ones(60))
    found = judge("A2", "", Scored(nobody, nobody), policy, rng)
    assert found.verdict is Verdict.INVALID
    assert "nobody to compare" in found.text


@pytest.mark.parametrize(
    ("n0", "assessable"),
    [(58, 0), (59, 1), (298, 1), (299, 2), (2994, 2), (2995, 3)],
)
def test_rates_at_few_false_alarms_need_enough_controls(
    n0: int, assessable: int, rng: torch.Generator
) -> None:
    found = caught(scores(torch.randn(80, generator=rng), torch.randn(n0, generator=rng)))
    assert list(found) == ["5.0%", "1.0%", "0.1%"]
    assert [one == NOT_ASSESSABLE for one in found.values()] == [i >= assessable for i in range(3)]


def test_a_rate_in_the_report_is_that_of_the_threshold() -> None:
    # Of 299 controls the two largest are above 296.5; fifteen members are.
    members = torch.cat([torch.full((15,), 297.5), torch.zeros(35)])
    found = caught(scores(members, torch.arange(299.0)))["1.0%"]
    assert isinstance(found, dict)
    assert found["value"] == 0.3
    assert (found["low"], found["high"]) == clopper_pearson(15, 50)


def test_too_few_controls_for_a_threshold_are_refused() -> None:
    with pytest.raises(ValueError, match="18 controls"):
        tail(scores([1.0], torch.arange(18.0)))


def test_exceedance_p_is_the_level_at_which_the_bound_meets_the_limit() -> None:
    def low(level: float) -> float:
        return float(0.8 - 0.1 * norm.ppf(level))

    assert exceedance_p(low, 0.6) == pytest.approx(norm.sf(2), rel=1e-3)
    assert exceedance_p(low, 0.9) == 0.5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_rejects_what_the_step_down_rejects(p: list[float]) -> None:
    rejected = set()
    for step, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if p[i] * (len(p) - step) > 0.05:
            break
        rejected.add(i)
    assert {i for i, one in enumerate(holm(p)) if one <= 0.05} == rejected
