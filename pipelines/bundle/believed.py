"""An audit that an export may believe, and its entry in the ledger.

A stored verdict is worth nothing by itself. It must be the one of exactly the files that would
leave, follow from its findings, and be the one that was entered in the ledger when it was found.
"""

import hashlib
import shlex
from collections.abc import Sequence

from pipelines.bundle.checksums import hashes
from pipelines.bundle.contents import RELEASE, contents
from pipelines.run import ledger
from pipelines.run.errors import Exit, Stop
from pipelines.run.patients import Patients
from pipelines.run.results import read_audit
from pipelines.run.store import Json, Run, dumped
from privacy.decision import Decision, decide, wording
from privacy.finding import Finding, Verdict
from privacy.policy import Level, Policy

_CAN_PASS = (Level.STANDARD.value, Level.FULL.value)


def decided(
    findings: Sequence[Finding], policy: Policy, level: Level, earlier: ledger.Entry | None
) -> Decision:
    """Returns what findings mean. An export computes it again.

    A later audit may find more, but takes back nothing that an earlier one found in the same files.

    Args:
        findings: of all audits.
        policy: what is required.
        level: how thorough the audits were.
        earlier: the first audit that failed exactly these files by this policy; None if none did.
    """
    decision = decide(findings, policy, level)
    if earlier is None or decision.verdict in (Verdict.FAIL, Verdict.INVALID):
        return decision
    # What files hold weighs more than what attacks find: a person may answer for the latter.
    worst = max(earlier.failed, key=lambda audit: audit.startswith("G") and audit != "G7")
    reason = (
        f"{worst}: An audit at level {earlier.level} on {earlier.date[:10]} failed exactly these "
        "files, and no later audit takes that back; distil again with another --seed."
    )
    return Decision(Verdict.FAIL, level, (reason,))


def beside_earlier(result: Json) -> Json:
    """Returns an audit's result with what an earlier audit of the same files had found.

    Raises:
        Stop: the ledger is damaged or cannot be read.
    """
    findings = [Finding.from_json(finding) for finding in result["findings"]]
    policy, level = Policy.model_validate(result["policy"]), Level(result["level"])
    decision = decided(findings, policy, level, ledger.failure(_judged(result)))
    return result | stated(decision, findings)


def stated(decision: Decision, findings: Sequence[Finding]) -> Json:
    """Returns a decision as the result of an audit states it."""
    return decision.to_json() | {
        "wording": wording(decision, findings),
        "public wording": wording(decision, findings, to=10),
    }


def entry(kind: ledger.Kind, patients: Patients, result: Json) -> ledger.Entry:
    """Returns the ledger entry of an audited release."""
    return ledger.Entry(
        kind=kind,
        release=result["sha256"][RELEASE],
        judged=_judged(result),
        people=ledger.people(patients),
        verdict=result["verdict"],
        level=result["level"],
        failed=tuple(f["audit"] for f in result["findings"] if f["verdict"] == Verdict.FAIL.value),
        accepted=result["accepted"],
        private=result["guarantee"] is not None,
    )


def passed(run: Run, policy: Policy) -> Json | None:
    """Returns the audit of exactly the bytes that would leave now, at level standard or above.

    None if the run has no such audit under this policy. The verdict does not matter.

    Raises:
        Stop: the stored audit is damaged, or contradicts its findings or the ledger (code 6).
    """
    if not run.audit.exists():
        return None
    found = read_audit(run)
    same = found["sha256"] == hashes(contents(run))
    current = found["policy"] == policy.model_dump(mode="json")
    if not (same and current and found["level"] in _CAN_PASS):
        return None
    _require_believable(run, found, policy)
    return found


def _require_believable(run: Run, found: Json, policy: Policy) -> None:
    """Checks that the verdict of an audit follows from its findings, and is that of the ledger.

    Raises:
        Stop: it does not, or is not.
    """
    findings = [Finding.from_json(finding) for finding in found["findings"]]
    decision = decided(findings, policy, Level(found["level"]), ledger.failure(_judged(found)))
    if decision != Decision.from_json(found):
        fault = "its verdict does not follow from its findings"
    elif not ledger.audited(_judged(found), found["level"], found["verdict"]):
        fault = "the ledger of this installation knows no such audit of these files"
    else:
        return
    raise Stop(
        f"{run.audit}: {fault}; audit again with medidd audit {shlex.quote(str(run.path))}",
        Exit.AUDIT,
    )


def _judged(result: Json) -> str:
    """Returns the hash of all that leaves and of the policy that judged it."""
    return hashlib.sha256(dumped([result["sha256"], result["policy"]])).hexdigest()
