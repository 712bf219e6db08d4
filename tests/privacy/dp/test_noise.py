"""Noise from the operating system: its distribution, its independence, and that it has no seed."""

import numpy as np
import torch
from scipy.stats import kstest, norm, pearsonr

from privacy.dp.noise import CHUNK, gaussian, uniform

SMALL = 1e-6
"""Chance that a correct generator fails one of these tests."""


def anderson(x: np.ndarray) -> float:
    """The statistic A^2 of Anderson and Darling against N(0, 1)."""
    x, n = np.sort(x), len(x)
    odd = 2 * np.arange(n) + 1
    return float(-n - (odd * (norm.logcdf(x) + norm.logsf(x[::-1]))).mean())


def test_noise_is_standard_normal() -> None:
    x = gaussian(200_000)
    assert kstest(x, "norm").pvalue > SMALL
    assert abs(x.mean()) < 5 / np.sqrt(len(x))
    assert abs(x.var() - 1) < 5 * np.sqrt(2 / len(x))
    # Anderson and Darling weigh the tails. For a known distribution 3.9 is exceeded in 1 %.
    assert anderson(x) < 12
    beyond = (np.abs(x) > 4).mean()
    assert abs(beyond - 2 * norm.sf(4)) < 6 * np.sqrt(2 * norm.sf(4) / len(x))


def test_noise_of_two_runs_is_independent_whatever_the_seeds() -> None:
    runs = []
    for _ in range(2):
        torch.manual_seed(0)
        np.random.seed(0)
        runs.append(gaussian(100_000))
    assert not np.array_equal(*runs)
    assert pearsonr(*runs).pvalue > SMALL
    assert pearsonr(runs[0][1:], runs[0][:-1]).pvalue > SMALL


def test_long_noise_is_made_of_fresh_parts() -> None:
    x = gaussian(2 * CHUNK + 1)
    assert len(np.unique(x)) == len(x)


def test_uniform_numbers_lie_inside_the_interval() -> None:
    u = uniform(100_000)
    assert u.min() > 0
    assert u.max() < 1
    assert kstest(u, "uniform").pvalue > SMALL


def test_the_ends_of_the_uniform_numbers_give_finite_noise(monkeypatch) -> None:
    for byte in (b"\x00", b"\xff"):
        monkeypatch.setattr("os.urandom", lambda n, b=byte: b * n)
        assert np.isfinite(gaussian(4)).all()
