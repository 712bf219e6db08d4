"""Judges exactly the bytes that a run would release."""

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from medidd.dicom.header.identifiers import keyed, tokens_of
from pipelines.auditing.canaries import canary_releases
from pipelines.auditing.encoder import Encoder, read_encoder
from pipelines.auditing.explained_films import explained
from pipelines.auditing.matched_statistics import matched
from pipelines.auditing.null_releases import can_calibrate, null_releases, reference_releases
from pipelines.auditing.policies import read_policy
from pipelines.auditing.redo import made_again, require_possible
from pipelines.auditing.reference import read_reference
from pipelines.bundle.believed import beside_earlier, entry, stated
from pipelines.bundle.checksums import hashes
from pipelines.bundle.contents import contents, decode, own_words
from pipelines.bundle.declared import declared
from pipelines.evaluation.answering_recipients import answering
from pipelines.evaluation.utility import NETWORKS
from pipelines.learning.opened_run import OpenedRun, open_run
from pipelines.reports.internal import FOLDER, write_internal
from pipelines.reports.report import write_report
from pipelines.run import ledger
from pipelines.run.errors import Exit, Stop
from pipelines.run.installation import key
from pipelines.run.patients import Patients
from pipelines.run.progress import Progress, timed
from pipelines.run.release_file import read_release
from pipelines.run.results import write_audit
from pipelines.run.seeds import generator
from pipelines.run.store import Json, Run, require
from pipelines.workers.helping import TWO, Workers
from privacy.decision import Decision, decide
from privacy.evidence import Evidence
from privacy.finding import Finding
from privacy.gates.earlier import audited_before
from privacy.nulls import Nulls
from privacy.policy import Level, Policy, load_policy
from privacy.release import Films
from privacy.suite import audit

CONSTANTS = {"mean": True, "std": True, "levels": True}
"""All constants of the preprocessing; none comes from films (``medidd.data.NORMALIZATION``)."""

DECIMAL = re.compile(r"[+-]?\d+\.\d+(?:[eE][+-]?\d+)?")


@dataclass(frozen=True)
class Audit:
    """Audit a finished run.

    Attributes:
        run: its folder.
        level: "screen", "standard" or "full".
        policy: the user's own policy; None for medidd's.
        reference: folder of other people's films for null releases; None to make them of the run's
            controls.
        reference_labels: table of their labels; None for the usual places.
        encoder: network, as ONNX, that tells whether two films show one person; None if there is
            none.
        redo: make the release again, and compare.
        workers: who makes null releases and planted distillations.
    """

    run: Path
    level: str = "standard"
    policy: Path | None = None
    reference: Path | None = None
    reference_labels: Path | None = None
    encoder: Path | None = None
    redo: bool = False
    workers: Workers = TWO

    def __post_init__(self) -> None:
        if self.reference_labels is not None and self.reference is None:
            raise Stop("--reference-labels: needs --reference; name both", Exit.USAGE)
        if self.reference is not None and self.level == Level.SCREEN.value:
            raise Stop(
                "--reference: is for null releases, and a screening makes none; leave it out, or "
                "use --level standard",
                Exit.USAGE,
            )


def run(job: Audit) -> Generator[Progress, None, Json]:
    """Audits, rewrites ``audit.json`` and the report; the generator's value is the audit.

    Raises:
        Stop: there is no finished run, its films were deleted, or the policy, the reference, the
            encoder or the ledger cannot be used.
    """
    policy, place = read_policy(job.policy), require(job.run)
    return (yield from timed(place, _audited(job, policy, place)))


def _audited(job: Audit, policy: Policy, place: Run) -> Generator[Progress, None, Json]:
    opened = open_run(place)
    opened.frozen.settle()
    ledger.entries()  # finds a damaged ledger before the work, not after it
    encoder = read_encoder(job.encoder, opened.patients.members.images.shape[1:])
    reference = None
    if job.reference is not None:
        reference = yield from read_reference(opened, job.reference, job.reference_labels)
    if job.redo:
        require_possible(opened)
    result = yield from examine(
        opened, Level(job.level), policy, reference, encoder, job.workers, redo=job.redo
    )
    write_report(opened.run, opened.patients, networks=NETWORKS)
    return result


def examine(
    opened: OpenedRun,
    level: Level,
    policy: Policy | None = None,
    reference: Films | None = None,
    encoder: Encoder | None = None,
    workers: Workers = TWO,
    *,
    redo: bool = False,
) -> Generator[Progress, None, Json]:
    """Runs the audits of one level, and enters what they found in the ledger.

    Except for screenings, it also writes a report.

    Args:
        opened: the run.
        level: how thorough.
        policy: what is required; None for medidd's own.
        reference: films of other people for null releases; None for the run's controls.
        encoder: network that tells people apart; None if there is none.
        workers: who makes null releases and planted distillations.
        redo: make the release again, and compare.
    """
    policy = policy or load_policy()
    evidence = yield from _gather(opened, level, policy, reference, encoder, workers)
    if redo:
        evidence = replace(evidence, again=(yield from made_again(opened)))
    yield Progress(f"audit ({level.value})", 0, 1)
    rng = generator(opened.frozen.seed, "audit", level.value)
    result = beside_earlier(judged(evidence, policy, level, rng))
    result |= {"encoder": encoder.sha256 if encoder else None, "guarantee": promised(opened)}
    if level is not Level.SCREEN:
        _report(opened, evidence, policy, result)
    with ledger.locked() as append:
        append(entry("audit", opened.patients, result))
    write_audit(opened.run, result)
    yield Progress(f"audit ({level.value})", 1, 1)
    return result


