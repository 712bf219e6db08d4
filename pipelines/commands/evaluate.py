"""Evaluates a finished run with other architectures, on other films, and beside its baselines."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from medidd.dicom.folder.cohort import Cohort
from pipelines.evaluation.elsewhere import Abroad, Elsewhere, read_elsewhere
from pipelines.evaluation.networks_ahead import networks_ahead
from pipelines.evaluation.ranking import ranking
from pipelines.evaluation.utility import utility
from pipelines.learning.opened_run import OpenedRun, open_run
from pipelines.models.shift import allowance, shift
from pipelines.models.shift_warnings import facts, unlike
from pipelines.reports.evaluation import Found, answer
from pipelines.run import remarks
from pipelines.run.progress import Answer, Progress
from pipelines.run.release_file import Release, read_release
from pipelines.run.store import Json, require, write_json
from pipelines.workers.helping import TWO, Workers


@dataclass(frozen=True)
class Evaluate:
    """Evaluate a finished run.

    Attributes:
        run: its folder.
        networks: the architectures; empty for the usual one.
        abroad: films of another hospital to test on, too; None for none.
        ranking: whether the release is compared with its baselines under equal conditions.
        workers: who trains the networks.
    """

    run: Path
    networks: tuple[str, ...] = ()
    abroad: Abroad | None = None
    ranking: bool = False
    workers: Workers = TWO

    @property
    def chosen(self) -> tuple[str, ...]:
        """The architectures. A ranking trains about three times as many networks as a table."""
        return self.networks or (("convnet",) if self.ranking else ("resnet18",))


def run(job: Evaluate) -> Generator[Progress, None, Answer]:
    """Trains and tests; the generator's value is the answer.

    The metrics are stored in ``metrics-NETWORK.json``, those on other films in
    ``metrics-NETWORK-COHORT.json``, the comparison in ``ranking-NETWORK.json``.

    Raises:
        Stop: there is no finished run, its films were deleted, or the other films cannot be used.
    """
    opened = open_run(require(job.run))
    opened.frozen.settle()
    release, there = read_release(opened.run), None
    if job.abroad is not None:
        there = yield from read_elsewhere(opened, job.abroad)
    tables, rankings = {}, {}
    with networks_ahead(
        opened.run,
        job.workers,
        job.chosen,
        elsewhere=there.name if there else "",
        ranking=job.ranking,
    ):
        for name in job.chosen:
            stage = "train networks" if len(job.chosen) == 1 else f"train {name}"
            rows = yield from utility(opened, release, name, elsewhere=there, stage=stage)
            tables[name] = _stored(opened, name, rows, there)
        if job.ranking:
            for name in job.chosen:
                rankings[name] = yield from ranking(opened, release, name)
                write_json(opened.run.path / f"ranking-{name}.json", rankings[name])
    found = Found(
        tables,
        rankings,
        release.facts,
        len(opened.patients.test.ids),
        _about(there, release) if there else None,
    )
    return answer(found)


def _stored(opened: OpenedRun, name: str, rows: Json, there: Elsewhere | None) -> Json:
    """Stores the metrics; returns them, those on other films under "elsewhere"."""
    metrics = {row: value["metrics"] for row, value in rows.items()}
    write_json(opened.run.path / f"metrics-{name}.json", metrics)
    if there is None:
        return {"metrics": metrics}
    others = {row: value["elsewhere"]["metrics"] for row, value in rows.items()}
    write_json(opened.run.path / f"metrics-{name}-{there.name}.json", others)
    return {"metrics": metrics, "elsewhere": others}


def _about(there: Elsewhere, release: Release) -> Json:
    """Returns what is to be said of the other films."""
    most = allowance([release.facts["guarantee"]])
    seen = shift(release.display, release.labels, there.films.images, most)
    return {
        "cohort": there.name,
        "films": len(there.films),
        "patients": len(there.films.ids),
        "members left out": there.members,
        "refused": there.cohort.refused,
        "shift": facts(seen),
        "warnings": [*unlike(seen), *_odd(there.cohort)],
    }


def _odd(cohort: Cohort) -> list[str]:
    nobody = cohort.unnamed if not cohort.tells_patients_apart else 0
    said = f"note: {nobody} films elsewhere have no PatientID; each study counts as one patient"
    return [
        *remarks.of_warnings(cohort.warned),
        *remarks.of_labels(cohort.refused, cohort.unknown_keys, cohort.classes),
        *remarks.of_evidence(cohort.evidence),
        *([said] if nobody else []),
    ]
