"""What is read of one run for a comparison: what it has sealed, and which films it is about."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.bundle.contents import RELEASE
from pipelines.learning.job import read_job
from pipelines.learning.opened_run import open_run
from pipelines.run.errors import Exit, Stop
from pipelines.run.progress import seconds_of
from pipelines.run.release_file import Release, read_release
from pipelines.run.results import read_audit, read_metrics, release_hash
from pipelines.run.store import Json, Run, dumped, read_json, require


@dataclass(frozen=True)
class Cohort:
    """The films of a run, as hashes: two runs can be compared if these are the same.

    The size of the images is no part of it: a comparison may be about sizes.

    Attributes:
        patients: hash of all patients.
        tested: hash of the patients that classifiers were tested on.
        films: hash of whose films there are, with their labels and splits; '' if they were deleted.
    """

    patients: str
    tested: str
    films: str


@dataclass(frozen=True, eq=False)
class Compared:
    """A finished run.

    Attributes:
        run: its folder.
        release: what it would release.
        sha256: of the release file.
        metrics: how well networks perform that are trained on the release, and on baselines.
        audit: what the audits found in the release.
        cohort: its films.
        labelling: how labels were read, and what counts as one patient.
        seconds: wall time of each stage.
    """

    run: Run
    release: Release
    sha256: str
    metrics: Json
    audit: Json
    cohort: Cohort
    labelling: Json
    seconds: Mapping[str, float]

    @property
    def facts(self) -> Json:
        """What the release says of itself; it is sealed with the metrics."""
        return self.release.facts

    @property
    def size(self) -> int:
        """Height and width of the images in pixels."""
        return self.release.levels.shape[-1]

    @property
    def epsilon(self) -> float | None:
        """Of the guarantee; None if there is none."""
        guarantee = self.facts["guarantee"]
        return None if guarantee is None else float(guarantee["epsilon"])

    @property
    def bytes(self) -> int:
        """Bytes of the release file."""
        return self.run.release.stat().st_size


def compared(run: Run) -> Compared:
    """Returns what a comparison says of the run.

    Raises:
        Stop: it is not finished, or its metrics, its audit or its films are damaged.
    """
    require(run.path)
    frozen = read_job(run)
    metrics, audit = read_metrics(run), read_audit(run)  # first, for they know the release's bytes
    found = release_hash(run)
    if audit["sha256"].get(RELEASE) != found:
        raise Stop(
            f"{run.audit}: is about other images than the run has; audit again with medidd audit",
            Exit.AUDIT,
        )
    return Compared(
        run=run,
        release=read_release(run),
        sha256=found,
        metrics=metrics,
        audit=audit,
        cohort=_cohort(run),
        labelling={"unit": frozen.unit, "labelling": dict(frozen.labelling)},
        seconds=seconds_of(run),
    )


def _cohort(run: Run) -> Cohort:
    if run.purged.exists():  # who was held out is still known
        roles, films = _held_out(run), ""
    else:
        opened = open_run(run)
        roles, seen = opened.patients.roles, opened.patients.cohort
        rows = Counter(zip(seen.patients, seen.labels.tolist(), seen.splits, strict=True))
        films = _hash(sorted([*map(str, row), times] for row, times in rows.items()))
    role = "test" if "test" in roles.values() else "control"
    tested = [patient for patient, own in roles.items() if own == role]
    return Cohort(_hash(sorted(roles)), _hash(sorted(tested)), films)


def _held_out(run: Run) -> Mapping[str, str]:
    try:
        return dict(read_json(run.ledger))
    except (OSError, ValueError, TypeError, RecursionError):
        raise Stop(
            f"{run.ledger}: damaged; make the run again with medidd distill", Exit.AUDIT
        ) from None


def _hash(value: Sequence[Json]) -> str:
    return hashlib.sha256(dumped(value)).hexdigest()