def _gather(
    opened: OpenedRun,
    level: Level,
    policy: Policy,
    reference: Films | None,
    encoder: Encoder | None,
    workers: Workers,
) -> Generator[Progress, None, Evidence]:
    """Collects everything that the audits look at; a standard audit also makes null releases."""
    run, frozen, recipe = opened.run, opened.frozen, opened.recipe
    nulls = yield from _nulls(opened, level, policy, reference, workers)
    canaries = None
    if level is Level.FULL:
        canaries = yield from canary_releases(opened, workers=workers)
    outgoing, may = contents(run), declared(opened)
    release = decode(outgoing)
    fits = yield from answering(
        opened,
        [release, *(nulls.releases if nulls else ())],
        workers=workers,
        alone=reference is not None,
    )
    return Evidence(
        release=release,
        members=opened.patients.members,
        controls=opened.patients.controls,
        nulls=nulls,
        fits=fits,
        matches=matched(recipe, seed=frozen.seed, device=frozen.device),
        encoder=encoder,
        unit=opened.patients.unit,
        start=recipe.origin,
        explained=explained(opened, release, nulls, reference, canaries),
        outgoing=outgoing,
        manifest=hashes(outgoing),
        decode=decode,
        is_identifier=identifier_of(opened.patients),
        own=own_words(may, release),
        digits=recipe.digits,
        constants=CONSTANTS,
        declared=may,
        earlier=ledger.earlier(opened.patients.cohort),
        canaries=canaries,
        mu=mu_of(opened),
    )


def _report(opened: OpenedRun, evidence: Evidence, policy: Policy, result: Json) -> None:
    """Writes the report that holds films of patients and stays in the hospital."""
    facts = opened.frozen.facts(opened.patients.cohort.classes, {})
    write_internal(
        opened.run.private / FOLDER,
        evidence,
        [Finding.from_json(finding) for finding in result["findings"]],
        Decision.from_json(result),
        policy,
        generator(opened.frozen.seed, "reviewer"),
        about={
            "method": facts["method"],
            "images per class": facts["ipc"],
            "start": facts["start"],
            "seed": facts["seed"],
        },
    )


def _nulls(
    opened: OpenedRun, level: Level, policy: Policy, reference: Films | None, workers: Workers
) -> Generator[Progress, None, Nulls | None]:
    """Makes null releases of the reference, or of the controls if that is useful."""
    if level is Level.SCREEN:
        return None
    if reference is not None:
        return (yield from reference_releases(opened, reference))
    controls, members = opened.patients.controls, opened.patients.members
    if can_calibrate(controls, members, opened.recipe, policy):
        return (yield from null_releases(opened, workers=workers))
    return None


def judged(evidence: Evidence, policy: Policy, level: Level, rng: torch.Generator) -> Json:
    """Returns the results of all audits of a level, as they are stored."""
    findings = audit(evidence, policy, level, rng)
    return stated(decide(findings, policy, level), findings) | {
        "accepted": None,
        "guarantee": None,
        "unit": evidence.unit,
        "null releases": _made_of(evidence),
        "audited before": audited_before(evidence),
        "findings": [finding.to_json() for finding in findings],
        "policy": policy.model_dump(mode="json"),
        "sha256": hashes(evidence.outgoing),
    }


def _made_of(evidence: Evidence) -> str:
    if evidence.nulls is None:
        return "none"
    return "controls" if evidence.nulls.fold_of is not None else "reference"


def promised(opened: OpenedRun) -> Json | None:
    """Returns the guarantee that the release states; None if it has none."""
    return read_release(opened.run).facts["guarantee"]


def mu_of(opened: OpenedRun) -> float | None:
    """Returns what the guarantee claims, as mu; None if there is none."""
    guarantee = promised(opened)
    return None if guarantee is None else float(guarantee["mu"])


def identifier_of(patients: Patients) -> Callable[[str], bool]:
    """Returns a function that tells whether a token is an identifier of the cohort.

    A decimal number is not cut into parts: in parts, the label 0.996 would be the patient 0996.
    """
    secret, known = key(), patients.cohort.tokens

    def is_identifier(token: str) -> bool:
        parts = {token} if DECIMAL.fullmatch(token) else tokens_of(token)
        return any(keyed(secret, part) in known for part in parts)

    return is_identifier


def sentence(result: Json) -> str:
    """Returns the verdict in one line for a terminal, in the words of the report."""
    return f"{result['verdict']}: {result['wording']}"
