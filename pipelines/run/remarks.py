"""What is unusual about the films of a cohort: counted, and always shown to the user."""

from collections import Counter
from collections.abc import Iterable, Mapping

from medidd.dicom.errors import WARNINGS
from medidd.dicom.folder.cohort import Cohort


def of_cohort(cohort: Cohort) -> list[str]:
    """Returns all remarks about a cohort, as lines of a summary."""
    return [
        *of_warnings(cohort.warned),
        *of_labels(cohort.refused, cohort.unknown_keys, cohort.classes),
        *of_patients(0 if cohort.tells_patients_apart else cohort.unnamed),
    ]


def of_warnings(warned: Mapping[str, int]) -> list[str]:
    """Returns a line for each warning about films that medidd uses.

    Args:
        warned: how many films, by code.
    """
    return [f"note: {count} films {code}: {WARNINGS[code]}" for code, count in warned.items()]


def of_labels(
    refused: Mapping[str, int], unknown_keys: int, classes: Iterable[str] = ()
) -> list[str]:
    """Returns ``unmatched`` and ``alike`` as lines, if there is something to say."""
    said = (unmatched(refused, unknown_keys), alike(classes), unsaid(refused))
    return [f"note: {one}" for one in said if one]


def alike(classes: Iterable[str]) -> str:
    """Returns in words how many classes are spelled alike; '' if none are."""
    times = Counter(" ".join(name.casefold().split()) for name in classes)
    count = sum(time for time in times.values() if time > 1)
    if not count:
        return ""
    return (
        f"{count} classes differ from another only by upper and lower case or by spaces; if they "
        "mean the same, spell them alike in the table"
    )


def unsaid(refused: Mapping[str, int]) -> str:
    """Returns in words what makes cells without a label count; '' if all films have labels."""
    if not refused.get("label_missing"):
        return ""
    return (
        "an empty or uncertain cell is no label; with --target, use --blank and --uncertain to say "
        "what it means"
    )


def unmatched(refused: Mapping[str, int], unknown_keys: int) -> str:
    """Returns in words which films and labels did not match; '' if all did.

    Args:
        refused: files left out, by reason code.
        unknown_keys: keys in the table of labels that no film has.
    """
    counts = {
        "films have no label": refused.get("label_missing", 0),
        "films have several labels": refused.get("label_unmapped", 0),
        "films are found by a key that is not theirs alone": refused.get("label_ambiguous", 0),
        "films have no split": refused.get("split_missing", 0),
        "keys of the table of labels match no usable film": unknown_keys,
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def of_patients(films: int) -> list[str]:
    """Returns a line about the films without a patient, if there are any."""
    if not films:
        return []
    return [
        f"note: {films} films have no PatientID, so medidd cannot tell which films show one "
        "patient, and no audit is valid; if you are sure that no patient has two studies, use "
        "--unit study; if no patient has two films, use --unit image"
    ]
