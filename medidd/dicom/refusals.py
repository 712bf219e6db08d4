"""Which files were refused, for the eyes of whoever owns them.

Names of files identify people, so they stand in this one list and nowhere else: not in a cohort,
a message or a log.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from medidd.dicom.errors import REASONS
from medidd.dicom.storage import write


@dataclass(frozen=True, repr=False, slots=True)
class Refusal:
    """A file that is left out; without a repr, for its name may be a person's.

    Attributes:
        path: the file.
        code: a key of ``REASONS``.
    """

    path: Path
    code: str


def write_refusals(place: Path, root: Path, refusals: Iterable[Refusal]) -> None:
    """Writes the list as CSV, by path, readable by its owner only; none where nothing was refused.

    Args:
        place: the file to write.
        root: folder that the paths in the list are relative to.
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
    # Names that are no UTF-8 come from the system as surrogates, and go back as they were.
    write(place, text.getvalue().encode(errors="surrogateescape"))
