"""The audit's report for outsiders, which leaves with the bundle.

Counts are rounded to tens, metrics to two decimals, and no film is shown: an exact count or one
more digit would be about patients.
"""

import math

from pipelines.reports.external_private import guarantee_report
from pipelines.reports.pages import environment
from pipelines.run.store import Json, dumped
from privacy.policy import Policy
from privacy.statistics.power import power
from privacy.threats import (
    ANALOGY,
    ATTACKERS,
    EDPB,
    HIPAA,
    LIMITS,
    NO_GUARANTEE,
    POWER,
    QUESTIONS,
    WP29,
    covered,
    inside,
    threats,
    untested,
)


def audit_report(audit: Json) -> dict[str, bytes]:
    """Returns the audit's report for outsiders: counts in tens, two decimals, no film."""
    if audit["guarantee"] is not None:
        return guarantee_report(audit)
    policy = Policy.model_validate(audit["policy"])
    ran = [finding["audit"] for finding in audit["findings"] if _assessable(finding)]
    patients = _patients(audit["findings"])
    report = {
        "verdict": audit["verdict"],
        "level": audit["level"],
        "by a policy of their own": policy.is_weaker,
        "wording": audit["public wording"],
        "accepted": audit["accepted"],
        "unit": audit["unit"],
        "null releases": audit["null releases"],
        "audited before": audit["audited before"],
        "patients": patients,
        "patients per image": _per_image(audit["findings"]),
        "findings": [_outside(finding) for finding in audit["findings"]],
        "power": _power(patients, policy),
        "threats": threats(ran),
        "not tested": untested(ran),
        "limits of all audits": list(LIMITS),
        "inside": inside(audit["findings"]),
        "policy": audit["policy"],
        "largest AUC": round(policy.largest_auc, 2),
        "WP29 05/2014": covered(WP29, ran),
        "EDPB 28/2024": covered(EDPB, ran),
        "audited": audit["sha256"],
    }
    page = (
        environment()
        .get_template("audit.html")
        .render(
            report=report,
            before=report["audited before"],
            inside=report["inside"],
            questions=QUESTIONS,
            attackers=ATTACKERS,
            analogy=ANALOGY,
            no_guarantee=NO_GUARANTEE,
            hipaa=HIPAA,
            power_words=POWER,
        )
    )
    return {"audit.json": dumped(report), "audit.html": page.encode()}


def _outside(finding: Json) -> Json:
    """Returns what outsiders see of a finding.

    If an audit has no bounds, its numbers are counts or are about single images. An audit that
    could not be made does not stop an export, and must not look as if it had passed.
    """
    bounded = finding["p_limit"] is not None
    return {
        "audit": finding["audit"],
        "name": finding["name"],
        "verdict": finding["verdict"] if _assessable(finding) else "not assessable",
        "upper bound": _coarse(finding["high"]) if bounded else None,
        "limit": _coarse(finding["limit"]) if bounded else None,
    }


def _assessable(finding: Json) -> bool:
    return bool(finding["details"].get("assessable", True))


def _patients(findings: Json) -> Json:
    """Returns the rounded numbers of members and controls; zeros if no attack counted them."""
    details = (one["details"] for one in findings if "members" in one["details"])
    sizes = next(details, {"members": 0, "controls": 0})
    return {side: round(sizes[side] / 10) * 10 for side in ("members", "controls")}


def _per_image(findings: Json) -> Json | None:
    """Returns how many patients are behind an image: the required number, or more in tens."""
    for one in findings:
        if one["audit"] == "G1" and one["value"] is not None:
            tens, required = int(one["value"] // 10) * 10, round(one["limit"])
            enough = one["value"] >= one["limit"]
            return {"at least": max(tens, required) if enough else tens, "required": required}
    return None


def _power(patients: Json, policy: Policy) -> Json | None:
    """Returns what a cohort of about this size can show; None if there is nothing to say."""
    if not all(patients.values()):
        return None
    could = power(patients["members"], patients["controls"], policy).to_json()
    return {name: _coarse(could[name]) for name in POWER}


def _coarse(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 2)
