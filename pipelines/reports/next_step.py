"""What an audit means for the export: what medidd export does next, in words and as a command."""

from dataclasses import dataclass, replace

from pipelines.run.store import Json
from privacy.decision import Decision, Gate, gate
from privacy.finding import Finding, Verdict
from privacy.policy import Level

_ACCEPT = "(--accept-inconclusive REASON --approver NAME)"


@dataclass(frozen=True)
class NextStep:
    """What can be done with a release now.

    Attributes:
        text: whether medidd export writes it, for people.
        command: the medidd command that comes next, "export" or "audit"; '' if none does by itself.
    """

    text: str
    command: str


def next_step(audit: Json) -> NextStep:
    """Returns what an audit means for the release; the gate decides, as it does for the export.

    Args:
        audit: of a run, as it is stored.
    """
    decision, guaranteed = Decision.from_json(audit), audit["guarantee"] is not None
    findings = [Finding.from_json(finding) for finding in audit["findings"]]
    screened = decision.level is Level.SCREEN
    if screened and decision.verdict is Verdict.INCONCLUSIVE:
        return _SCREENED[guaranteed]
    # An export makes the standard audit first, which takes back nothing that a screening found.
    judged = replace(decision, level=Level.STANDARD) if screened else decision
    needed = gate(judged, findings, guaranteed=guaranteed)
    if needed is Gate.OPEN:
        return _OPEN[decision.verdict is Verdict.PASS]
    return _PERSON[guaranteed] if needed is Gate.PERSON else _CLOSED


_SCREENED = {
    True: NextStep(
        "The screening found nothing that forbids an export. medidd export makes the standard "
        "audit first. The release has a guarantee, so that audit need not be decided.",
        "export",
    ),
    False: NextStep(
        "The screening found nothing that forbids an export, but a screening cannot allow one. Run "
        "medidd audit: the standard audit can allow it.",
        "audit",
    ),
}
"""By whether the release has a guarantee."""

_OPEN = {
    True: NextStep("The release may be exported with medidd export.", "export"),
    False: NextStep(
        "The audits are not decided, but the release has a guarantee, so it may be exported with "
        "medidd export.",
        "export",
    ),
}
"""By whether the audits passed it."""

_PERSON = {
    True: NextStep(
        "medidd refuses to export the release unless a person accepts what the attacks found "
        f"{_ACCEPT}.",
        "",
    ),
    False: NextStep(
        f"medidd refuses to export the release unless a person accepts it {_ACCEPT}.", ""
    ),
}
"""By whether the release has a guarantee."""

_CLOSED = NextStep("medidd refuses to export the release, and nobody can accept it.", "")
