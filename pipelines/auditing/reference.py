"""Films of other people, from a folder that the user names, to make null releases of."""

import hashlib
from collections.abc import Generator
from pathlib import Path

from medidd.dicom.errors import CohortError
from medidd.dicom.folder.cohort import Cohort
from medidd.dicom.folder.names import sought
from medidd.dicom.labels.labelling import Labelling
from pipelines.learning.opened_run import OpenedRun
from pipelines.run.errors import Exit, Stop
from pipelines.run.films import Studies, read_films
from pipelines.run.patients import films_of
from pipelines.run.progress import Progress
from privacy.release import Films


def read_reference(
    opened: OpenedRun, folder: Path, labels: Path | None
) -> Generator[Progress, None, Films]:
    """Reads the films of a folder at the run's size; the generator's value is these films.

    The labels are read as in the run, so that the classes mean the same.

    Raises:
        Stop: they make no cohort, have other classes, or show people of the run's own cohort.
    """
    frozen, own = opened.frozen, opened.patients.cohort
    place = opened.run.private / "reference"
    studies = Studies(
        folder,
        Labelling(labels, **frozen.labelling),
        size=frozen.size,
        unit=own.unit,
        max_refused=frozen.max_refused,
        reading=frozen.reading,
    )
    try:
        yield from read_films(place, studies, stage="read reference")
    except Stop as stop:
        raise Stop(str(stop).replace("--labels", "--reference-labels"), Exit(stop.code)) from None
    try:
        cohort = Cohort.open(place)
    except CohortError as error:
        raise Stop(str(error), Exit.DATA) from None
    if cohort.classes != own.classes:
        missing, strange = (
            set(own.classes) - {*cohort.classes},
            {*cohort.classes} - {*own.classes},
        )
        raise Stop(
            f"{folder}: its classes are not those of the run ({', '.join(own.classes)}): "
            f"{len(missing)} of these are missing, and {len(strange)} are different; give the same "
            "names with --reference-labels",
            Exit.DATA,
        )
    if shared := _shared(own, cohort):
        raise Stop(
            f"{folder}: {shared} of its patients are in the run's own cohort, by identifier or by "
            "equal pixels; null releases must be made of other people: remove these patients",
            Exit.DATA,
        )
    return films_of(cohort, range(len(cohort.labels)))


def _shared(own: Cohort, other: Cohort) -> int:
    """Returns how many patients of ``other`` share a keyed hash or a film with ``own``."""
    names = sought(name for film in own.names for name in film)
    pixels = {hashlib.sha256(image.tobytes()).digest() for image in own.images}
    return len(
        {
            str(patient)
            for patient, known, image in zip(other.patients, other.names, other.images, strict=True)
            if names & known or hashlib.sha256(image.tobytes()).digest() in pixels
        }
    )
