"""Which files were refused; only the owner of the files may read this list.

File names identify people, so they are in this one list and nowhere else: not in a cohort, a
message or a log.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from medidd.dicom.errors import REASONS
from medidd.dicom.storage import write


@dataclass(frozen=True, repr=False, slots=True)
class Exposure:
    """One exposure of a detector, of which there may be raw data and a film; without a repr.

    Attributes:
        study: StudyInstanceUID, or its keyed hash.
        instance: SOPInstanceUID of the object.
        view: name of the view; '' if not known.
        side: "L", "R" or ''.
    """

    study: str
    instance: str
    view: str = ""
    side: str = ""


@dataclass(frozen=True, repr=False, slots=True)
class Refusal:
    """A file that is left out; without a repr, because its name may be a person's name.

    Attributes:
        path: the file.
        code: a key of ``REASONS``.
        exposure: what it is of, for raw detector data and for films without a label.
    """

    path: Path
    code: str
    exposure: Exposure | None = None


def write_refusals(place: Path, root: Path, refusals: Iterable[Refusal]) -> None:
    """Writes the list as CSV, by path, for its owner only; no file if nothing was refused.

    Args:
        place: the file to write.
        root: the folder to which the paths in the list are relative.
        refusals: the files.
    """
    rows = sorted((one.path.relative_to(root).as_posix(), one.code) for one in refusals)
    if not rows:
        place.unlink(missing_ok=True)
        return
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("path", "reason", "meaning"))
    table.writerows((path, code, REASONS[code]) for path, code in rows)
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The system gives names that are no UTF-8 as surrogates; this writes them back unchanged.
    write(place, text.getvalue().encode(errors="surrogateescape"))
