"""What is odd about the films of a cohort: counted, and never kept from the user."""

from collections.abc import Mapping

from medidd.dicom.errors import WARNINGS
from medidd.dicom.folder.cohort import Cohort


def of_cohort(cohort: Cohort) -> list[str]:
    """Returns all there is to say about a cohort, as lines of a summary."""
    return [
        *of_warnings(cohort.warned),
        *of_labels(cohort.refused, cohort.unknown_keys),
        *of_patients(0 if cohort.tells_patients_apart else cohort.unnamed),
    ]


def of_warnings(warned: Mapping[str, int]) -> list[str]:
    """Returns a line for each thing that is odd about films that are used all the same.

    Args:
        warned: how many films, by code.
    """
    return [f"note: {count} films {code}: {WARNINGS[code]}" for code, count in warned.items()]


def of_labels(refused: Mapping[str, int], unknown_keys: int) -> list[str]:
    """Returns ``unmatched`` as a line, if there is anything to say."""
    said = unmatched(refused, unknown_keys)
    return [f"note: {said}"] if said else []


def unmatched(refused: Mapping[str, int], unknown_keys: int) -> str:
    """Returns in words which films and labels did not find each other; '' where all did.

    Args:
        refused: files left out, by reason code.
        unknown_keys: keys in the table of labels that no film has.
    """
    counts = {
        "films have no label": refused.get("label_missing", 0),
        "films have several labels": refused.get("label_unmapped", 0),
        "keys of the table of labels find no usable film": unknown_keys,
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def of_patients(films: int) -> list[str]:
    """Returns a line about so many films without a patient, if there are any."""
    if not films:
        return []
    return [
        f"note: {films} films have no PatientID, so nobody knows which are of one patient, and no "
        "audit is valid; if you can answer for it that no patient has two studies, or two films, "
        "take --unit study, or --unit image"
    ]
