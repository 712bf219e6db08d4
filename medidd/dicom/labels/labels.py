"""Which class each film belongs to: a table, a datalist, or one folder per class."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from medidd.dicom.errors import CohortError, Refused
from medidd.dicom.header.header import Header
from medidd.dicom.labels.datalist import read_datalist
from medidd.dicom.labels.label_table import KEYS, SPREADSHEETS, LabelTable, plain, read_csv
from medidd.dicom.labels.labelling import (
    Labelling,
    Says,
    as_it_stands,
    is_named,
    is_yes_or_no,
    one_among,
    yes_or_no,
)
from medidd.dicom.labels.patient_column import PatientColumn, patient_column
from medidd.dicom.labels.splits import split_of
from medidd.dicom.source import folders


@dataclass(frozen=True, repr=False)
class Labels:
    """Labels by key; without a repr, because keys identify people.

    Attributes:
        key: one of ``KEYS``, or "folder": the first folder under the root is the class.
        bases: folders to which paths in the table may be relative, the root first.
        rows: label and split by the key's value.
        says: returns the class for a folder's name.
        column: where each film's patient is; None for PatientID.
    """

    key: str
    bases: tuple[Path, ...]
    rows: dict[str, tuple[str, str]]
    says: Says = str
    column: PatientColumn | None = None

    def of(self, header: Header) -> tuple[str, str]:
        """Returns a film's label and its split, '' if the table has no split.

        Raises:
            Refused: the film has no label, or several.
        """
        if self.key == "folder":
            parts = header.path.relative_to(self.bases[0]).parts
            found = (self.says(parts[0]), "") if len(parts) > 1 else ("", "")
        else:
            found = self.rows.get(self.row_of(header), ("", ""))
        if not found[0]:
            raise Refused("label_missing")
        if "|" in found[0]:
            raise Refused("label_unmapped")
        return found

    def patient_of(self, header: Header) -> str | None:
        """Returns the patient that the user's column names, '' if none; None without a column."""
        return None if self.column is None else self.column.of(header, self.row_of(header))

    def row_of(self, header: Header) -> str:
        """Returns the key by which the table knows the film, or '' if it does not."""
        if self.key != "path":
            return header.links.get(self.key, "")
        # Where a film is a link, the table may name the link, or the film that it leads to.
        places = dict.fromkeys((header.path.absolute(), header.path.resolve()))
        below = [
            path.relative_to(base)
            for path in places
            for base in self.bases
            if path.is_relative_to(base)
        ]
        written = (one.as_posix() for one in (*below, *places))
        return next((one for one in written if one in self.rows), "")


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
    if table is not None:
        read = read_datalist if table.suffix.lower() == ".json" else read_csv
        bases = (root.resolve(), root.absolute(), table.resolve().parent)
        return _by_table(root, read(table), bases, labelling)
    found = folders(root)
    if not found:
        raise CohortError(
            f"{root}: no labels; put a labels.csv there with a column {' or '.join(KEYS)} and a "
            "column label, or put the films into one folder per class"
        )
    return _by_folder(root, found, labelling)


def _usual(root: Path) -> Iterator[Path]:
    for suffix in (".csv", ".json", *SPREADSHEETS):
        yield from (folder / f"labels{suffix}" for folder in (root, root.resolve().parent))


def _by_folder(root: Path, names: Iterable[str], labelling: Labelling) -> Labels:
    if labelling.key is not None:
        raise CohortError(
            f"{root}: no table of labels for --label-key; name the table with --labels"
        )
    column = patient_column(labelling, root)
    if labelling.target is None:
        return Labels("folder", (root,), {}, column=column)
    target = labelling.target.strip()
    if not any(is_named(target, name) for name in names):
        raise CohortError(
            f"{root}: no table of labels, and no folder in it has the name of --target; name the "
            "table with --labels, or check the spelling"
        )
    return Labels("folder", (root,), {}, one_among(labelling, target), column)


def _by_table(
    root: Path, table: LabelTable, bases: tuple[Path, ...], labelling: Labelling
) -> Labels:
    key, key_column = _key_column(table, labelling)
    split_column = next(iter(table.named("split")), None)
    label_column, says = _label_column(table, labelling)
    seen: dict[str, set[tuple[str, str]]] = {}
    for row in table.rows:
        value, label = row[key_column], says(row[label_column])
        split = _split(row[split_column]) if split_column is not None else ""
        if value and label:
            seen.setdefault(_posix(value) if key == "path" else value, set()).add((label, split))
    clashes = sum(len(found) > 1 for found in seen.values())
    if clashes:
        raise CohortError(
            f"the table of labels contradicts itself for {clashes} values of {key}; "
            "give each one label and one split"
        )
    keys = [_posix(row[key_column]) if key == "path" else row[key_column] for row in table.rows]
    column = patient_column(labelling, root, table, keys)
    return Labels(key, bases, {value: one.pop() for value, one in seen.items()}, column=column)


def _key_column(table: LabelTable, labelling: Labelling) -> tuple[str, int]:
    for key in KEYS if labelling.key is None else (labelling.key,):
        if columns := table.named(key):
            return key, columns[0]
    if labelling.key is not None:
        raise CohortError(
            f"the table of labels has no column {labelling.key}, which --label-key names; "
            "name another column, or rename the column"
        )
    raise CohortError(
        f"the table of labels has no column that finds films; give it a column {' or '.join(KEYS)}"
    )


def _split(cell: str) -> str:
    if cell and not split_of(cell):
        raise CohortError("the table of labels has an unknown split; use train, val, test")
    return split_of(cell)


def _label_column(table: LabelTable, labelling: Labelling) -> tuple[int, Says]:
    """Returns the column of the label, and the function that reads its cells."""
    known = {"split", *(key.lower() for key in KEYS), plain(labelling.patient_column or "")}
    others = [at for at, name in enumerate(table.header) if plain(name) not in known]
    if labelling.target is not None:
        return _target_column(table, others, labelling, labelling.target.strip())
    columns = table.named("label") or others
    if len(columns) != 1:
        raise CohortError(
            f"the table of labels has {len(columns)} columns that could be the label; name the one "
            "to use with --target COLUMN, or name one of them label"
        )
    return columns[0], as_it_stands


def _target_column(
    table: LabelTable, others: list[int], labelling: Labelling, target: str
) -> tuple[int, Says]:
    columns = [at for at in table.named(target) if at in others]
    if len(columns) == 1:
        cells = table.cells(columns[0])
        if is_yes_or_no(cells):
            return columns[0], yes_or_no(labelling, target)
        if labelling.uncertain != "drop":
            raise CohortError(
                f"--uncertain {labelling.uncertain}: the column that --target names has other "
                "words than 0 and 1, so no finding in it is present or absent; drop --uncertain"
            )
        return columns[0], as_it_stands
    if not columns:
        columns = [at for at in others if any(is_named(target, c) for c in table.cells(at))]
        columns = [at for at in table.named("label") if at in columns] or columns
    if not columns:
        raise CohortError(
            "the table of labels has no column and no cell that --target names; check the spelling"
        )
    if len(columns) > 1:
        raise CohortError(
            f"--target: {len(columns)} columns of the table of labels contain it; "
            "rename the column that counts to label"
        )
    return columns[0], one_among(labelling, target)


def _posix(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/")).as_posix()
