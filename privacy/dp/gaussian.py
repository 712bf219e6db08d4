"""The mathematics of mu: how far apart a patient's presence and absence can be told.

Under mu-GDP (Dong, Roth & Su, JRSS B 2022, arXiv:1905.02383) nobody tells the two worlds apart
better than one draw of N(0, 1) from one of N(mu, 1). One release with noise of sigma times the
clip, over all patients, has mu = 1 / sigma; independent releases add their mu^2. All formulas here
are exact; the one between epsilon and delta is that of Balle & Wang, ICML 2018, arXiv:1805.06530.
"""

import math

from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr, ndtri

TOLERANCE = 1e-12


def log_delta(epsilon: float, mu: float) -> float:
    """Returns the logarithm of ``delta_of``; -inf for mu 0."""
    if mu <= 0:
        return -math.inf
    first = float(log_ndtr(mu / 2 - epsilon / mu))
    second = epsilon + float(log_ndtr(-mu / 2 - epsilon / mu))
    gap = second - first
    return first + math.log(-math.expm1(gap)) if gap < 0 else -math.inf


def delta_of(epsilon: float, mu: float) -> float:
    """Returns the least delta: Phi(mu/2 - eps/mu) - e^eps Phi(-mu/2 - eps/mu)."""
    return math.exp(log_delta(epsilon, mu))


def epsilon_of(mu: float, delta: float) -> float:
    """Returns the least epsilon that mu-GDP gives at this delta."""
    target = math.log(delta)
    if log_delta(0.0, mu) <= target:
        return 0.0
    high = 1.0
    while log_delta(high, mu) > target:
        high *= 2
    return float(brentq(lambda e: log_delta(e, mu) - target, 0.0, high, xtol=TOLERANCE))


def mu_of(epsilon: float, delta: float) -> float:
    """Returns the largest mu that keeps (epsilon, delta)."""
    target = math.log(delta)
    high = 1.0
    while log_delta(epsilon, high) <= target:
        high *= 2
    # Below mu = 1e-3 delta is no number any more for epsilon of 0.1 and more.
    low = high
    while log_delta(epsilon, low) > target:
        low /= 2
    return float(
        brentq(lambda mu: max(log_delta(epsilon, mu), -1e6) - target, low, high, xtol=TOLERANCE)
    )


def auc_of(mu: float) -> float:
    """Returns the largest AUC of any attack: Phi(mu / sqrt 2)."""
    return float(ndtr(mu / math.sqrt(2)))


def tpr_of(mu: float, fpr: float) -> float:
    """Returns the largest share of members caught at a share of false alarms."""
    return float(ndtr(mu + ndtri(fpr)))
