"""Probabilities that are what they say have no calibration error but chance."""

import numpy as np
import pytest

from pipelines.models.calibration import calibration


def drawn(count: int, *, seed: int, distortion: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, what was so, and patients with one to three films each."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(size=count)
    happened = rng.uniform(size=count) < truth
    said = truth**distortion
    patients = np.sort(rng.integers(count // 2, size=count)).astype(str)
    return said, happened, patients


def test_true_probabilities_have_almost_no_error() -> None:
    found = calibration(*drawn(4000, seed=0, distortion=1.0), seed=0)
    assert found.error.mean < 0.03
    assert found.brier.mean == pytest.approx(1 / 6, abs=0.01)  # the mean of p (1 - p)
    hit = [one.happened.low <= one.said <= one.happened.high for one in found.bins]
    assert len(hit) == 10
    assert sum(hit) >= 8


def test_distorted_probabilities_have_the_error_of_the_distortion() -> None:
    found = calibration(*drawn(4000, seed=0, distortion=3.0), seed=0)
    assert found.error.mean == pytest.approx(1 / 2 - 1 / 4, abs=0.03)  # mean of p - p ** 3
    assert found.error.low < found.error.mean < found.error.high


def test_few_films_make_few_bins() -> None:
    found = calibration(*drawn(25, seed=1, distortion=1.0), seed=0)
    assert [one.films for one in found.bins] == [13, 12]
    alone = calibration(np.array([0.25]), np.array([True]), np.array(["a"]), seed=0)
    assert alone.error.mean == pytest.approx(0.75)
    assert alone.brier.mean == pytest.approx(0.5625)
