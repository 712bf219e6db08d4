"""What is unusual about the films of a cohort: counted, and always shown to the user."""

from collections import Counter
from collections.abc import Iterable, Mapping

from medidd.dicom.errors import REASONS, WARNINGS, counts, parted
from medidd.dicom.folder.cohort import Cohort
from medidd.dicom.folder.patients import CONTRADICTIONS, JOINS

_NO_LOSS = "files that lose no film"


def of_cohort(cohort: Cohort) -> list[str]:
    """Returns all remarks about a cohort, as lines of a summary."""
    return [
        *of_warnings(cohort.warned),
        *of_labels(cohort.refused, cohort.unknown_keys, cohort.classes),
        *of_evidence(cohort.evidence),
        *of_patients(0 if cohort.tells_patients_apart else cohort.unnamed),
    ]


def of_refused(refused: Mapping[str, int]) -> list[str]:
    """Returns the files that a cohort does not use, those that lost no film apart, as lines."""
    lines = []
    for codes, what in zip(parted(refused), ("files left out", _NO_LOSS), strict=True):
        if codes:
            lines.append(f"{sum(codes.values())} {what}:")
            lines += [f"  {count} {code}: {REASONS[code]}" for code, count in codes.items()]
    return lines


def left_out(refused: Mapping[str, int]) -> str:
    """Returns the same in a line: ``color 3; files that lose no film: no_image 12``."""
    lost, harmless = parted(refused)
    return counts(lost) + (f"; {_NO_LOSS}: {counts(harmless)}" if harmless else "")


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


def of_evidence(said: Mapping[str, int]) -> list[str]:
    """Returns a line for each thing that is odd about whose films these are.

    Args:
        said: counts by code of ``JOINS`` and ``CONTRADICTIONS``.
    """
    texts = JOINS | CONTRADICTIONS
    return [f"note: {said[code]} {text}" for code, text in texts.items() if said.get(code)]


def of_patients(films: int) -> list[str]:
    """Returns a line about the films without a patient, if there are any."""
    if not films:
        return []
    return [
        f"note: {films} films have no PatientID, so medidd cannot tell which films show one "
        "patient, and no audit is valid; if you are sure that no patient has two studies, use "
        "--unit study; if no patient has two films, use --unit image; if the patient is in a "
        "column of the table of labels, or in an attribute such as AccessionNumber, use "
        "--patient-column NAME; if it is in the files' names, use --patient-pattern REGEX"
    ]
