"""What all attacks that score patients share: calibration and the verdict."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from torch import Generator

from privacy.evidence import Evidence
from privacy.finding import Finding, Verdict
from privacy.nulls import Score, calibrate
from privacy.policy import FPR, Policy
from privacy.statistics.epsilon import DELTA, ceiling, epsilon_low
from privacy.statistics.scores import (
    AucBounds,
    Scores,
    auc,
    exceedance_p,
    null_se,
    permutation_p,
    tail,
)

RATES = (0.05, 0.01, 0.001)
"""False-positive rates at which the report shows how many members an attack catches."""
NOT_ASSESSABLE = "not assessable"


def remembered(scores: Callable[[Evidence], Scores]) -> Callable[[Evidence], Scores]:
    """Keeps the scores of the last evidence: A4 and the report need them again."""
    return lru_cache(maxsize=1)(scores)


def scored(score: Score, evidence: Evidence) -> Scores:
    """Returns the scores of members and controls, against the null releases if there are any.

    All patients are scored together, so that the attack trains its networks only once.
    """
    everybody, nulls = evidence.everybody, evidence.nulls
    if nulls is None:
        values = score(evidence.release, everybody)
    else:
        values = calibrate(score, evidence.release, nulls, everybody)
    n1, strata = len(evidence.members.ids), everybody.strata
    return Scores(values[:n1], values[n1:], strata[:n1], strata[n1:])


def attack(
    audit: str,
    name: str,
    scores: Callable[[Evidence], Scores],
    evidence: Evidence,
    policy: Policy,
    rng: Generator,
) -> Finding:
    """Attacks with these scores, against the null releases if there are any."""
    return judge(audit, name, scores(evidence), policy, rng, calibrated=evidence.nulls is not None)


def judge(
    audit: str, name: str, scores: Scores, policy: Policy, rng: Generator, *, calibrated: bool
) -> Finding:
    """Returns what an attack with these scores means.

    PASS if the upper bounds of the AUC and, with enough controls, of the residual risk are below
    the policy's limits. FAIL if a lower bound is above its limit, or if the evidence of a leak is
    strong (p < .01) and the estimate is above the limit. Without null releases, scores can fail but
    never pass.
    """
    if not (scores.members.isfinite().all() and scores.controls.isfinite().all()):
        text = "The attack gave no score for some patients, so it has no result."
        return _invalid(audit, name, policy, text)
    if not scores.by_stratum():
        text = "No class has both members and controls, so there is nobody to compare."
        return _invalid(audit, name, policy, text)
    bounds = AucBounds(scores, rng)
    value, low, high = auc(scores), bounds.low(), bounds.high()
    p = permutation_p(scores, rng)
    n1, n0 = len(scores.members), len(scores.controls)
    limit = policy.largest_auc
    p_limit, below = exceedance_p(bounds.low, limit), high < limit
    details: dict[str, Any] = {
        "members": n1,
        "controls": n0,
        "null releases": calibrated,
        "standard error without leakage": null_se(scores.sizes),
        "members caught, by share of controls caught": caught(scores),
        "epsilon": {"low": epsilon_low(scores), "ceiling": ceiling(n1, n0), "delta": DELTA},
    }
    if n0 >= policy.least_controls_tail:
        worst = tail(scores, FPR)
        risk_low, risk_high = worst.risk_bounds()
        p_risk = exceedance_p(lambda level: worst.risk_bounds(level)[0], policy.residual_risk)
        # Two chances to fail: Bonferroni.
        p_limit = min(1.0, 2 * min(p_limit, p_risk))
        below &= risk_high < policy.residual_risk
        details["residual risk"] = {
            "value": worst.risk,
            "low": risk_low,
            "high": risk_high,
            "limit": policy.residual_risk,
            "caught members": worst.tpr,
            "caught controls": worst.fpr,
        }
        tail_text = (
            f" At 5 % false alarms it exposes {max(0.0, worst.risk):.0%} of patients beyond "
            f"chance (at most {max(0.0, risk_high):.0%}; limit {policy.residual_risk:.0%})."
        )
    else:
        details["residual risk"] = NOT_ASSESSABLE
        tail_text = (
            f" With {n0} controls the most exposed patients are not assessable "
            f"({policy.least_controls_tail} controls are needed)."
        )
    if p_limit <= 0.05 or (p < 0.01 and value > limit):
        verdict = Verdict.FAIL
    elif below and calibrated and n0 >= policy.least_controls:
        verdict = Verdict.PASS
    else:
        verdict = Verdict.INCONCLUSIVE
    return Finding(
        audit=audit,
        name=name,
        verdict=verdict,
        value=value,
        low=low,
        high=high,
        limit=limit,
        chance=0.5,
        p=p,
        p_limit=p_limit,
        text=(
            "Shown one member and one control, the attack picks the member "
            f"{value:.0%} of the time (at most {high:.0%}; chance 50 %, limit {limit:.0%})."
            + tail_text
            + ("" if calibrated else " Without null releases nothing can pass.")
        ),
        details=details,
    )


def caught(scores: Scores) -> dict[str, dict[str, float] | str]:
    """Returns the true-positive rate at each of the false-positive rates, as the report shows it.

    A rate is not assessable if even no false alarm among all controls would not prove that it is
    kept. The three rates need 59, 299 and 2,995 controls.
    """
    found: dict[str, dict[str, float] | str] = {}
    for fpr in RATES:
        if len(scores.controls) < math.ceil(math.log(0.05) / math.log1p(-fpr)):
            found[f"{fpr:.1%}"] = NOT_ASSESSABLE
            continue
        at = tail(scores, fpr)
        low, high = at.tpr_bounds()
        found[f"{fpr:.1%}"] = {"value": at.tpr, "low": low, "high": high}
    return found


def _invalid(audit: str, name: str, policy: Policy, text: str) -> Finding:
    return Finding(
        audit=audit,
        name=name,
        verdict=Verdict.INVALID,
        value=math.nan,
        low=math.nan,
        high=math.nan,
        limit=policy.largest_auc,
        text=text,
    )
