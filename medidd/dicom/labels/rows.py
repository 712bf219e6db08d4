"""From the rows of a table to one class and one split per key."""

from collections.abc import Iterable, Iterator
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


@dataclass(frozen=True, repr=False)
class _Said:
    """What rows say by key. A large table fills memory, so only what is asked for is kept.

    Attributes:
        pairs: labels and splits.
        blank: splits of the rows with an empty cell, if such a cell counts.
        readers: labels of each reader, if readers are joined.
    """

    labelling: Labelling
    pairs: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    blank: dict[str, set[str]] = field(default_factory=dict)
    readers: dict[str, dict[str, set[str]]] = field(default_factory=dict)

    def add(self, value: str, label: str, split: str, reader: str) -> None:
        """Adds a row; the label is '' if its cell is empty."""
        if not label:
            if self.labelling.if_blank():
                self.blank.setdefault(value, set()).add(split)
            return
        self.pairs.setdefault(value, set()).add((label, split))
        if self.labelling.readers is not None:
            self.readers.setdefault(value, {}).setdefault(reader, set()).add(label)

    def found(self) -> Iterator[tuple[str, set[tuple[str, str]]]]:
        """Yields all labels and splits of each key; more than one is a contradiction."""
        for value, pairs in self.pairs.items():
            yield value, self._joined(value, pairs)
        meant = self.labelling.if_blank()
        for value in self.blank.keys() - self.pairs.keys():
            yield value, {(meant, split) for split in self.blank[value]}

    def _joined(self, value: str, pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
        if self.labelling.readers is None:
            return pairs
        target = (self.labelling.target or "").strip()
        tie = self.labelling.if_unsure()
        label = joined(self.readers[value], target, self.labelling.readers, tie=tie)
        return {(label, split) for _, split in pairs} if label else set()


def by_key(table: LabelTable, labelling: Labelling) -> tuple[str, dict[str, tuple[str, str]]]:
    """Returns the key, and label and split by the key's values.

    Raises:
        CohortError: the table has no such columns, or rows contradict each other.
    """
    key, at_key = key_column(table, labelling.key)
    at_label, says = label_column(table, labelling)
    at_split = next(iter(table.named("split")), None)
    at_reader = next((at for at, name in enumerate(table.header) if is_reader(name)), None)
    said = _Said(labelling)
    for number, row in enumerate(table.rows):
        cell, split = row[at_label], _split(row[at_split]) if at_split is not None else ""
        label = says(cell)
        if (value := written(key, row[at_key])) and (label or is_empty(cell)):
            # Without a column of readers, each row is one person's.
            said.add(value, label, split, str(number) if at_reader is None else row[at_reader])
    several = at_reader is not None or labelling.target is not None
    remedy = ", or say with --readers how the rows of a film count together" if several else ""
    return key, _agreed(key, said.found(), remedy)


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


def keys_of(table: LabelTable, key: str) -> list[str]:
    """Returns the key's value in each row, as films are looked up by it."""
    _, column = key_column(table, key)
    return [written(key, row[column]) for row in table.rows]


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
