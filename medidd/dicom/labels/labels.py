"""Which class each film belongs to: a table, a datalist, or one folder per class."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from medidd.dicom.errors import CohortError, Refused
from medidd.dicom.header.header import Header
from medidd.dicom.labels.datalist import read_datalist
from medidd.dicom.labels.finder import BY_FILE, Finder, Match
from medidd.dicom.labels.findings import is_named
from medidd.dicom.labels.keys import KEYS
from medidd.dicom.labels.label_table import SPREADSHEETS, LabelTable, read_csv
from medidd.dicom.labels.labelling import Labelling, Says, one_among
from medidd.dicom.labels.packed import kind
from medidd.dicom.labels.patient_column import PatientColumn, patient_column
from medidd.dicom.labels.rows import by_key, keys_of, splits_by_key
from medidd.dicom.source import folders


@dataclass(frozen=True, repr=False)
class Labels:
    """Labels by key; without a repr, because keys identify people.

    Attributes:
        key: one of ``KEYS``, or "folder": the first folder under the root is the class.
        bases: folders to which paths in the table may be relative, the root first.
        rows: label and split by the key's value.
        says: returns the class for a folder's name.
        splits: a second table, with the splits; its own labels are ''.
        column: where each film's patient is; None for PatientID.
    """

    key: str
    bases: tuple[Path, ...]
    rows: Mapping[str, tuple[str, str]]
    says: Says = str
    splits: "Labels | None" = field(default=None)
    column: PatientColumn | None = None

    def of(self, header: Header) -> tuple[str, str]:
        """Returns a film's label and its split, '' if no table has a split.

        Raises:
            Refused: the film has no label, or several; or it has no split in the second table.
        """
        if self.key == "folder":
            parts = header.path.relative_to(self.bases[0]).parts
            found = (self.says(parts[0]), "") if len(parts) > 1 else ("", "")
        else:
            found = self._row(header)
        if not found[0]:
            raise Refused("label_missing")
        if "|" in found[0]:
            raise Refused("label_unmapped")
        if self.splits is None:
            return found
        if not (split := self.splits._row(header)[1]):
            raise Refused("split_missing")
        return found[0], split

    def patient_of(self, header: Header) -> str | None:
        """Returns the patient that the user's column names, '' if none; None without a column."""
        return None if self.column is None else self.column.of(header, self.row_of(header))

    def row_of(self, header: Header) -> str:
        """Returns the key by which the table knows the film, or '' if it does not."""
        return self._finder.match(header).row

    def shared(self, header: Header) -> Iterator[tuple[str, Match, bool]]:
        """Yields which table and row are about a film, where the key need not be its own.

        The last value tells whether the key is a file's name, which only one film may have; else
        only one patient may have it.
        """
        for name, labels in (("labels", self), ("splits", self.splits)):
            if labels is not None and labels.key in (*BY_FILE, "StudyID"):
                match = labels._finder.match(header)
                if match.row:
                    yield name, match, labels.key in BY_FILE

    def _row(self, header: Header) -> tuple[str, str]:
        match = self._finder.match(header)
        if match.several:
            raise Refused("label_ambiguous")
        return self.rows.get(match.row, ("", ""))

    @cached_property
    def _finder(self) -> Finder:
        return Finder(self.key, self.bases, frozenset(self.rows))


def read_labels(root: Path, labelling: Labelling) -> Labels:
    """Returns the labels for the films under ``root``.

    Args:
        root: folder of the films.
        labelling: the table and how it is read. Without a table, ``labels.csv`` or ``labels.json``
            in ``root`` or next to it; without such a file, one folder per class.

    Raises:
        CohortError: there are no labels, or the table cannot be understood.
    """
    table = labelling.table or next((t for t in _usual(root) if t.is_file()), None)
    splits = _splits(root, labelling.splits) if labelling.splits is not None else None
    if table is not None:
        found = _read(table)
        if splits is not None and found.named("split"):
            raise CohortError(
                "--splits: the table of labels has a column split, too; drop --splits, or rename "
                "this column"
            )
        key, rows = by_key(found, labelling)
        column = patient_column(labelling, root, found, keys_of(found, key))
        return Labels(key, _bases(root, table), rows, splits=splits, column=column)
    names = folders(root)
    if not names:
        raise CohortError(
            f"{root}: no labels; put a labels.csv there with a column {' or '.join(KEYS)} and a "
            "column label, or put the films into one folder per class"
        )
    return _by_folder(root, names, labelling, splits)


def _read(table: Path) -> LabelTable:
    return read_datalist(table) if kind(table) == ".json" else read_csv(table)


def _splits(root: Path, table: Path) -> Labels:
    key, rows = splits_by_key(_read(table))
    return Labels(key, _bases(root, table), rows)


def _bases(root: Path, table: Path) -> tuple[Path, ...]:
    return root.resolve(), root.absolute(), table.resolve().parent


def _usual(root: Path) -> Iterator[Path]:
    for suffix in (".csv", ".csv.gz", ".csv.zip", ".json", *SPREADSHEETS):
        yield from (folder / f"labels{suffix}" for folder in (root, root.resolve().parent))


def _by_folder(
    root: Path, names: Iterable[str], labelling: Labelling, splits: Labels | None
) -> Labels:
    if labelling.key is not None:
        raise CohortError(
            f"{root}: no table of labels for --label-key; name the table with --labels"
        )
    column = patient_column(labelling, root)
    if labelling.target is None:
        return Labels("folder", (root,), {}, splits=splits, column=column)
    target = labelling.target.strip()
    if not any(is_named(target, name) for name in names):
        raise CohortError(
            f"{root}: no table of labels, and no folder in it has the name of --target; name the "
            "table with --labels, or check the spelling"
        )
    return Labels("folder", (root,), {}, one_among(labelling, target), splits, column)
