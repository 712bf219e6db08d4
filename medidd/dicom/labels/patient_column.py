"""A patient that is not in PatientID: in a column of the table of labels, or in another attribute.

De-identified sets often have one placeholder as PatientID on all films. The real patient is then in
the table, in the accession number or in Clinical Trial Subject ID (PS3.3 C.7.1.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from medidd.dicom.errors import CohortError
from medidd.dicom.header.header import Header
from medidd.dicom.labels.keys import plain
from medidd.dicom.labels.label_table import LabelTable

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
    """

    keyword: str = ""
    cells: dict[str, str] = field(default_factory=dict)

    def of(self, header: Header, row: str) -> str:
        """Returns a film's patient, '' if none is named; ``row`` is its key in the table."""
        return header.links.get(self.keyword, "") if self.keyword else self.cells.get(row, "")


def patient_column(
    name: str | None, table: LabelTable | None = None, keys: Sequence[str] = ()
) -> PatientColumn | None:
    """Returns where the patient is, None without ``name``.

    Args:
        name: a column of the table, else one of ``KEYWORDS``.
        table: the table of labels; None if there is none.
        keys: the key of each row of the table.

    Raises:
        CohortError: there is no such column, or it gives one key several patients.
    """
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
