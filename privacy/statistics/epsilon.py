"""What an attack proves about epsilon, the loss of privacy in (epsilon, delta)-DP.

Under (epsilon, delta)-DP no attack catches more than e^epsilon x FPR + delta of the members, and
none clears more than e^epsilon x (1 - TPR) + delta of the controls. Rates that certainly exceed
this refute the epsilon. The bound is for the average patient: a single patient may lose more.
"""

import math

import numpy as np
import torch
from scipy.stats import beta

from privacy.statistics.scores import Scores, clopper_pearson, rank_at

DELTA = 1e-5
SHARES = (0.0, 0.05, 0.2, 0.5)
"""Where the thresholds lie: above all controls, or above all except such a share of them. They are
ranks among the controls, fixed before the scores are known."""


def epsilon_low(scores: Scores, level: float = 0.95, delta: float = DELTA) -> float:
    """Returns a lower bound of epsilon, 0 if nothing is proved.

    The bounds of two rates at each of the thresholds share the error (Bonferroni), so that the
    best threshold may be chosen afterwards. The share of the population above the k-th largest of
    n0 control scores follows Beta(k, n0 + 1 - k), or is smaller if scores are tied.
    """
    members, controls = scores.pooled()
    n1, n0 = len(members), len(controls)
    each = 1 - (1 - level) / (2 * len(SHARES))
    falling, best = np.sort(controls)[::-1], 0.0
    for share in SHARES:
        k = max(1, rank_at(share, n0))
        caught, _ = clopper_pearson(int((members > falling[k - 1]).sum()), n1, each)
        alarms = float(beta.ppf(each, k, n0 + 1 - k))
        for rate, bound in ((caught, alarms), (1 - alarms, 1 - caught)):
            if rate > delta:
                best = max(best, math.log((rate - delta) / bound))
    return best


def ceiling(n1: int, n0: int, level: float = 0.95, delta: float = DELTA) -> float:
    """Returns the :func:`epsilon_low` of an attack that tells all members from all controls."""
    return epsilon_low(Scores(torch.ones(n1), torch.zeros(n0)), level, delta)


def perfect_epsilon(n1: int, n0: int, level: float = 0.95) -> float:
    """Returns what a perfect attack proves at one threshold fixed beforehand, with delta 0."""
    each = 1 - (1 - level) / 2
    return math.log(clopper_pearson(n1, n1, each)[0] / clopper_pearson(0, n0, each)[1])


def one_run_epsilon(m: int, level: float = 0.95) -> float:
    """Returns what m right guesses about m coins prove (Steinke, Nasr & Jagielski, NeurIPS 2023).

    A mechanism with epsilon lets each guess be right with a chance of at most
    e^epsilon / (1 + e^epsilon), whatever the other coins show; delta is 0.
    """
    chance = (1 - level) ** (1 / m)
    return math.log(chance / (1 - chance))


def patients_to_refute(epsilon: float) -> int:
    """Returns how many members a perfect attack needs to refute epsilon, with as many controls."""
    few, many = 1, 2
    while perfect_epsilon(many, many) <= epsilon:
        few, many = many, 2 * many
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if perfect_epsilon(middle, middle) > epsilon else (middle, many)
    return many
