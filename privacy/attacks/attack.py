"""What all attacks that score patients share: calibration and the verdict."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from torch import Generator, Tensor

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
    holm,
    null_se,
    permutation_p,
    tail,
)
from privacy.threats import ATTACKERS

RATES = (0.05, 0.01, 0.001)
"""False-positive rates at which the report shows how many members an attack catches."""
NOT_ASSESSABLE = "not assessable"


@dataclass(frozen=True, eq=False)
class Scored:
    """The scores that two attackers give to patients.

    Attributes:
        raw: against the release alone.
        calibrated: with what null releases explain subtracted; None without null releases.
    """

    raw: Scores
    calibrated: Scores | None

    @property
    def by_attacker(self) -> dict[str, Scores]:
        """The scores by attacker, named as in ``privacy.threats.ATTACKERS``."""
        both = zip(ATTACKERS, (self.raw, self.calibrated), strict=True)
        return {name: scores for name, scores in both if scores is not None}

    @property
    def best_informed(self) -> Scores:
        """The scores of the attacker who knows most."""
        return self.raw if self.calibrated is None else self.calibrated


def remembered(scores: Callable[[Evidence], Scored]) -> Callable[[Evidence], Scored]:
    """Keeps the scores of the last evidence: the report needs them again."""
    return lru_cache(maxsize=1)(scores)


def scored(score: Score, evidence: Evidence) -> Scored:
    """Returns the scores of members and controls, also against the null releases if there are any.

    All patients are scored together, so that the attack trains its networks only once.
    """
    everybody, nulls = evidence.everybody, evidence.nulls
    n1, strata = len(evidence.members.ids), everybody.strata

    def sides(values: Tensor) -> Scores:
        return Scores(values[:n1], values[n1:], strata[:n1], strata[n1:])

    own = score(evidence.release, everybody)
    if nulls is None:
        return Scored(sides(own), None)
    return Scored(sides(own), sides(calibrate(own, nulls.unseen(score, everybody), strata)))


def attack(
    audit: str,
    name: str,
    scores: Callable[[Evidence], Scored],
    evidence: Evidence,
    policy: Policy,
    rng: Generator,
) -> Finding:
    """Attacks with these scores, against the null releases if there are any."""
    return judge(audit, name, scores(evidence), policy, rng)


@dataclass(frozen=True)
class Judged:
    """What the scores of one attacker show.

    Attributes:
        value: the AUC.
        low: its lower bound.
        high: its upper bound.
        p: chance of such an AUC if nothing leaks.
        p_limit: chance of such scores if the release leaks exactly up to a limit.
        below: whether all upper bounds are below their limits.
        risk: the residual risk, or that it cannot be assessed.
        text: what the scores say of the most exposed patients.
    """

    value: float
    low: float
    high: float
    p: float
    p_limit: float
    below: bool
    risk: dict[str, float] | str
    text: str


def judge(audit: str, name: str, scored: Scored, policy: Policy, rng: Generator) -> Finding:
    """Returns what an attack with these scores means: the stronger evidence decides.

    PASS if, for both attackers, the upper bounds of the AUC and, with enough controls, of the
    residual risk are below the policy's limits. FAIL if for one attacker a lower bound is above its
    limit, or if the evidence of a leak is strong (p < .01) and the estimate is above the limit;
    Holm's correction accounts for two attackers. Membership is drawn by coin, so the scores of
    either are a fair test. Without null releases, scores can fail but never pass.
    """
    several = scored.by_attacker
    if not all(
        x.members.isfinite().all() and x.controls.isfinite().all() for x in several.values()
    ):
        text = "The attack gave no score for some patients, so it has no result."
        return _invalid(audit, name, policy, text)
    if not scored.raw.by_stratum():
        text = "No class has both members and controls, so there is nobody to compare."
        return _invalid(audit, name, policy, text)
    rows = {who: judged(scores, policy, rng) for who, scores in several.items()}
    p = holm([row.p for row in rows.values()])
    p_limit = holm([row.p_limit for row in rows.values()])
    n1, n0 = len(scored.raw.members), len(scored.raw.controls)
    failed = [
        who
        for who, one, limit in zip(rows, p, p_limit, strict=True)
        if limit <= 0.05 or (one < 0.01 and rows[who].value > policy.largest_auc)
    ]
    calibrated = scored.calibrated is not None
    if failed:
        verdict, stronger = Verdict.FAIL, max(failed, key=lambda who: rows[who].value)
    else:
        below = all(row.below for row in rows.values())
        passed = below and calibrated and n0 >= policy.least_controls
        verdict = Verdict.PASS if passed else Verdict.INCONCLUSIVE
        stronger = max(rows, key=lambda who: rows[who].high)
    worst, scores = rows[stronger], several[stronger]
    return Finding(
        audit=audit,
        name=name,
        verdict=verdict,
        value=worst.value,
        low=worst.low,
        high=worst.high,
        limit=policy.largest_auc,
        chance=0.5,
        p=min(p),
        p_limit=min(p_limit),
        text=_text(worst, min(p), policy, verdict, calibrated=calibrated),
        details={
            "members": n1,
            "controls": n0,
            "null releases": calibrated,
            "attackers": [
                {
                    "knows": ATTACKERS[who],
                    "auc": row.value,
                    "low": row.low,
                    "high": row.high,
                    "p": row.p,
                }
                for who, row in rows.items()
            ],
            "standard error without leakage": null_se(scored.raw.sizes),
            "members caught, by share of controls caught": caught(scores),
            "epsilon": {"low": epsilon_low(scores), "ceiling": ceiling(n1, n0), "delta": DELTA},
            "residual risk": worst.risk,
        },
    )


def judged(scores: Scores, policy: Policy, rng: Generator) -> Judged:
    """Returns what the scores of one attacker show."""
    bounds = AucBounds(scores, rng)
    value, low, high = auc(scores), bounds.low(), bounds.high()
    p, n0 = permutation_p(scores, rng), len(scores.controls)
    p_limit, below = exceedance_p(bounds.low, policy.largest_auc), high < policy.largest_auc
    if n0 < policy.least_controls_tail:
        text = (
            f" With {n0} controls the most exposed patients are not assessable "
            f"({policy.least_controls_tail} controls are needed)."
        )
        return Judged(value, low, high, p, p_limit, below, NOT_ASSESSABLE, text)
    most = tail(scores, FPR)
    risk_low, risk_high = most.risk_bounds()
    p_risk = exceedance_p(lambda level: most.risk_bounds(level)[0], policy.residual_risk)
    risk = {
        "value": most.risk,
        "low": risk_low,
        "high": risk_high,
        "limit": policy.residual_risk,
        "caught members": most.tpr,
        "caught controls": most.fpr,
    }
    text = (
        f" At 5 % false alarms it exposes {max(0.0, most.risk):.0%} of patients beyond "
        f"chance (at most {max(0.0, risk_high):.0%}; limit {policy.residual_risk:.0%})."
    )
    # Two chances to fail: Bonferroni.
    p_limit = min(1.0, 2 * min(p_limit, p_risk))
    below &= risk_high < policy.residual_risk
    return Judged(value, low, high, p, p_limit, below, risk, text)


def _text(row: Judged, p: float, policy: Policy, verdict: Verdict, *, calibrated: bool) -> str:
    limit = f"chance 50 %, limit {policy.largest_auc:.0%}"
    if verdict is Verdict.FAIL:
        found = (
            f"This release leaks: shown one member and one control, the attack recognises the "
            f"member {row.value:.0%} of the time (at least {row.low:.0%}; {limit}; p = {p:.4f})."
        )
    else:
        found = (
            "Shown one member and one control, the attack picks the member "
            f"{row.value:.0%} of the time (at most {row.high:.0%}; {limit})."
        )
    open_ = "" if calibrated else " Without null releases this attack cannot pass."
    return found + row.text + open_


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
