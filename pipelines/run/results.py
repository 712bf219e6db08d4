"""What was found out about the release of a run: its metrics and its audit, both sealed.

An export publishes the one and believes the other. The metrics are sealed together with the hash of
the release, because those of other images are worth nothing. The audit lists all hashes itself.
"""

import hashlib
import shlex
from collections.abc import Callable
from pathlib import Path

from pipelines.run.errors import Stop
from pipelines.run.seal import read_sealed, write_sealed
from pipelines.run.store import Json, Run

OF_PATIENTS = "patient_"
"""Begins the names of the metrics of patients, if films were cut; the others are of patches."""


def write_metrics(run: Run, metrics: Json) -> None:
    """Writes the metrics of the release that the run has now."""
    write_sealed(run.metrics, metrics, _about(run))


def read_metrics(run: Run) -> Json:
    """Returns the metrics.

    Raises:
        Stop: they are damaged or changed, or are about other images (code 6).
    """
    return read_sealed(
        run.metrics,
        _about(run),
        "no metrics of these images: repeat the run's medidd distill command with --resume",
    )


def has_metrics(run: Run) -> bool:
    """Tells whether there are metrics of the release that the run has now."""
    try:
        read_metrics(run)
    except Stop:
        return False
    return True


def write_audit(run: Run, result: Json) -> None:
    """Writes the audit."""
    write_sealed(run.audit, result, "audit")


def read_audit(run: Run) -> Json:
    """Returns the audit.

    Raises:
        Stop: it is missing, damaged or changed (code 6).
    """
    again = f"audit again with medidd audit {shlex.quote(str(run.path))}"
    return read_sealed(run.audit, "audit", again)


def kept(path: Path, purpose: str, make: Callable[[], Json]) -> Json:
    """Returns the sealed object at ``path``; makes it if there is none with the right seal."""
    try:
        return read_sealed(path, purpose, "")
    except Stop:
        made = make()
        write_sealed(path, made, purpose)
        return made


def release_hash(run: Run) -> str:
    """Returns the SHA-256 of the release file; '' if there is none yet."""
    return hashlib.sha256(run.release.read_bytes()).hexdigest() if run.release.exists() else ""


def _about(run: Run) -> str:
    return f"metrics of {release_hash(run)}"
