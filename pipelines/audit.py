"""Judges exactly the bytes that a run would release."""

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import torch

from medidd.dicom.identifiers import keyed, tokens_of
from pipelines.bundle import contents, decode, hashes, own_words
from pipelines.installation import key
from pipelines.nulls import can_calibrate, null_releases
from pipelines.patients import Patients
from pipelines.progress import Progress
from pipelines.recipients import recipients
from pipelines.report import write_report
from pipelines.seeds import generator
from pipelines.store import Json, Run, read_json, require, write_json
from pipelines.subject import Subject, reopened
from privacy.evidence import Evidence
from privacy.gate import decide, wording
from privacy.policy import Level, Policy, load_policy
from privacy.suite import audit

DECIMAL = re.compile(r"[+-]?\d+\.\d+(?:[eE][+-]?\d+)?")


@dataclass(frozen=True)
class Audit:
    """Audit a finished run.

    Attributes:
        run: its folder.
        level: "screen" or "standard".
    """

    run: Path
    level: str = "standard"


def run(job: Audit) -> Generator[Progress, None, Json]:
    """Audits, rewrites ``audit.json`` and the report; the generator's value is the audit.

    Raises:
        Stop: there is no finished run, or its films are gone.
    """
    subject = reopened(require(job.run))
    result = yield from examine(subject, Level(job.level))
    write_report(subject.run, subject.patients)
    return result


def examine(subject: Subject, level: Level) -> Generator[Progress, None, Json]:
    """Runs the audits of one level and writes ``audit.json``."""
    policy = load_policy()
    evidence = yield from _gather(subject, level, policy)
    yield Progress(f"audit ({level.value})", 0, 1)
    result = judged(evidence, policy, level, generator(subject.frozen.seed, "audit", level.value))
    write_json(subject.run.audit, result)
    yield Progress(f"audit ({level.value})", 1, 1)
    return result


def _gather(subject: Subject, level: Level, policy: Policy) -> Generator[Progress, None, Evidence]:
    """Collects, and for a standard audit makes, all that the audits look at."""
    run, frozen, recipe = subject.run, subject.frozen, subject.recipe
    members, controls = subject.patients.members, subject.patients.controls
    nulls = None
    if level is not Level.SCREEN and can_calibrate(controls, members, recipe, policy):
        nulls = yield from null_releases(subject)
    outgoing = contents(run)
    return Evidence(
        release=decode(outgoing),
        members=members,
        controls=controls,
        nulls=nulls,
        fits=recipients(recipe, seed=frozen.seed, device=frozen.device),
        unit="patient",
        start=recipe.start,
        outgoing=outgoing,
        manifest=hashes(outgoing),
        decode=decode,
        is_identifier=identifier_of(subject.patients),
        own=own_words(run),
    )


def judged(evidence: Evidence, policy: Policy, level: Level, rng: torch.Generator) -> Json:
    """Returns what all audits of a level say, as it is written down."""
    findings = audit(evidence, policy, level, rng)
    decision = decide(findings, policy, level)
    return {
        "verdict": decision.verdict.value,
        "level": level.value,
        "reasons": list(decision.reasons),
        "wording": wording(decision, findings),
        "public wording": wording(decision, findings, to=10),
        "findings": [finding.to_json() for finding in findings],
        "policy": policy.model_dump(mode="json"),
        "sha256": hashes(evidence.outgoing),
    }


def passed(run: Run) -> Json | None:
    """Returns the audit of exactly the bytes that would leave now, at level standard or above.

    None where the run has no such audit, whatever its verdict.
    """
    if not run.audit.exists():
        return None
    found = read_json(run.audit)
    same = found["sha256"] == hashes(contents(run))
    current = found["policy"] == load_policy().model_dump(mode="json")
    return found if same and current and found["level"] != Level.SCREEN.value else None


def identifier_of(patients: Patients) -> Callable[[str], bool]:
    """Returns what tells whether a token is an identifier of the cohort.

    A decimal number is taken as it stands: cut into parts, the label 0.996 would be the patient
    0996.
    """
    secret, known = key(), patients.cohort.tokens

    def is_identifier(token: str) -> bool:
        parts = {token} if DECIMAL.fullmatch(token) else tokens_of(token)
        return any(keyed(secret, part) in known for part in parts)

    return is_identifier


def sentence(result: Json) -> str:
    """Returns the verdict in one line for a terminal, in the words of the report."""
    return f"{result['verdict']}: {result['wording']}"
