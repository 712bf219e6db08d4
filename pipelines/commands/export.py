"""Writes the bundle for outsiders if the audits allow it; otherwise writes nothing."""

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pipelines.auditing.policies import read_policy
from pipelines.bundle.acceptance import (
    CARD,
    OWN_POLICY,
    acceptance,
    require_nameless,
    with_acceptance,
    with_section,
)
from pipelines.bundle.believed import entry, passed
from pipelines.bundle.checksums import SIGNATURE, SUMS, hashes, sums
from pipelines.bundle.contents import (
    RELEASE,
    Files,
    contents,
    decode,
    own_words,
    with_files,
)
from pipelines.bundle.declared import declared
from pipelines.bundle.dicom_files import dicom_files, own_tokens
from pipelines.bundle.signature import sign
from pipelines.commands.audit import Audit, identifier_of, mu_of, sentence
from pipelines.commands.audit import run as run_audit
from pipelines.learning.opened_run import OpenedRun, open_run
from pipelines.learning.promise import require_reserved
from pipelines.reports.external import audit_report
from pipelines.run import ledger
from pipelines.run.errors import Exit, Stop
from pipelines.run.folders import require_free, write_whole
from pipelines.run.progress import Progress
from pipelines.run.release_file import read_release
from pipelines.run.store import Json, require
from privacy.decision import Acceptance, Decision, Gate, gate
from privacy.evidence import Evidence
from privacy.finding import Finding, Verdict
from privacy.gates.contents import contents as only_a_release
from privacy.gates.earlier import earlier_releases
from privacy.gates.leaks import leaks, tokens
from privacy.gates.manifest import manifest
from privacy.policy import Policy


@dataclass(frozen=True)
class Export:
    """Export a finished run.

    Attributes:
        run: its folder.
        to: the folder to write, which must not exist or be empty.
        policy: the user's own policy; None for medidd's.
        reason: why a release that the audits did not decide may leave; None to refuse it.
        approver: who takes responsibility for that.
        dicom: whether to add the images as DICOM files.
        signing: key to sign the check sums with; None for no signature.
    """

    run: Path
    to: Path
    policy: Path | None = None
    reason: str | None = None
    approver: str | None = None
    dicom: bool = False
    signing: Path | None = None


def run(job: Export) -> Generator[Progress, None, Path]:
    """Audits if needed, and exports; the generator's value is the bundle's folder.

    Raises:
        Stop: the verdict does not allow it (code 6), the folder cannot be written, or the key
            cannot sign.
    """
    accepted = acceptance(job.reason, job.approver)
    policy = read_policy(job.policy)
    found = require(job.run)
    require_free(job.to, "--to")
    if job.signing is not None:
        sign(b"", job.signing)  # finds a key that cannot sign before the audit
    ledger.entries()  # finds a damaged ledger before the work, not after it
    opened = open_run(found)
    if accepted is not None:
        require_nameless(accepted, identifier_of(opened.patients))
    result = passed(found, policy)
    if result is None:
        result = yield from run_audit(Audit(job.run, policy=job.policy))
    _require_verdict(job, result, accepted)
    require_reserved(found)
    files = contents(found)
    with ledger.locked() as append:
        made = entry("export", opened.patients, result)
        # A person who answers for a guaranteed release has seen what failed.
        answered = accepted is not None and result["guarantee"] is not None
        if not answered and (failed := ledger.failure(made.judged)):
            raise Stop(
                f"{job.run}: not exported. An audit by this policy failed exactly these files, at "
                f"level {failed.level} on {failed.date}, and no other audit changes that; distil "
                "again with another --seed",
                Exit.AUDIT,
            )
        may = declared(opened)
        more = dicom_files(read_release(found), files[RELEASE]) if job.dicom else {}
        # What a person had to accept about a guaranteed release is about patients: it stays here.
        published = None if answered else accepted
        # With a guarantee, limits of attacks say nothing, and the report names none.
        weaker = policy.is_weaker and result["guarantee"] is None
        leaving = _leaving(job, files, more, result, published, weaker=weaker)
        own = own_words(may, decode(files)) | frozenset(tokens(_added(published, weaker=weaker)))
        if job.dicom:
            own |= own_tokens(read_release(found), files[RELEASE])
        if refusal := _last_look(opened, files, leaving, result["sha256"], own, may, policy):
            raise Stop(f"{job.run}: not exported. {refusal}", Exit.AUDIT)
        if accepted is not None:
            made = made.model_copy(update={"accepted": accepted})
        # Before a byte is written: an export that is stopped after this counts as made.
        number = append(made)
    try:
        write_whole(job.to, leaving, "--to")
    except Stop:
        with ledger.locked() as append:
            append(made.model_copy(update={"kind": "aborted", "aborts": number}))
        raise
    return job.to


