"""Patients by the votes of their patches: answers worked out by hand."""

import numpy as np
import pytest

from medidd.patient_vote import Ballot, called, threshold

# Patient a: two positive and one negative vote, and one patch of background; b: only background.
PATIENTS = ["a", "b", "a", "a", "a", "c"]
VOTED = np.array([2, 0, 0, 1, 2, 1])
WHOLE = np.array([2, 1, 2, 2, 2, 1])


def test_background_has_no_vote_and_nobody_is_positive_without_one() -> None:
    ballot = Ballot(PATIENTS, WHOLE, (1, 2))
    assert ballot.names.tolist() == ["a", "b", "c"]
    assert ballot.truth.tolist() == [1, 0, 0]
    shares = ballot.shares(np.eye(3)[VOTED])
    np.testing.assert_allclose(shares, [[1 / 3, 2 / 3], [1, 0], [1, 0]])


def test_with_three_classes_of_films_nobody_is_preferred_without_a_vote() -> None:
    shares = Ballot(["a"], np.array([3]), (1, 2, 3)).shares(np.eye(4)[[0]])
    np.testing.assert_allclose(shares, [[1 / 3] * 3])


def test_one_positive_film_makes_a_positive_patient() -> None:
    assert Ballot(["a", "a"], np.array([1, 2]), (1, 2)).truth.tolist() == [1]


@pytest.mark.parametrize(
    ("shares", "positive", "best"),
    [
        ([0.1, 0.2, 0.6, 0.8], [0, 0, 1, 1], 0.4),
        ([0.1, 0.5, 0.3, 0.8], [0, 0, 1, 1], 0.65),  # .2 is as good; of two, the upper one counts
        ([0.0, 0.0, 0.0, 1.0], [0, 0, 1, 1], 0.5),
    ],
)
def test_the_threshold_has_the_largest_harmonic_mean(
    shares: list[float], positive: list[int], best: float
) -> None:
    assert threshold(np.array(shares), np.array(positive, bool)) == pytest.approx(best)


def test_calling_keeps_the_order_and_puts_the_threshold_in_the_middle() -> None:
    shares = np.array([0, 0.1, 0.2, 0.21, 0.9, 1])
    found = called(np.stack([1 - shares, shares], axis=1), 0.2)
    assert (np.diff(found[:, 1]) > 0).all()
    assert found.argmax(1).tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(found.sum(1), 1)
