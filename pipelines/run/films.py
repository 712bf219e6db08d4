"""The films of a cohort: read from a folder, or taken from an earlier reading.

This loads neither torch nor monai, so a large ingest needs little memory.
"""

import os
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from medidd.dicom.errors import CohortError, TooManyRefused
from medidd.dicom.folder.cohort import Cohort, ingest
from medidd.dicom.folder.patients import Unit
from medidd.dicom.header.identifiers import keyed
from medidd.dicom.labels.labelling import USUAL, Labelling
from medidd.dicom.reading import DEFAULT, Reading
from pipelines.run.errors import Exit, Stop
from pipelines.run.installation import key
from pipelines.run.progress import Progress
from pipelines.run.remarks import alike, unmatched
from pipelines.run.store import Json, Run


@dataclass(frozen=True)
class Studies:
    """A folder of DICOM studies or of pictures, and how medidd makes a cohort of it.

    Attributes:
        folder: the folder.
        labels: where the labels are and how they are read.
        size: height and width in pixels.
        unit: what counts as one patient, "patient", "study" or "image".
        max_refused: refused files allowed per usable film.
        reading: how films are read.
        strict: whether contradictions about whose film it is are an error.

    Raises:
        ValueError: the unit is a study, but pictures name none.
    """

    folder: Path
    labels: Labelling = USUAL
    size: int = 64
    unit: Unit = "patient"
    max_refused: float = 0.2
    reading: Reading = DEFAULT
    strict: bool = False

    def __post_init__(self) -> None:
        if self.reading.files == "pictures" and self.unit == "study":
            raise ValueError("pictures name no study; use patient, or image if no patient has two")

    def asked(self) -> Json:
        """Returns everything that decides the cohort, and nothing that names a patient.

        ``strict`` decides only whether there is one.
        """
        return {
            "source": source_of(
                key(),
                self.folder,
                self.labels.table,
                *filter(None, (self.labels.splits, self.labels.regions)),
            ),
            "labelling": self.labels.choices(),
            "size": self.size,
            "unit": self.unit,
            "max_refused": self.max_refused,
            "reading": self.reading.to_json(),
        }


def read_films(
    place: Path,
    studies: Studies,
    *,
    refused_list: Path | None = None,
    stage: str = "read films",
) -> Generator[Progress, None, None]:
    """Reads the films of a folder into ``place``, as a cohort.

    Raises:
        Stop: they make no cohort.
    """
    steps = ingest(
        studies.folder,
        studies.labels,
        size=studies.size,
        folder=place,
        key=key(),
        max_refused=studies.max_refused,
        unit=studies.unit,
        reading=studies.reading,
        refused_list=refused_list,
        strict=studies.strict,
    )
    try:
        for done, total in steps:
            yield Progress(stage, done, total)
        made = Cohort.open(place)
    except TooManyRefused as error:
        raise Stop(str(error), Exit.REFUSED_FILES) from None
    except CohortError as error:
        raise Stop(str(error), Exit.DATA) from None
    for note in (unmatched(made.refused, made.unknown_keys), alike(made.classes)):
        if note:
            yield Progress(stage, total, total, note)


def link_films(place: Path, made: Path) -> None:
    """Makes ``place`` the same cohort as ``made``, without a copy of its films where that can be.

    Nothing changes a file of a cohort that is whole, so two runs can have the same ones; each
    deletes its own names.
    """
    part = place.with_name(f".{place.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        shutil.copytree(made, part, copy_function=os.link)
    except OSError:  # another file system, or one without links
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(made, part)
    part.rename(place)


def open_cohort(run: Run) -> Cohort:
    """Returns the run's cohort.

    Raises:
        Stop: the cohort is missing, unfinished, damaged or deleted.
    """
    if run.purged.exists():
        raise Stop(
            f"{run.path}: medidd cache purge deleted its films, so this run can no longer be "
            "audited, resumed or exported; its report and audit stay; medidd distill with another "
            "--out makes the run again",
            Exit.DATA,
        )
    try:
        return Cohort.open(run.cohort)
    except CohortError as error:
        raise Stop(str(error), Exit.DATA) from None


def source_of(secret: bytes, folder: Path, labels: Path | None, *others: Path) -> str:
    """Returns the keyed hash by which a source is recognised.

    Folders may be named after people. The hash shows whether a run continues on the same films. It
    is useless to a person without the secret.

    Args:
        secret: the installation's secret.
        folder: the folder of the films.
        labels: the table of labels.
        others: tables of splits and of regions, as far as there are any.
    """
    more = "".join(f"|{other.resolve()}" for other in others)
    return keyed(secret, f"{folder.resolve()}|{labels.resolve() if labels else ''}{more}")
