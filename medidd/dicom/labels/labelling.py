"""How the user says labels are read, and which class a cell then gives a film.

Methods here see one class per film. Some tables have a column per finding, as those of CheXpert and
MIMIC-CXR, or several findings in a cell, as NIH's. Such a table is reduced to one target: the
finding, and everything else.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from medidd.dicom.labels.findings import is_named
from medidd.dicom.labels.keys import KEYS
from medidd.dicom.labels.votes import Readers

Uncertain = Literal["drop", "positive", "negative"]
"""What a film counts as if its target is marked as uncertain."""

UNCERTAIN: tuple[Uncertain, ...] = get_args(Uncertain)

Blank = Literal["drop", "negative", "positive"]
BLANK: tuple[Blank, ...] = get_args(Blank)
"""What a film counts as if the cell of its target is empty."""

Says = Callable[[str], str]
"""Returns the class that a cell names, or '' if it names none."""

_EMPTY = frozenset({"", "nan", "[]", "['']"})
_SILENT = _EMPTY | {"unknown"}
_UNSURE = frozenset({"-1", "-1.0", "?", "uncertain"})
_YES = frozenset({"1", "1.0", "yes", "true", "positive"})
_NO = frozenset({"0", "0.0", "no", "false", "negative"})

_MASK = re.compile(r"\d+ \d+( \d+ \d+)*")
_NO_MASK = "-1"


@dataclass(frozen=True)
class Labelling:
    """Where the labels are and how they are read.

    Attributes:
        table: CSV or datalist; None for the usual places.
        key: what rows find their films by; None for the first of ``keys.KEYS`` that the table has.
        target: column, or finding in a cell, that becomes the class; None if the table has one
            label per film.
        uncertain: what an uncertain target counts as: no label, present or absent.
        patient_column: column, or DICOM attribute, that names each film's patient; None for
            PatientID.
        blank: what an empty cell of the target counts as, if no other row is about the film.
        readers: how the rows of a film's several readers are joined; None if they must agree.
        splits: a second table with the splits, which may have another key; None for no such table.
        patient_pattern: regular expression whose only group is the patient in a film's file name,
            or, if it has a /, in its path below the folder; None for PatientID.
        regions: a table of boxes or a folder of masks, by which patches get their classes; None if
            they have their films'.

    Raises:
        ValueError: the key is unknown, a target is empty or missing, or the pattern is none that
            has one group, or comes with a column.
    """

    table: Path | None = None
    key: str | None = None
    target: str | None = None
    uncertain: Uncertain = "drop"
    patient_column: str | None = None
    blank: Blank = "drop"
    readers: Readers | None = None
    splits: Path | None = None
    patient_pattern: str | None = None
    regions: Path | None = None

    def __post_init__(self) -> None:
        if self.key is not None and self.key not in KEYS:
            raise ValueError(f"the key must be one of {', '.join(KEYS)}")
        if self.target is not None and not self.target.strip():
            raise ValueError("the target is empty; name a column or a finding")
        if self.target is None and self.uncertain != "drop":
            raise ValueError("uncertain needs a target; name the target, too")
        if self.target is None and self.blank != "drop":
            raise ValueError("blank needs a target; name the target, too")
        if self.target is None and self.readers is not None:
            raise ValueError("readers need a target; name the target, too")
        if self.patient_pattern is not None:
            _require_pattern(self.patient_pattern)
            if self.patient_column is not None:
                raise ValueError("the patient is in a column or in the file's name; name one")

    def choices(self) -> dict[str, str | None]:
        """Returns everything except the tables: two labellings of one table can differ in this."""
        return {
            "key": self.key,
            "target": self.target,
            "uncertain": self.uncertain,
            "patient_column": self.patient_column,
            "blank": self.blank,
            "readers": self.readers,
            "patient_pattern": self.patient_pattern,
        }

    def if_blank(self) -> str:
        """Returns the class of a film about which the table has empty cells only."""
        return _meant(self.blank, (self.target or "").strip())

    def if_unsure(self) -> str:
        """Returns the class of a film whose target is uncertain."""
        return _meant(self.uncertain, (self.target or "").strip())


USUAL = Labelling()
"""One label per film, in the usual places."""


def _require_pattern(pattern: str) -> None:
    try:
        groups = re.compile(pattern).groups
    except re.error:
        raise ValueError("the patient pattern is no regular expression") from None
    if groups != 1:
        raise ValueError(
            f"the patient pattern has {groups} groups in parentheses, but one must be the patient"
        )


def as_it_stands(cell: str) -> str:
    """Returns the cell, or '' if it is empty or marked as uncertain."""
    return "" if cell.lower() in _SILENT | _UNSURE else cell


def is_empty(cell: str) -> bool:
    """Tells whether a cell says nothing at all."""
    return cell.lower() in _EMPTY


def is_yes_or_no(cells: Iterable[str]) -> bool:
    """Tells whether all cells say yes or no to one finding."""
    said = {cell.lower() for cell in cells} - _SILENT - _UNSURE
    return bool(said) and said <= _YES | _NO


def yes_or_no(labelling: Labelling, target: str) -> Says:
    """Reads a column of 0 and 1: the classes are the target and "not" the target."""

    def says(cell: str) -> str:
        word = cell.lower()
        if word in _SILENT:
            return ""
        if word in _UNSURE:
            return _meant(labelling.uncertain, target)
        return target if word in _YES else f"not {target}"

    return says


def is_mask(cells: Iterable[str]) -> bool:
    """Tells whether cells are outlines as SIIM's table has them: runs of pixels, or -1 for none."""
    said = {cell for cell in cells if not is_empty(cell)} - {_NO_MASK}
    return bool(said) and all(map(_MASK.fullmatch, said))


def outlined(target: str) -> Says:
    """Reads a column of outlines: a film with an outline has the target."""

    def says(cell: str) -> str:
        if is_empty(cell):
            return ""
        return f"not {target}" if cell == _NO_MASK else target

    return says


def one_among(labelling: Labelling, target: str) -> Says:
    """Reads cells such as A|B or ['a', 'b']: the classes are the target and "not" the target."""

    def says(cell: str) -> str:
        if cell.lower() in _SILENT:
            return ""
        if cell.lower() in _UNSURE:
            return _meant(labelling.uncertain, target)
        return target if is_named(target, cell) else f"not {target}"

    return says


def _meant(choice: Uncertain | Blank, target: str) -> str:
    return {"drop": "", "positive": target, "negative": f"not {target}"}[choice]
