"""From the rows of a table to one class and one split per key."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from medidd.dicom.errors import CohortError
from medidd.dicom.labels.columns import key_column, label_column
from medidd.dicom.labels.finder import BY_FILE
from medidd.dicom.labels.keys import is_reader
from medidd.dicom.labels.label_table import LabelTable
from medidd.dicom.labels.labelling import Labelling, is_empty
from medidd.dicom.labels.places import posix
from medidd.dicom.labels.splits import split_of
from medidd.dicom.labels.votes import joined


@dataclass(repr=False)
class _About:
    """What the rows with one key say: classes by reader, splits, and splits of empty cells."""

    said: dict[str, set[str]] = field(default_factory=dict)
    splits: set[str] = field(default_factory=set)
    blank: set[str] = field(default_factory=set)

    def found(self, labelling: Labelling) -> set[tuple[str, str]]:
        """Returns all labels and splits that the rows give; more than one is a contradiction."""
        if not self.said:
            meant = labelling.if_blank() if self.blank else ""
            return {(meant, split) for split in self.blank} if meant else set()
        if labelling.readers is None:
            labels = {label for of_reader in self.said.values() for label in of_reader}
        else:
            target = (labelling.target or "").strip()
            one = joined(self.said, target, labelling.readers, tie=labelling.if_unsure())
            labels = {one} - {""}
        return {(label, split) for label in labels for split in self.splits}


def by_key(table: LabelTable, labelling: Labelling) -> tuple[str, dict[str, tuple[str, str]]]:
    """Returns the key, and label and split by the key's values.

    Raises:
        CohortError: the table has no such columns, or rows contradict each other.
    """
    key, at_key = key_column(table, labelling.key)
    at_label, says = label_column(table, labelling)
    at_split = next(iter(table.named("split")), None)
    at_reader = next((at for at, name in enumerate(table.header) if is_reader(name)), None)
    about: dict[str, _About] = {}
    for number, row in enumerate(table.rows):
        if not (value := written(key, row[at_key])):
            continue
        cell, split = row[at_label], _split(row[at_split]) if at_split is not None else ""
        # Without a column of readers, each row is one person's.
        reader = str(number) if at_reader is None else row[at_reader]
        if label := says(cell):
            one = about.setdefault(value, _About())
            one.said.setdefault(reader, set()).add(label)
            one.splits.add(split)
        elif is_empty(cell):
            about.setdefault(value, _About()).blank.add(split)
    several = at_reader is not None or labelling.target is not None
    remedy = ", or say with --readers how the rows of a film count together" if several else ""
    return key, _agreed(
        key, ((value, one.found(labelling)) for value, one in about.items()), remedy
    )


def splits_by_key(table: LabelTable) -> tuple[str, dict[str, tuple[str, str]]]:
    """Returns the key of a table of splits, and '' and the split by the key's values.

    Raises:
        CohortError: the table has no such columns, or rows contradict each other.
    """
    try:
        key, at_key = key_column(table)
    except CohortError as error:
        raise CohortError(f"--splits: {error}".replace("of labels", "of splits")) from None
    columns = table.named("split")
    if not columns:
        raise CohortError("the table of splits has no column split; rename the one that has them")
    about: dict[str, set[tuple[str, str]]] = {}
    for row in table.rows:
        if (value := written(key, row[at_key])) and (split := _split(row[columns[0]])):
            about.setdefault(value, set()).add(("", split))
    return key, _agreed(key, about.items(), "", table="splits")


def written(key: str, value: str) -> str:
    """Returns a key's value as films are looked up by it."""
    return posix(value) if key in BY_FILE else value


def _agreed(
    key: str,
    found: Iterable[tuple[str, set[tuple[str, str]]]],
    remedy: str,
    table: str = "labels",
) -> dict[str, tuple[str, str]]:
    rows: dict[str, tuple[str, str]] = {}
    clashes = 0
    for value, pairs in found:
        clashes += len(pairs) > 1
        for pair in pairs:
            rows[value] = pair
    if clashes:
        raise CohortError(
            f"the table of {table} contradicts itself for {clashes} values of {key}; "
            f"give each one label and one split{remedy}"
        )
    return rows


def _split(cell: str) -> str:
    if cell and not split_of(cell):
        raise CohortError("the table of labels has an unknown split; use train, val, test")
    return split_of(cell)
