"""The internal audit report: everything that was found, with films of patients. It never leaves.

It uses only what the audits look at and report, so it works for any release.

FOLDER/
    report.html         the findings with pictures: one file, no scripts, nothing loaded
    report.json         the same as numbers
    reviewer.html       released images with films, for a reviewer who does not know whose they are
    reviewer-key.json   whose films they are
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from torch import Generator

from pipelines.learning.job import versions
from pipelines.reports.attack_figures import bars, curve, histogram, roc
from pipelines.reports.pages import environment
from pipelines.reports.reviewer import Window, window_of, write_sheet
from pipelines.run.store import Json, dumped, write
from privacy.attacks import distance, membership, tracing, unmixing
from privacy.attacks.attack import Scored
from privacy.attacks.unmixing import FITS, Shares
from privacy.decision import Decision, wording
from privacy.evidence import Earlier, Evidence
from privacy.finding import Finding, Verdict
from privacy.gates.earlier import audited_before
from privacy.policy import Policy
from privacy.release import Films, Release
from privacy.statistics.power import power
from privacy.threats import ANALOGY, LIMITS, POWER, QUESTIONS, inside, untested

Attack = Callable[[Evidence], Scored]

ATTACKS: dict[str, Attack] = {
    "A1": tracing.scores,
    "A2": membership.scores,
    "A3": distance.scores,
}
"""The attacks that score patients, by audit."""

FOLDER, PAGE = "audit", "report.html"
"""The report's folder in the private folder of a run, and its page."""