def _added(accepted: Acceptance | None, *, weaker: bool) -> str:
    """Returns the words of the card's added sections."""
    return (OWN_POLICY if weaker else "") + (CARD if accepted is not None else "")


def _require_verdict(job: Export, result: Json, accepted: Acceptance | None) -> None:
    """Checks that the verdict lets the release leave, or a person's acceptance if undecided.

    Raises:
        Stop: it does not, or there is nothing to accept.
    """
    decision, guaranteed = Decision.from_json(result), result["guarantee"] is not None
    findings = [Finding.from_json(finding) for finding in result["findings"]]
    needed = gate(decision, findings, guaranteed=guaranteed)
    if needed is Gate.OPEN and accepted is not None:
        why = "it has a guarantee" if guaranteed else "the audits passed it"
        raise Stop(
            f"{job.run}: {why}, so there is nothing to accept; leave out "
            "--accept-inconclusive and --approver",
            Exit.USAGE,
        )
    if needed is Gate.PERSON and accepted is None:
        person = (
            " The release has a guarantee, so this is chance unless the mechanism is broken. Look "
            "at private/audit/reviewer.html, run medidd dp audit, and then a person can accept it "
            "with --accept-inconclusive and --approver."
        )
        raise Stop(
            f"{job.run}: not exported. {sentence(result)}{person if guaranteed else ''}",
            Exit.AUDIT,
        )
    if needed is Gate.CLOSED and accepted is None:
        raise Stop(f"{job.run}: not exported. {sentence(result)}", Exit.AUDIT)
    if needed is Gate.CLOSED:
        raise Stop(
            f"{job.run}: not exported, and nobody can accept {decision.verdict.value}. "
            f"{sentence(result)}",
            Exit.AUDIT,
        )


def _leaving(
    job: Export,
    files: Files,
    more: Files,
    audit: Json,
    accepted: Acceptance | None,
    *,
    weaker: bool,
) -> Files:
    """Returns everything that will be written.

    The audits do not judge the DICOM files, so a run need not be audited again for them. They show
    the audited images and no others; the last check compares every bit.
    """
    if more:
        files = with_files(files, more)
        audit = audit | {"sha256": hashes(files)}
    if weaker:
        files, audit = with_section(files, audit, OWN_POLICY)
    if accepted is not None:
        files, audit = with_acceptance(files, audit, accepted)
    whole = finished(files, audit)
    return whole if job.signing is None else whole | {SIGNATURE: sign(whole[SUMS], job.signing)}


def _last_look(
    opened: OpenedRun,
    files: Files,
    leaving: Files,
    audited: dict[str, str],
    own: frozenset[str],
    may: Json,
    policy: Policy,
) -> str:
    """Returns why the files that will be written may not leave; '' if they may.

    The audits without statistics are repeated on the final bytes, whatever the policy requires. The
    files must be the audited files. What was added since must be an audited image or text. No file
    may name a patient. Nothing from these patients may have been exported since.

    Args:
        opened: the run.
        files: as they were audited.
        leaving: these and what was added since: DICOM files, an acceptance, the audit's report,
            check sums, a signature.
        audited: SHA-256 of each audited file.
        own: words and UIDs in them that do not come from a patient.
        may: what the release file may say of itself.
        policy: what is required.
    """
    patients = opened.patients
    evidence = Evidence(
        release=decode(files),
        members=patients.members,
        controls=patients.controls,
        outgoing=files,
        manifest=audited,
        decode=decode,
        is_identifier=identifier_of(patients),
        own=own,
        declared=may,
        earlier=ledger.earlier(patients.cohort),
        mu=mu_of(opened),
    )
    complete = replace(evidence, outgoing=leaving)
    rng = torch.Generator()
    findings = [
        manifest(evidence, policy, rng),
        earlier_releases(evidence, policy, rng),
        only_a_release(complete, policy, rng),
        leaks(complete, policy, rng),
    ]
    return " ".join(f.text for f in findings if f.verdict is not Verdict.PASS)


def finished(files: Files, audit: Json) -> Files:
    """Returns the files with the audit's report and the check sums."""
    reported = files | audit_report(audit)
    return reported | {SUMS: sums(reported)}
