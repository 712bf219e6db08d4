"""Which columns of a table are the key and the label, and how the label's cells are read."""

from medidd.dicom.errors import CohortError
from medidd.dicom.labels.findings import is_named, written_with_bars
from medidd.dicom.labels.keys import KEYS, is_key, is_reader, plain
from medidd.dicom.labels.label_table import LabelTable
from medidd.dicom.labels.labelling import (
    Labelling,
    Says,
    as_it_stands,
    is_mask,
    is_yes_or_no,
    one_among,
    outlined,
    yes_or_no,
)


def key_column(table: LabelTable, wanted: str | None = None) -> tuple[str, int]:
    """Returns the key that rows find their films by, and its column.

    Args:
        table: the table.
        wanted: the key to use; None for the first of ``KEYS`` that the table has.

    Raises:
        CohortError: the table has no such column.
    """
    for key in KEYS if wanted is None else (wanted,):
        columns = table.named(key) or table.finding(key)
        if columns and (wanted or not _is_of_several_patients(table, key, columns[0])):
            return key, columns[0]
    if wanted is not None:
        raise CohortError(
            f"the table of labels has no column {wanted}, which --label-key names; "
            "name another column, or rename the column"
        )
    raise CohortError(
        "the table of labels has no column that finds films; give it a column "
        f"{', '.join(KEYS[:-1])} or {KEYS[-1]}; path or file is for names of files"
    )


def label_column(table: LabelTable, labelling: Labelling) -> tuple[int, Says]:
    """Returns the column of the label, and the function that reads its cells.

    Raises:
        CohortError: no column can be the label, or several.
    """
    others = [
        at
        for at, name in enumerate(table.header)
        if plain(name) not in ("split", plain(labelling.patient_column or ""))
        and not is_key(name)
        and not is_reader(name)
    ]
    if labelling.target is not None:
        return _target_column(table, others, labelling, labelling.target.strip())
    columns = table.named("label") or others
    if len(columns) != 1:
        raise CohortError(
            f"the table of labels has {len(columns)} columns that could be the label; name the one "
            "to use with --target COLUMN, or name one of them label"
        )
    return columns[0], _classes(table, columns[0])


def _is_of_several_patients(table: LabelTable, key: str, column: int) -> bool:
    """Tells whether the table itself gives one StudyID to several patients."""
    patients = table.finding("PatientID")
    if key != "StudyID" or not patients:
        return False
    return len({(row[column], row[patients[0]]) for row in table.rows}) > len(table.cells(column))


def _classes(table: LabelTable, column: int) -> Says:
    """Reads cells that are classes; several findings in a cell become A|B."""
    barred = written_with_bars(table.cells(column))
    return lambda cell: barred(as_it_stands(cell))


def _target_column(
    table: LabelTable, others: list[int], labelling: Labelling, target: str
) -> tuple[int, Says]:
    columns = [at for at in table.named(target) if at in others]
    if len(columns) == 1:
        return columns[0], _of_column(table, columns[0], labelling, target)
    if not columns:
        columns = [at for at in others if _stands_in(table, at, target)] or [
            at for at in others if any(is_named(target, cell) for cell in table.cells(at))
        ]
        named = [*table.named("label"), *table.named("labels")]
        columns = [at for at in named if at in columns][:1] or columns
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


def _of_column(table: LabelTable, column: int, labelling: Labelling, target: str) -> Says:
    """Reads the column that the target names: yes or no, outlines, or classes."""
    cells = table.cells(column)
    if is_mask(cells):
        return outlined(target)
    if is_yes_or_no(cells):
        return yes_or_no(labelling, target)
    for option, chosen in (
        (f"--uncertain {labelling.uncertain}", labelling.uncertain != "drop"),
        (f"--blank {labelling.blank}", labelling.blank != "drop"),
        (f"--readers {labelling.readers}", labelling.readers is not None),
    ):
        if chosen:
            raise CohortError(
                f"{option}: the column that --target names has other words than 0 and 1, so no "
                f"finding in it is present or absent; drop {option.split()[0]}"
            )
    return _classes(table, column)


def _stands_in(table: LabelTable, column: int, target: str) -> bool:
    """Tells whether a column has the target as a finding, its separators as the column shows."""
    cells = table.cells(column)
    barred, wanted = written_with_bars(cells), target.casefold()
    return any(wanted in barred(cell).casefold().split("|") for cell in cells)