def write_internal(
    folder: Path,
    evidence: Evidence,
    findings: Sequence[Finding],
    decision: Decision,
    policy: Policy,
    rng: Generator,
    *,
    attacks: Mapping[str, Attack] = ATTACKS,
    shares: Callable[[Evidence], Shares] = unmixing.shares,
    about: Mapping[str, Json] | None = None,
) -> None:
    """Writes the report and the reviewer's sheet, readable by the owner alone.

    Args:
        folder: where to write.
        evidence: what was judged; the same object, so that no attack is made twice.
        findings: what the audits found.
        decision: what follows from the findings.
        policy: the policy of that decision.
        rng: shuffles the reviewer's sheet.
        attacks: functions that give the patients' scores.
        shares: function that gives the members' shares in each released image.
        about: more facts about the release, by name.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    facts = _facts(evidence, findings, decision, policy) | {"about": dict(about or {})}
    numbers, plots = _attacks(evidence, findings, policy, attacks)
    mixed = _unmixing(evidence, findings, shares)
    page = (
        environment()
        .get_template("internal.html")
        .render(
            facts=facts,
            before=facts["audited before"],
            attacks=plots,
            mixed=mixed,
            bars="" if mixed["why"] else _bars(mixed),
            gallery=_gallery(evidence),
            questions=QUESTIONS,
            power_words=POWER,
            limits=LIMITS,
            inside=facts["inside"],
            analogy=ANALOGY,
            number=number,
        )
    )
    sheet, key = write_sheet(evidence, rng)
    write(folder / PAGE, page.encode())
    write(folder / "report.json", dumped(finite(facts | {"attacks": numbers, "unmixing": mixed})))
    write(folder / "reviewer.html", sheet)
    write(folder / "reviewer-key.json", dumped(key))


def _facts(
    evidence: Evidence, findings: Sequence[Finding], decision: Decision, policy: Policy
) -> Json:
    """Returns the words and numbers of the report."""
    derived = {
        "largest AUC": policy.largest_auc,
        "largest distance of scores, in standard deviations": policy.largest_mu,
        "patients behind an image": policy.cell_size,
    }
    return {
        **decision.to_json(),
        "wording": wording(decision, findings),
        "members": _counted(evidence.members),
        "controls": _counted(evidence.controls),
        "images": len(evidence.release),
        "nulls": len(evidence.nulls.releases) if evidence.nulls else 0,
        "unit": evidence.unit,
        "start": evidence.start,
        "constants": None if evidence.constants is None else dict(evidence.constants),
        "findings": [asdict(finding) | {"verdict": str(finding.verdict)} for finding in findings],
        "not tested": untested(
            finding.audit for finding in findings if finding.details.get("assessable", True)
        ),
        "inside": inside(finding.to_json() for finding in findings),
        "power": power(len(evidence.members.ids), len(evidence.controls.ids), policy).to_json(),
        "groups": _groups(findings),
        "policy": policy.model_dump(mode="json"),
        "derived": derived,
        "ledger": _ledger(evidence),
        "audited before": audited_before(evidence),
        "environment": versions(),
    }


def _counted(films: Films) -> Json:
    return {"patients": len(films.ids), "films": len(films)}


def _groups(findings: Sequence[Finding]) -> Json:
    """Returns the rows of the audit of subgroups; None if it was not made."""
    return next((one.details["groups"] for one in findings if one.audit == "A7"), None)


def _ledger(evidence: Evidence) -> Json:
    """Returns each earlier release with the patients it shares; None if there is no ledger."""
    if evidence.earlier is None:
        return None
    return [_shared(earlier, evidence) for earlier in evidence.earlier]


def _shared(earlier: Earlier, evidence: Evidence) -> Json:
    return {
        "kind": earlier.kind,
        "verdict": earlier.verdict,
        "release": earlier.release,
        "patients": len(earlier.patients),
        "members now": len(earlier.patients & set(evidence.members.ids)),
        "controls now": len(earlier.patients & set(evidence.controls.ids)),
        "differential privacy": earlier.private,
    }


def _attacks(
    evidence: Evidence,
    findings: Sequence[Finding],
    policy: Policy,
    attacks: Mapping[str, Attack],
) -> tuple[Json, Json]:
    """Returns the numbers and the plots of every attack, or the reason why there are none."""
    found = {finding.audit: finding for finding in findings}
    numbers, plots = {}, []
    for name in sorted({*policy.statistical, *attacks}, key=list(QUESTIONS).index):
        plot: Json = {"audit": name, "name": QUESTIONS[name].name, "why": ""}
        plots.append(plot)
        if name not in found:
            plot["why"] = "This attack was not made."
        elif name not in attacks:
            plot["why"] = "This attack gives patients no score, so there is no plot."
        elif found[name].verdict is Verdict.INVALID:
            plot["why"] = "This attack is not valid, so its scores are not shown."
        else:
            scores = attacks[name](evidence).best_informed
            points = curve(scores)
            calibrated = evidence.nulls is not None
            numbers[name] = {"roc": [asdict(point) for point in points]}
            plot["finding"] = found[name]
            plot["roc"] = roc(points, policy, len(scores.members))
            plot["histogram"] = histogram(scores, calibrated=calibrated)
        if plot["why"]:
            numbers[name] = {"why": plot["why"]}
    return numbers, plots


def _unmixing(
    evidence: Evidence, findings: Sequence[Finding], shares: Callable[[Evidence], Shares]
) -> Json:
    """Returns the members' shares in each released image, or why they are not known."""
    finding = next((one for one in findings if one.audit == "A6"), None)
    if finding is None:
        return {"why": "The audit of mixtures (A6) was not made."}
    found = shares(evidence)
    return {
        "why": "",
        "limit": finding.limit,
        "largest shares": found.top.tolist(),
        "explained": found.explained.tolist(),
        "effective patients": found.patients.tolist(),
    }


def _bars(mixed: Json) -> str:
    said = zip(mixed["explained"], mixed["effective patients"], strict=True)
    names = [
        f"{number}: fits {fit:.0%}, {patients:.1f} patients"
        for number, (fit, patients) in enumerate(said, start=1)
    ]
    fits = [fit >= FITS for fit in mixed["explained"]]
    return bars(names, mixed["largest shares"], fits, mixed["limit"])


def _gallery(evidence: Evidence) -> list[Json]:
    """Returns the release and every null release, as rows of pictures."""
    window = window_of(evidence)
    nulls = evidence.nulls.releases if evidence.nulls else ()
    rows = [("The release", evidence.release)]
    rows += [(f"Null release {number}", null) for number, null in enumerate(nulls, start=1)]
    return [{"name": name, "images": _pictures(release, window)} for name, release in rows]


def _pictures(release: Release, window: Window) -> list[str]:
    return [window.address(image) for image in release.images]


def number(value: Json) -> str:
    """Returns a number as the report shows it; "no number" if it is missing or not finite."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "no number"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.3f}" if abs(value) >= 0.001 else f"{value:.1e}"
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def finite(value: Json) -> Json:
    """Returns JSON in which every number that is not finite is null."""
    if isinstance(value, Mapping):
        return {str(name): finite(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
