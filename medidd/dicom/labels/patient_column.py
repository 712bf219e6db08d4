"""A patient that is not in PatientID: in a column of the table, another attribute or a file's name.

De-identified sets often have one placeholder as PatientID on all films. The real patient is then in
the table, in the accession number or in Clinical Trial Subject ID (PS3.3 C.7.1.3).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medidd.dicom.errors import CohortError
from medidd.dicom.header.header import Header
from medidd.dicom.labels.keys import plain
from medidd.dicom.labels.label_table import LabelTable
from medidd.dicom.labels.labelling import Labelling

KEYWORDS = (
    *("AccessionNumber", "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID"),
    *("OtherPatientIDs", "PatientID", "PatientName", "StudyID", "StudyInstanceUID"),
)
"""DICOM attributes that may name a patient."""


@dataclass(frozen=True, repr=False)
class PatientColumn:
    """Where a film's patient is; without a repr, because it identifies people.

    Attributes:
        keyword: one of ``KEYWORDS``, or '' for a column of the table.
        cells: the column's cell for each key of the table.
        pattern: finds the patient, its only group, in the film's file name, or with a / in it, in
            the path below ``root``; None for a column or a keyword.
        root: folder of the films.
    """

    keyword: str = ""
    cells: dict[str, str] = field(default_factory=dict)
    pattern: re.Pattern[str] | None = None
    root: Path = Path()

    def of(self, header: Header, row: str) -> str:
        """Returns a film's patient, '' if none is named; ``row`` is its key in the table."""
        if self.pattern is not None:
            whole = "/" in self.pattern.pattern
            path = header.path.relative_to(self.root).as_posix() if whole else header.path.name
            found = self.pattern.search(path)
            return (found[1] or "").strip() if found else ""
        return header.links.get(self.keyword, "") if self.keyword else self.cells.get(row, "")


def patient_column(
    labelling: Labelling, root: Path, table: LabelTable | None = None, keys: Sequence[str] = ()
) -> PatientColumn | None:
    """Returns where the patient is, None for PatientID.

    Args:
        labelling: names a column of the table, else one of ``KEYWORDS``, or a pattern.
        root: folder of the films.
        table: the table of labels; None if there is none.
        keys: the key of each row of the table.

    Raises:
        CohortError: there is no such column, or it gives one key several patients.
    """
    if labelling.patient_pattern is not None:
        return PatientColumn(pattern=re.compile(labelling.patient_pattern), root=root)
    name = labelling.patient_column
    if name is None:
        return None
    columns = table.named(name) if table is not None else []
    if table is None or not columns:
        keyword = next((one for one in KEYWORDS if plain(one) == plain(name)), "")
        if not keyword:
            raise CohortError(
                "--patient-column: the table of labels has no such column, and it is none of the "
                f"DICOM attributes {', '.join(KEYWORDS)}; check the spelling"
            )
        return PatientColumn(keyword)
    cells: dict[str, str] = {}
    several: set[str] = set()
    for key, row in zip(keys, table.rows, strict=True):
        cell = row[columns[0]]
        if key and cell and cells.setdefault(key, cell) != cell:
            several.add(key)
    if several:
        raise CohortError(
            f"--patient-column: the table of labels names several patients for {len(several)} "
            "keys; give each key one patient, or name another key with --label-key"
        )
    return PatientColumn(cells=cells)
