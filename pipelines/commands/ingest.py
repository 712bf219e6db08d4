"""Makes a cohort of films, and a list of the refused files: the first part of a run."""

from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from medidd.dicom.folder.cohort import Cohort
from medidd.dicom.storage import COHORT
from pipelines.run import remarks
from pipelines.run.errors import Exit, Stop
from pipelines.run.films import Studies, open_cohort, read_films
from pipelines.run.progress import Answer, Progress, seconds_of, spoken, timed
from pipelines.run.store import Json, Run, claim


@dataclass(frozen=True)
class Ingest:
    """Make a cohort of a folder of DICOM studies.

    Attributes:
        studies: the folder, and how its films are read.
        out: folder of the cohort.
    """

    studies: Studies
    out: Path

    def asked(self) -> Json:
        """Returns everything that decides the cohort; ``max_refused`` may differ the next time."""
        return {k: value for k, value in self.studies.asked().items() if k != "max_refused"}


def run(job: Ingest) -> Generator[Progress, None, Answer]:
    """Makes the cohort, or continues it; the generator's value is the answer.

    If too many files are refused, their list stays, because it says what to fix. The folder is then
    free for other options.

    Raises:
        Stop: the folder gives no cohort.
    """
    place = Run(job.out)
    yield from timed(place, _read(job, place))
    return _answer(place, open_cohort(place))


def _read(job: Ingest, place: Run) -> Generator[Progress, None, None]:
    fresh = claim(place, job.asked(), resume=True)
    try:
        yield from read_films(place.cohort, job.studies, refused_list=place.refused)
    except Stop as stop:
        refused = stop.code == Exit.REFUSED_FILES
        if fresh and not refused:
            place.discard()
        elif not (place.cohort / COHORT).exists():
            place.end(job.asked())
        if refused:
            raise Stop(f"{stop}; their list is in {place.refused}", stop.code) from None
        raise


def _answer(place: Run, cohort: Cohort) -> Answer:
    labels = [cohort.classes[label] for label in cohort.labels.tolist()]
    films = dict(sorted(Counter(labels).items()))
    patients = {
        name: len(set(cohort.patients[cohort.labels == number].tolist()))
        for number, name in enumerate(cohort.classes)
    }
    splits = dict(sorted(Counter(filter(None, cohort.splits.tolist())).items()))
    size = cohort.images.shape[1]
    what = "patches" if len(cohort.films) else "films"
    lines = [
        f"{place.path}: {len(labels)} {what} of {len(set(cohort.patients.tolist()))} patients, "
        f"{size} px",
        *(
            f"  {name}: {count} {what} of {patients[name]} patients"
            for name, count in films.items()
        ),
        *(f"  {name} split: {count} {what}" for name, count in splits.items()),
    ]
    if cohort.refused:
        lines += remarks.of_refused(cohort.refused)
        lines.append(f"their list is in {place.refused}; do not share it")
    lines += remarks.of_cohort(cohort)
    stages = seconds_of(place)
    lines += spoken(stages)
    value = {
        "cohort": str(place.path),
        "films": films,
        "patients": patients,
        "splits": splits,
        "size": size,
        "refused": cohort.refused,
        "refused_list": str(place.refused) if cohort.refused else None,
        "warned": cohort.warned,
        "unknown_keys": cohort.unknown_keys,
        "evidence": cohort.evidence,
        "stages": stages,
    }
    return Answer(lines, value)
