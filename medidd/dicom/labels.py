"""Which class each film belongs to: a table, or one folder per class.

The table is read as text throughout: what guesses types turns the patient 00000001 into 1 and the
label "None" into nothing.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from medidd.dicom.errors import CohortError, Refused
from medidd.dicom.header import Header

KEYS = ("path", "SOPInstanceUID", "StudyInstanceUID", "AccessionNumber", "PatientID")
"""Columns by which a row finds its films; a table's first in this order counts."""

SPLITS = ("train", "val", "test")

_UNKNOWN = frozenset({"", "-1", "-1.0", "nan", "?", "unknown", "uncertain"})
_SHEETS = (".xlsx", ".xls", ".ods")
_HINT = "save the table as CSV (UTF-8)"


@dataclass(frozen=True, repr=False)
class Labels:
    """Labels by key; without a repr, for keys identify people.

    Attributes:
        key: one of ``KEYS``, or "folder": the first folder under the root is the class.
        bases: folders that paths in the table may be relative to, and the root first of all.
        rows: label and split by the key's value.
    """

    key: str
    bases: tuple[Path, ...]
    rows: dict[str, tuple[str, str]]

    def of(self, header: Header) -> tuple[str, str]:
        """Returns a film's label and its split, '' where the table has none.

        Raises:
            Refused: the film has no label, or several.
        """
        if self.key == "folder":
            parts = header.path.relative_to(self.bases[0]).parts
            found = (parts[0], "") if len(parts) > 1 else None
        elif self.key == "path":
            paths = [_relative(header.path, base) for base in self.bases]
            found = next((self.rows[path] for path in paths if path in self.rows), None)
        else:
            found = self.rows.get(header.links[self.key])
        if found is None:
            raise Refused("label_missing")
        if "|" in found[0]:
            raise Refused("label_unmapped")
        return found


def read_labels(root: Path, table: Path | None) -> Labels:
    """Returns the labels for the films under ``root``.

    Args:
        root: folder of the films.
        table: a CSV file; by default ``labels.csv`` in ``root`` or beside it, and where there is
            none, one folder per class.

    Raises:
        CohortError: there are no labels, or the table cannot be understood.
    """
    beside = root.resolve().parent
    if table is None:
        table = next((t for t in _usual(root, beside) if t.is_file()), None)
    if table is not None:
        if table.suffix.lower() in _SHEETS:
            raise CohortError(f"the table of labels is a spreadsheet; {_HINT}")
        return _read_table(table, root)
    if not any(child.is_dir() and not child.is_symlink() for child in root.iterdir()):
        raise CohortError(
            f"{root}: no labels; put a labels.csv there with a column {' or '.join(KEYS)} and a "
            "column label, or the films into one folder per class"
        )
    return Labels("folder", (root,), {})


def _usual(root: Path, beside: Path) -> Iterable[Path]:
    for suffix in (".csv", *_SHEETS):
        yield from (folder / f"labels{suffix}" for folder in (root, beside))


def _read_table(table: Path, root: Path) -> Labels:
    try:
        text = table.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        delimiter = max(",;\t", key=first.count)
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except OSError:
        raise CohortError("the table of labels cannot be read; check its permissions") from None
    except (UnicodeDecodeError, csv.Error):
        raise CohortError(f"the table of labels is no CSV in UTF-8; {_HINT}") from None
    if len(lines) < 2:
        raise CohortError("the table of labels is empty; give it a header line and one row a film")
    key, key_column, label_column, split_column = _columns(lines[0])
    seen: dict[str, set[tuple[str, str]]] = {}
    for line in lines[1:]:
        cells = [cell.strip() for cell in line] + [""] * len(lines[0])
        value, label = cells[key_column], cells[label_column]
        split = cells[split_column].lower() if split_column is not None else ""
        if split not in ("", *SPLITS):
            raise CohortError(f"the table of labels has an unknown split; use {', '.join(SPLITS)}")
        if value and label.lower() not in _UNKNOWN:
            seen.setdefault(_posix(value) if key == "path" else value, set()).add((label, split))
    clashes = sum(len(found) > 1 for found in seen.values())
    if clashes:
        raise CohortError(
            f"the table of labels contradicts itself for {clashes} values of {key}; "
            "give each one label and one split"
        )
    bases = (root, table.resolve().parent)
    return Labels(key, bases, {value: found.pop() for value, found in seen.items()})


def _columns(header: list[str]) -> tuple[str, int, int, int | None]:
    """Returns the key's name and the columns of key, label and split (None where there is none)."""
    names = ["".join(filter(str.isalnum, name)).lower() for name in header]
    present = [key for key in KEYS if key.lower() in names]
    if not present:
        raise CohortError(
            f"the table of labels has no column that finds films; name one {', '.join(KEYS)}"
        )
    known = {"split", *(key.lower() for key in KEYS)}
    others = [column for column, name in enumerate(names) if name not in known]
    if "label" in names:
        label = names.index("label")
    elif len(others) == 1:
        label = others[0]
    else:
        raise CohortError(
            f"the table of labels has {len(others)} columns that could be the label; "
            "name one of them label"
        )
    split = names.index("split") if "split" in names else None
    return present[0], names.index(present[0].lower()), label, split


def _posix(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/")).as_posix()


def _relative(path: Path, base: Path) -> str:
    """Returns ``path`` as a table writes it relative to ``base``; '' if it does not lie below."""
    path, base = path.resolve(), base.resolve()
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else ""
