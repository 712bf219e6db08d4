"""The mechanism: what it adds up, how much a patient can move it, and when it stops."""

import math

import pytest
import torch

from privacy.dp.accounting import Series
from privacy.dp.mechanism import BudgetSpentError, PatientGaussian

QUIET = 1e-9


def mechanism(sigma: float = QUIET, releases: int = 1, rate: float = 1.0, **kw) -> PatientGaussian:
    return PatientGaussian(Series(sigma, releases, rate), **{"patients": 10, "clip": 2.0, **kw})


def test_the_answer_is_the_clipped_sum_over_the_declared_number() -> None:
    vectors = [torch.tensor([3.0, 4.0]), torch.tensor([0.0, 1.0])]
    answer = mechanism().release(vectors, lambda v: v, 2)
    assert answer.dtype == torch.float64
    torch.testing.assert_close(answer, torch.tensor([1.2, 2.6]).double() / 10, atol=1e-8, rtol=0)


def test_without_patients_the_answer_is_noise() -> None:
    answer = mechanism(sigma=5.0).release([], lambda v: v, 20_000)
    assert answer.std().item() == pytest.approx(5 * 2 / 10, rel=0.05)
    assert mechanism(sigma=5.0).noise == pytest.approx(1)


def test_one_release_too_many_is_refused() -> None:
    private = mechanism(releases=2)
    for _ in range(2):
        private.release([], lambda v: v, 3)
    with pytest.raises(BudgetSpentError, match="all 2 releases"):
        private.release([], lambda v: v, 3)


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e3, 1e30])
def test_no_vector_is_longer_than_the_clip(scale: float) -> None:
    rng = torch.Generator().manual_seed(1)
    for size in (1, 7, 10_000):
        v = torch.randn(size, generator=rng, dtype=torch.float64) * scale
        units = mechanism().clipped(v)
        assert torch.equal(units, units.trunc())
        length = sum(int(u) ** 2 for u in units.tolist())  # whole numbers have no rounding
        assert length <= (2**32) ** 2
        if float(v.norm()) > 2:
            assert math.sqrt(length) == pytest.approx(2**32, rel=1e-6)


def test_values_that_are_not_finite_become_zero() -> None:
    bad = torch.tensor([math.nan, math.inf, -math.inf, 1.0])
    answer = mechanism().release([bad], lambda v: v, 4)
    torch.testing.assert_close(answer, torch.tensor([0, 0, 0, 0.1]).double(), atol=1e-8, rtol=0)
    assert not mechanism().clipped(torch.tensor([1e308, 1e308]).double()).isnan().any()


def test_the_sum_does_not_depend_on_the_order_of_patients(monkeypatch) -> None:
    import numpy as np

    monkeypatch.setattr("privacy.dp.mechanism.gaussian", np.zeros)
    vectors = list(torch.randn(500, 3, generator=torch.Generator().manual_seed(2)))
    first, second = (mechanism().release(vs, lambda v: v, 3) for vs in (vectors, vectors[::-1]))
    assert torch.equal(first, second)


def test_coins_choose_patients_and_only_they_are_looked_at() -> None:
    seen = []

    def vector(patient: int) -> torch.Tensor:
        seen.append(patient)
        return torch.ones(1)

    answer = mechanism(rate=0.3).release(range(4000), vector, 1)
    assert abs(len(seen) - 1200) < 6 * math.sqrt(4000 * 0.3 * 0.7)
    assert float(answer) == pytest.approx(len(seen) / 3, rel=1e-6)
