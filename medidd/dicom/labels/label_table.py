"""A table of labels as it was saved: a header and rows, all as text.

A reader that guesses types turns the patient 00000001 into 1 and the label "None" into nothing. No
error here repeats a cell, not even a header's: in a table saved without its header, the first row
is a patient.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medidd.dicom.errors import CohortError
from medidd.dicom.labels.keys import is_key, names_of, plain
from medidd.dicom.labels.packed import kind, text_of

DELIMITERS = ",;\t|"
SPREADSHEETS = (".xlsx", ".xls", ".ods")

_HINT = "save the table as CSV (UTF-8)"


@dataclass(frozen=True, repr=False)
class LabelTable:
    """Header and rows; without a repr, because they identify people.

    Attributes:
        header: names of the columns, unchanged.
        rows: cells without white space around them, as many per row as in the header.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def named(self, name: str) -> list[int]:
        """Returns the columns with that name; case, spacing and punctuation do not matter."""
        return [at for at, found in enumerate(self.header) if plain(found) == plain(name)]

    def finding(self, key: str) -> list[int]:
        """Returns the columns that are this key, see ``keys.KEYS``."""
        return [at for at, found in enumerate(self.header) if plain(found) in names_of(key)]

    def cells(self, column: int) -> set[str]:
        """Returns the cells of a column."""
        return {row[column] for row in self.rows}


def read_csv(path: Path) -> LabelTable:
    """Returns the table in a CSV file, whichever of ``DELIMITERS`` it was saved with.

    Raises:
        CohortError: the file is a spreadsheet, no CSV in UTF-8 or empty, or a row is too long.
    """
    if kind(path) in SPREADSHEETS:
        raise CohortError(f"the table of labels is a spreadsheet; {_HINT}")
    text = text_of(path, f"the table of labels is no CSV in UTF-8; {_HINT}")
    found = [_split(text, delimiter) for delimiter in DELIMITERS]
    lines = max((lines for lines in found if lines is not None), key=_fit, default=None)
    if lines is None or (None in found and not _fit(lines)[0]):
        raise CohortError(f"the table of labels is no CSV in UTF-8; {_HINT}")
    if len(lines) < 2:
        raise CohortError(
            "the table of labels is empty; give it a header line and one row per film"
        )
    return _table(lines)


def _split(text: str, delimiter: str) -> list[list[str]] | None:
    """Returns the lines that are not empty, or None if this delimiter does not fit."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        lines = [[cell.strip() for cell in line] for line in reader]
    except csv.Error:
        return None
    return [line for line in lines if any(line)]


def _fit(lines: Sequence[Sequence[str]]) -> tuple[bool, float, int]:
    """Returns how well a delimiter fits: a key column, and rows as long as the header."""
    if not lines or len(lines[0]) < 2:
        return (False, 0.0, 0)
    width = len(lines[0])
    alike = sum(len(line) == width for line in lines) / len(lines)
    return (any(map(is_key, lines[0])), alike, width)


def _table(lines: Sequence[Sequence[str]]) -> LabelTable:
    header, *rows = lines
    long = sum(any(row[len(header) :]) for row in rows)
    if long:
        raise CohortError(
            f"{long} rows of the table of labels have more cells than its header; put quotes "
            "around cells that contain the delimiter"
        )
    width = len(header)
    return LabelTable(
        tuple(header), tuple((*row[:width], *[""] * (width - len(row))) for row in rows)
    )
