"""The refutation: it finds what is planted, and lets a correct mechanism pass."""

import pytest
import torch

from privacy.dp.accounting import Series, series_for
from privacy.dp.neighbours import PAIRS
from privacy.dp.refute import mu_low, refute
from tests.privacy.dp.defects import DEFECTS

SHOWN_BY = {
    "noise redrawn": "a question asked twenty times",
    "no clip": "a film of extreme values",
    "clip per film": "a patient with twenty films",
    "clip per class": "a patient with films of four classes",
    "half the noise": "a patient with one film",
    "divisor counted": "a patient who is against all others",
}
TRIALS = {1: 2_000, 3: 800, 10: 300}
"""By epsilon: the larger it is, the fewer show that noise is halved."""


@pytest.mark.parametrize(
    ("defect", "epsilon"),
    [(d, e) for d in DEFECTS for e in TRIALS if (d, e) != ("divisor counted", 1)],
)
def test_a_planted_defect_is_refuted(defect: str, epsilon: int) -> None:
    pairs = [pair for pair in PAIRS if pair.name == SHOWN_BY[defect]]
    found = refute(series_for(epsilon, 1e-4), DEFECTS[defect], pairs, TRIALS[epsilon])
    assert found.refuted
    assert SHOWN_BY[defect] in str(found)


def test_a_counted_divisor_shows_in_the_noise_of_small_cohorts() -> None:
    pairs = [pair for pair in PAIRS if pair.name == "a patient who adds nothing but a count"]
    assert refute(series_for(1, 1e-4), DEFECTS["divisor counted"], pairs, 200).refuted


def test_noise_drawn_again_after_a_restart_is_refuted() -> None:
    pairs = [pair for pair in PAIRS if pair.restarts]
    assert refute(Series(1.0), DEFECTS["noise redrawn"], pairs, 100).refuted


@pytest.mark.parametrize("epsilon", [1, 10])
def test_a_correct_mechanism_is_not_refuted(epsilon: int) -> None:
    found = refute(series_for(epsilon, 1e-4), trials=150)
    assert not found.refuted
    assert "not a proof" in str(found)
    assert len(found.attempts) == len(PAIRS)


@pytest.mark.parametrize("mu", [0.3, 2.0])
def test_the_bound_is_below_the_truth_as_often_as_it_says(mu: float) -> None:
    rng, error, rounds = torch.Generator().manual_seed(5), 0.3, 400
    too_high, low = 0, []
    for _ in range(rounds):
        outside = torch.randn(150, 3, generator=rng, dtype=torch.float64)
        inside = torch.randn(150, 3, generator=rng, dtype=torch.float64)
        inside[:, 0] += mu
        low.append(mu_low(inside, outside, error))
        too_high += low[-1] > mu
    assert too_high < error * rounds
    assert sorted(low)[rounds // 2] > mu - 0.35  # and it is not just 0


def test_answers_without_noise_prove_everything() -> None:
    assert mu_low(torch.ones(30, 1).double(), torch.zeros(30, 1).double(), 0.01) == float("inf")
