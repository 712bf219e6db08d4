"""Writes the bundle for outsiders, if the audits allow it; otherwise writes nothing."""

import shutil
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pipelines.audit import Audit, identifier_of, passed, sentence
from pipelines.audit import run as run_audit
from pipelines.bundle import SUMS, Files, audit_report, contents, decode, own_words, sums
from pipelines.progress import Progress
from pipelines.stop import Exit, Stop
from pipelines.store import Json, Run, require, write
from pipelines.subject import reopened
from privacy.evidence import Evidence
from privacy.finding import Verdict
from privacy.leaks import leaks
from privacy.manifest import manifest
from privacy.policy import load_policy


@dataclass(frozen=True)
class Export:
    """Export a finished run.

    Attributes:
        run: its folder.
        to: the folder to write, which must not exist or be empty.
    """

    run: Path
    to: Path


def run(job: Export) -> Generator[Progress, None, Path]:
    """Audits if need be and exports; the generator's value is the bundle's folder.

    Raises:
        Stop: any verdict but PASS (code 6), or the folder cannot be written.
    """
    found = require(job.run)
    _require_free(job.to)
    result = passed(found)
    if result is None:
        result = yield from run_audit(Audit(job.run))
    if result["verdict"] != Verdict.PASS.value:
        raise Stop(f"{job.run}: not exported. {sentence(result)}", Exit.AUDIT)
    files = contents(found)
    if refusal := _last_look(found, files, result):
        raise Stop(f"{job.run}: not exported. {refusal}", Exit.AUDIT)
    _write(job.to, finished(files, result))
    return job.to


def _last_look(run: Run, files: Files, audit: Json) -> str:
    """Returns why the files that are about to be written may not leave; '' if they may.

    The two audits that need no statistics are repeated on the final bytes: the files must be those
    that were audited, and no patient may be named in any of them, the audit's report included.
    """
    patients = reopened(run).patients
    audited = Evidence(
        release=decode(files),
        members=patients.members,
        controls=patients.controls,
        outgoing=files,
        manifest=audit["sha256"],
        decode=decode,
        is_identifier=identifier_of(patients),
        own=own_words(run),
    )
    complete = replace(audited, outgoing=finished(files, audit))
    policy, rng = load_policy(), torch.Generator()
    findings = [manifest(audited, policy, rng), leaks(complete, policy, rng)]
    return " ".join(f.text for f in findings if f.verdict is not Verdict.PASS)


def finished(files: Files, audit: Json) -> Files:
    """Returns the files with the audit's report and the check sums."""
    reported = files | audit_report(audit)
    return reported | {SUMS: sums(reported)}


def _require_free(to: Path) -> None:
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise Stop(f"{to}: is there already; name a new folder with --to", Exit.USAGE)


def _write(to: Path, files: Files) -> None:
    """Writes the folder whole or not at all: beside its place first, then moved there."""
    beside = to.with_name(f".{to.name}.part")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        for name, data in files.items():
            write(beside / name, data)
        if to.exists():
            to.rmdir()
        beside.replace(to)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise Stop(
            f"{to}: {error.strerror}; name a folder that can be written with --to", Exit.USAGE
        ) from None
