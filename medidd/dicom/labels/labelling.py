"""What a user says of the labels, and what a cell then says of a film.

Methods here see one class per film. A table with a column per finding, as those of CheXpert and
MIMIC-CXR, or with several findings in a cell, as NIH's, is therefore reduced to one target: the
finding, and everything else.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from medidd.dicom.labels.label_table import KEYS

Uncertain = Literal["drop", "positive", "negative"]
"""What a film counts as whose target is marked as uncertain."""

UNCERTAIN: tuple[Uncertain, ...] = get_args(Uncertain)

Says = Callable[[str], str]
"""Returns the class that a cell names, '' where it names none."""

_SILENT = frozenset({"", "nan", "unknown"})
_UNSURE = frozenset({"-1", "-1.0", "?", "uncertain"})
_YES = frozenset({"1", "1.0", "yes", "true", "positive"})
_NO = frozenset({"0", "0.0", "no", "false", "negative"})


@dataclass(frozen=True)
class Labelling:
    """Where the labels are and how they are read.

    Attributes:
        table: CSV or datalist; None for the usual places.
        key: column by which rows find their films; None for the table's first of
            ``label_table.KEYS``.
        target: column, or finding in a cell, that becomes the class; None where the table has one
            label per film.
        uncertain: what an uncertain target counts as: no label, present or absent.

    Raises:
        ValueError: the key is none, or something is said of a target that is not named.
    """

    table: Path | None = None
    key: str | None = None
    target: str | None = None
    uncertain: Uncertain = "drop"

    def __post_init__(self) -> None:
        if self.key is not None and self.key not in KEYS:
            raise ValueError(f"the key is none of {', '.join(KEYS)}")
        if self.target is not None and not self.target.strip():
            raise ValueError("the target is empty; name a column or a finding")
        if self.target is None and self.uncertain != "drop":
            raise ValueError("uncertain is said of a target; name the target, too")

    def choices(self) -> dict[str, str | None]:
        """Returns all but the table, by which two labellings of one table differ."""
        return {"key": self.key, "target": self.target, "uncertain": self.uncertain}


USUAL = Labelling()
"""One label per film, in the usual places."""


def as_it_stands(cell: str) -> str:
    """Returns the cell, or '' where it is empty or marked as uncertain."""
    return "" if cell.lower() in _SILENT | _UNSURE else cell


def is_yes_or_no(cells: Iterable[str]) -> bool:
    """Tells whether cells say of one finding whether it is there."""
    said = {cell.lower() for cell in cells} - _SILENT - _UNSURE
    return bool(said) and said <= _YES | _NO


def yes_or_no(labelling: Labelling, target: str) -> Says:
    """Reads a column of 0 and 1: the classes are the target and "not" the target."""

    def says(cell: str) -> str:
        word = cell.lower()
        if word in _SILENT:
            return ""
        if word in _UNSURE:
            return _unsure(labelling, target)
        return target if word in _YES else f"not {target}"

    return says


def is_named(target: str, cell: str) -> bool:
    """Tells whether a cell such as A|B holds the target."""
    return target.casefold() in {finding.strip().casefold() for finding in cell.split("|")}


def one_among(labelling: Labelling, target: str) -> Says:
    """Reads cells such as A|B: the classes are the target and "not" the target."""

    def says(cell: str) -> str:
        if cell.lower() in _SILENT:
            return ""
        if cell.lower() in _UNSURE:
            return _unsure(labelling, target)
        return target if is_named(target, cell) else f"not {target}"

    return says


def _unsure(labelling: Labelling, target: str) -> str:
    return {"drop": "", "positive": target, "negative": f"not {target}"}[labelling.uncertain]
