"""The account where patients are drawn by coin (Poisson sampling with rate q < 1).

No exact formula is known. Opacus composes the distribution of the privacy loss numerically and
bounds the error (Gopi, Lee & Wutschitz, NeurIPS 2021, arXiv:2106.02848). We take its upper bound.
Its ``GaussianAccountant`` is an approximation that can be below the truth, so it is not used.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from scipy.optimize import brentq

History = Sequence[tuple[float, float, int]]
"""Noise multiplier sigma, rate q and number of releases, for each series of releases."""

COARSE = 0.01
"""Error that the bound of epsilon allows for at first, and adds."""

FINE = 0.004
"""The same relative to epsilon, where ``COARSE`` is too much for a small one."""


def epsilon_bound(history: History, delta: float) -> float:
    """Returns an upper bound of epsilon at this delta, within 1 % of the least one."""
    rough = _bound(history, delta, COARSE)
    if rough * FINE >= COARSE:
        return rough
    return _bound(history, delta, max(rough - COARSE, COARSE) * FINE)


def curve(history: History, deltas: Sequence[float]) -> list[float]:
    """Returns upper bounds of epsilon at several deltas, from one composition."""
    from opacus.accountants import PRVAccountant  # heavy, and only needed here

    accountant, spare = PRVAccountant(), min(deltas) / 1000
    accountant.history = list(history)
    with _quiet():
        loss = accountant._get_dprv(eps_error=COARSE, delta_error=spare)
        return [max(0.0, float(loss.compute_epsilon(d, spare, COARSE)[2])) for d in deltas]


def _bound(history: History, delta: float, error: float) -> float:
    from opacus.accountants import PRVAccountant  # heavy, and only needed here

    accountant = PRVAccountant()
    accountant.history = list(history)
    with _quiet():
        return max(0.0, float(accountant.get_epsilon(delta, eps_error=error)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences two things that are meant.

    For q = 1 Opacus's formula takes the logarithm of 0. Its warning is about the first guess of how
    wide a range of losses to look at, which may be wider than necessary.
    """
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def sigma_bound(epsilon: float, delta: float, rate: float, releases: int) -> float:
    """Returns a sigma whose bound keeps (epsilon, delta), within 0.1 % of the least one."""

    def excess(sigma: float) -> float:
        return _bound([(sigma, rate, releases)], delta, error) - epsilon

    error = min(COARSE, FINE * epsilon)
    high = 1.0
    while excess(high) > 0:
        high *= 2
    low = high / 2
    while excess(low) <= 0:
        low /= 2
    return float(brentq(excess, low, high, rtol=1e-3)) * (1 + 1e-3)
