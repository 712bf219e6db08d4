"""The account against known values and against another library's."""

import math

import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
from dp_accounting.pld import PLDAccountant

from privacy.dp import gaussian
from privacy.dp.accounting import Guarantee, Series, series_for, strength


def pld(history: list[tuple[float, float, int]], delta: float) -> float:
    """Epsilon by dp-accounting, which rounds up."""
    account = PLDAccountant(value_discretization_interval=1e-4)
    for sigma, rate, releases in history:
        event = GaussianDpEvent(sigma)
        sampled = event if rate == 1 else PoissonSampledDpEvent(rate, event)
        account.compose(SelfComposedDpEvent(sampled, releases))
    return account.get_epsilon(delta)


def test_known_values() -> None:
    # Balle & Wang 2018: the formula itself, at values that can be computed by hand.
    assert gaussian.delta_of(0, 1) == pytest.approx(0.3829249225480262, rel=1e-12)
    assert gaussian.epsilon_of(1, 1e-5) == pytest.approx(4.377, abs=1e-3)
    # The policy's residual risk of 9 % is mu of .544 and epsilon of 2.19 at delta 1e-5.
    assert gaussian.epsilon_of(0.544, 1e-5) == pytest.approx(2.19, abs=1e-3)
    assert gaussian.auc_of(0.544) == pytest.approx(0.650, abs=1e-3)
    assert gaussian.tpr_of(0.544, 0.05) == pytest.approx(0.05 + 0.95 * 0.09, abs=2e-4)


@pytest.mark.parametrize(("epsilon", "sigma"), [(1, 3.186), (3, 1.223), (10, 0.4553)])
def test_the_least_noise_is_known(epsilon: float, sigma: float) -> None:
    series = series_for(epsilon, 1e-4)
    assert series.sigma == pytest.approx(sigma, rel=3e-4)
    assert pld([(series.sigma, 1, 1)], 1e-4) == pytest.approx(epsilon, abs=2e-3)
    assert series_for(epsilon, 1e-4, releases=100).sigma == pytest.approx(10 * series.sigma)


@pytest.mark.parametrize("mu", [0.01, 0.3, 1, 8, 40])
@pytest.mark.parametrize("delta", [1e-12, 1e-5, 1e-2])
def test_epsilon_and_mu_are_inverse(mu: float, delta: float) -> None:
    epsilon = gaussian.epsilon_of(mu, delta)
    if epsilon:
        assert gaussian.delta_of(epsilon, mu) == pytest.approx(delta, rel=1e-6)
        assert gaussian.mu_of(epsilon, delta) == pytest.approx(mu, rel=1e-6)
    else:
        assert gaussian.delta_of(0, mu) <= delta


@pytest.mark.parametrize(
    "history",
    [
        [(1.0, 0.1, 10)],
        [(4.0, 0.1, 300)],
        [(1.5, 0.5, 3)],
        [(20.0, 0.01, 10)],
        [(2.0, 1.0, 2), (1.0, 0.1, 20)],
    ],
)
@pytest.mark.parametrize("delta", [1e-3, 1e-6])
def test_sampled_patients_have_an_epsilon_that_is_never_too_small(
    history: list[tuple[float, float, int]], delta: float
) -> None:
    exact = pld(history, delta)
    series = [Series(sigma, releases, rate) for sigma, rate, releases in history]
    assert exact * (1 - 1e-3) - 1e-4 < Guarantee.of(series, delta).epsilon < exact * 1.01 + 2e-3


def test_noise_for_sampled_patients_keeps_epsilon_and_is_not_wasted() -> None:
    series = series_for(3.0, 1e-5, releases=20, rate=0.2)
    epsilon = Guarantee.of([series], 1e-5).epsilon
    assert 2.97 < epsilon <= 3


def test_releases_to_everybody_add_their_squares() -> None:
    both = Guarantee.of([Series(3.0, 9), Series(1.0)], 1e-5)
    assert both.mu == pytest.approx(math.sqrt(2))


def test_sampled_patients_are_never_easier_to_find_than_all_of_them() -> None:
    sampled = Guarantee.of([Series(1.0, 4, 0.3)], 1e-5)
    everybody = Guarantee.of([Series(1.0, 4)], 1e-5)
    assert sampled.mu is None
    assert sampled.epsilon < everybody.epsilon
    for fpr in (0.01, 0.05, 0.5):
        assert fpr < sampled.tpr(fpr) < everybody.tpr(fpr)
    assert 0.5 < sampled.auc < everybody.auc


def test_the_bound_for_sampled_patients_holds_for_an_attack_that_is_known() -> None:
    # One release: the best attack compares N(0, 1) with a mixture, at a threshold of the answer.
    from scipy.stats import norm

    sigma, rate = 1.0, 0.3
    guarantee = Guarantee.of([Series(sigma, 1, rate)], 1e-5)
    for fpr in (0.01, 0.05, 0.3):
        threshold = norm.isf(fpr)
        caught = rate * norm.sf(threshold - 1 / sigma) + (1 - rate) * fpr
        assert caught <= guarantee.tpr(fpr) < caught + 0.1


def test_words_and_the_policy() -> None:
    assert [strength(e).split()[0] for e in (1, 3, 10, 11)] == ["strong", "moderate", "weak", "no"]
    for epsilon, meets, override in ((2.18, True, False), (2.2, False, False), (10.1, False, True)):
        guarantee = Guarantee.of([series_for(epsilon, 1e-5)], 1e-5)
        assert guarantee.epsilon == pytest.approx(epsilon)
        assert guarantee.meets(0.09) is meets
        assert guarantee.needs_override is override


def test_a_series_without_noise_is_refused() -> None:
    for wrong in ((0.0, 1, 1.0), (1.0, 0, 1.0), (1.0, 1, 0.0), (1.0, 1, 1.5)):
        with pytest.raises(ValueError, match="noise above 0"):
            Series(*wrong)
