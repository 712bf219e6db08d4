"""Films in, a cohort out, and a list of the files that were refused: what a run begins with."""

from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from medidd.dicom.errors import REASONS
from medidd.dicom.folder.cohort import Cohort
from medidd.dicom.folder.gathering import Unit
from medidd.dicom.labels.labelling import USUAL, Labelling
from medidd.dicom.reading import DEFAULT, Reading
from pipelines.commands.answer import Answer
from pipelines.run import remarks
from pipelines.run.errors import Exit, Stop
from pipelines.run.films import open_cohort, read_films, source_of
from pipelines.run.installation import key
from pipelines.run.progress import Progress
from pipelines.run.store import Json, Run, claim


@dataclass(frozen=True)
class Ingest:
    """Make a cohort of a folder of DICOM studies.

    Attributes:
        dicom_dir: the folder.
        out: where the cohort goes.
        labels: where they are and how they are read.
        size: height and width in pixels.
        max_refused: refused files allowed per usable film.
        unit: what counts as one patient, "patient", "study" or "image".
        reading: how films are read.
    """

    dicom_dir: Path
    out: Path
    labels: Labelling = USUAL
    size: int = 32
    max_refused: float = 0.2
    unit: Unit = "patient"
    reading: Reading = DEFAULT

    def asked(self) -> Json:
        """Returns all that decides the cohort, and nothing that names a patient."""
        return {
            "source": source_of(key(), self.dicom_dir, self.labels.table),
            "labelling": self.labels.choices(),
            "size": self.size,
            "unit": self.unit,
            "reading": self.reading.to_json(),
        }


def run(job: Ingest) -> Generator[Progress, None, Answer]:
    """Makes the cohort, or goes on with it; the generator's value is the answer.

    Where too many files are refused, the list of them stays, for it says what is to be mended.

    Raises:
        Stop: the folder gives no cohort.
    """
    place = Run(job.out)
    fresh = claim(place, job.asked(), resume=True)
    try:
        yield from read_films(
            place.cohort,
            job.dicom_dir,
            job.labels,
            size=job.size,
            max_refused=job.max_refused,
            unit=job.unit,
            reading=job.reading,
            refused_list=place.refused,
        )
    except Stop as stop:
        if stop.code == Exit.REFUSED_FILES:
            raise Stop(f"{stop}; which they are stands in {place.refused}", stop.code) from None
        if fresh:
            place.discard()
        raise
    return _answer(place, open_cohort(place))


def _answer(place: Run, cohort: Cohort) -> Answer:
    labels = [cohort.classes[label] for label in cohort.labels.tolist()]
    films = dict(sorted(Counter(labels).items()))
    patients = {
        name: len(set(cohort.patients[cohort.labels == number].tolist()))
        for number, name in enumerate(cohort.classes)
    }
    splits = dict(sorted(Counter(filter(None, cohort.splits.tolist())).items()))
    size = cohort.images.shape[1]
    lines = [
        f"{place.path}: {len(labels)} films of {len(set(cohort.patients.tolist()))} patients, "
        f"{size} px",
        *(f"  {name}: {count} films of {patients[name]} patients" for name, count in films.items()),
        *(f"  {name} split: {count} films" for name, count in splits.items()),
    ]
    if cohort.refused:
        lines.append(f"{sum(cohort.refused.values())} files left out:")
        lines += [f"  {n} {code}: {REASONS[code]}" for code, n in sorted(cohort.refused.items())]
        lines.append(f"which they are stands in {place.refused}, for your eyes only")
    lines += remarks.of_cohort(cohort)
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
    }
    return Answer(lines, value)
