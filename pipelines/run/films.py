"""The films of a cohort, read from a folder, or found where they were read before.

Neither torch nor monai is needed for this, and neither is loaded: a large ingest runs in little
memory.
"""

from collections.abc import Generator
from pathlib import Path

from medidd.dicom.errors import CohortError, TooManyRefused
from medidd.dicom.folder.cohort import Cohort, ingest
from medidd.dicom.folder.gathering import Unit
from medidd.dicom.header.identifiers import keyed
from medidd.dicom.labels.labelling import Labelling
from medidd.dicom.reading import Reading
from pipelines.run.errors import Exit, Stop
from pipelines.run.installation import key
from pipelines.run.progress import Progress
from pipelines.run.remarks import unmatched
from pipelines.run.store import Run


def read_films(
    place: Path,
    folder: Path,
    labels: Labelling,
    *,
    size: int,
    max_refused: float,
    unit: Unit,
    reading: Reading,
    refused_list: Path | None = None,
    stage: str = "read films",
) -> Generator[Progress, None, None]:
    """Reads the films of a folder into ``place``, as a cohort.

    Raises:
        Stop: they make none.
    """
    steps = ingest(
        folder,
        labels,
        size=size,
        folder=place,
        key=key(),
        max_refused=max_refused,
        unit=unit,
        reading=reading,
        refused_list=refused_list,
    )
    try:
        for done, total in steps:
            yield Progress(stage, done, total)
        made = Cohort.open(place)
    except TooManyRefused as error:
        raise Stop(str(error), Exit.REFUSED_FILES) from None
    except CohortError as error:
        raise Stop(str(error), Exit.DATA) from None
    if note := unmatched(made.refused, made.unknown_keys):
        yield Progress(stage, total, total, note)


def open_cohort(run: Run) -> Cohort:
    """Returns the run's cohort.

    Raises:
        Stop: it is missing, unfinished, damaged, or was deleted.
    """
    if run.purged.exists():
        raise Stop(
            f"{run.path}: medidd cache purge deleted its films, so nothing of it can be audited, "
            "resumed or exported; its report and its audit stay, and medidd distill with another "
            "--out makes it anew",
            Exit.DATA,
        )
    try:
        return Cohort.open(run.cohort)
    except CohortError as error:
        raise Stop(str(error), Exit.DATA) from None


def source_of(secret: bytes, folder: Path, labels: Path | None) -> str:
    """Returns the keyed hash by which a source is recognised.

    Folders may carry names of people. The hash is enough to tell whether a run is continued on the
    same films, and useless to anybody else.

    Args:
        secret: the installation's.
        folder: where the films lie.
        labels: the table of labels.
    """
    return keyed(secret, f"{folder.resolve()}|{labels.resolve() if labels else ''}")
