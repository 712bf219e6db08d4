"""What a number of patients can show: what an audit can find at best, and how often it passes.

Pure functions of the numbers of members and controls, for the report and for planning how many
patients to hold out.
"""

import math
from dataclasses import asdict, dataclass

from scipy.stats import betabinom, norm

from privacy.policy import FPR, Policy
from privacy.statistics.epsilon import one_run_epsilon, perfect_epsilon
from privacy.statistics.scores import Tail, null_se, rank_at


@dataclass(frozen=True)
class Power:
    """What these numbers of members and controls can show.

    Attributes:
        members: n_in.
        controls: n_out.
        perfect_epsilon: lower bound of epsilon that a perfect attack proves (Clopper-Pearson).
        one_run_epsilon: the same in one run (Steinke et al. 2023), with as many guesses as there
            are patients on the smaller side.
        null_se: standard error of the AUC without leakage.
        smallest_auc: smallest AUC that is found (one-sided, 5 %) with a chance of 80 %.
        chance_auc: chance that a release without leakage passes the gate on the AUC.
        chance_both: chance that it passes the gates on the AUC and on the residual risk.
        chance_to_pass: chance that one attack passes under the policy. The policy judges the
            residual risk from ``least_controls_tail`` on, and passes nothing below
            ``least_controls``.
    """

    members: int
    controls: int
    perfect_epsilon: float
    one_run_epsilon: float
    null_se: float
    smallest_auc: float
    chance_auc: float
    chance_both: float
    chance_to_pass: float

    def to_json(self) -> dict[str, float]:
        """Returns a plain dict."""
        return asdict(self)


def power(n_in: int, n_out: int, policy: Policy) -> Power:
    """Returns what n_in members and n_out controls can show, with a normal approximation."""
    error = null_se([(n_in, n_out)])
    chance_auc = float(norm.cdf(_margin(error, policy) / error))
    chance_both = _chance_both(n_in, n_out, policy)
    chance = chance_auc if n_out < policy.least_controls_tail else chance_both
    return Power(
        members=n_in,
        controls=n_out,
        perfect_epsilon=max(0.0, perfect_epsilon(n_in, n_out)),
        one_run_epsilon=one_run_epsilon(min(n_in, n_out)),
        null_se=error,
        smallest_auc=min(1.0, 0.5 + float(norm.ppf(0.95) + norm.ppf(0.8)) * error),
        chance_auc=chance_auc,
        chance_both=chance_both,
        chance_to_pass=chance if n_out >= policy.least_controls else 0.0,
    )


def _margin(error: float, policy: Policy) -> float:
    """Returns how far above 0.5 an AUC may come out and still pass."""
    return policy.largest_auc - 0.5 - float(norm.ppf(0.95)) * error


def _chance_both(n_in: int, n_out: int, policy: Policy) -> float:
    """Returns the chance to pass both gates.

    Without leakage all orders of the patients are equally likely. The number of members above the
    k-th largest control is then beta-binomial. Given this number, the AUC is the sum of two parts,
    from the members above and from those below.
    """
    k = rank_at(FPR, n_out)
    if k < 1:
        return 0.0
    pairs, rest = n_in * n_out, n_out - k
    largest, total = 0.5 + _margin(null_se([(n_in, n_out)]), policy), 0.0
    for hits in range(n_in + 1):
        if Tail(hits, n_in, k, n_out).risk_bounds()[1] >= policy.residual_risk:
            break
        low = n_in - hits
        mean = hits * ((k - 1) / 2 + 1 + rest) + low * rest / 2
        variance = (hits * (k - 1) * (hits + k) + low * rest * (low + rest + 1)) / 12
        given = norm.cdf((largest * pairs - mean) / math.sqrt(variance))
        total += float(betabinom.pmf(hits, n_in, k, n_out + 1 - k) * given)
    return total
