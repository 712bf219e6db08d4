"""Says what is in a folder of DICOM studies, from headers only; writes nothing."""

import os
from collections import Counter
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path

from medidd.dicom.errors import CohortError
from medidd.dicom.folder.survey import Found, Survey, classes, survey, unkept
from medidd.dicom.labels.labelling import USUAL, Labelling
from medidd.dicom.labels.labels import read_labels
from pipelines.run import remarks
from pipelines.run.errors import Exit, Stop
from pipelines.run.progress import Answer, Progress

_OFTEN = 100
"""Files between two reports of progress."""


@dataclass(frozen=True)
class Inspect:
    """Say what is in a folder.

    Attributes:
        folder: the folder.
        labels: where the labels are and how they are read.
    """

    folder: Path
    labels: Labelling = USUAL


def run(job: Inspect) -> Generator[Progress, None, Answer]:
    """Reads the headers; the generator's value is the answer.

    Raises:
        Stop: the folder, or a table of labels that the user named, cannot be read.
    """
    if not os.access(job.folder, os.R_OK | os.X_OK):
        raise Stop(f"{job.folder}: not a readable folder; check its permissions", Exit.DATA)
    total = sum(len(files) for _, _, files in os.walk(job.folder))
    gathered, about, problem = None, None, ""
    try:
        gathered = unkept(read_labels(job.folder, job.labels))
    except CohortError as error:
        problem = _minded(job, error)
    seen = Survey()
    for done, counted in enumerate(survey(job.folder, gathered), 1):
        seen = counted
        if done % _OFTEN == 0:
            yield Progress("read headers", done, max(done, total))
    yield Progress("read headers", seen.files, seen.files)
    if gathered is not None:
        try:
            about = classes(gathered)
        except CohortError as error:
            problem = _minded(job, error)
    return Answer(
        [
            *_lines(job.folder, seen),
            *_about_labels(about, problem),
            *remarks.of_evidence(seen.odd),
        ],
        _value(seen)
        | {"labels": asdict(about) if about else None, "labels_problem": problem or None},
    )


def _minded(job: Inspect, error: CohortError) -> str:
    """Returns what is wrong with the labels.

    Without an option for labels this is no error: the folder may have no labels yet.
    """
    if job.labels != USUAL:
        raise Stop(str(error), Exit.DATA) from None
    return str(error)


def _lines(folder: Path, seen: Survey) -> list[str]:
    lines = [
        f"{folder}: {seen.files} files, {seen.headers} of them DICOM with a header",
        f"usable: {seen.usable} radiographs of {seen.patients} patients in "
        f"{len(seen.studies)} studies, judged by their headers",
    ]
    if seen.unnamed:
        lines.append(f"  {seen.unnamed} of them have no PatientID")
    if seen.copies:
        lines.append(f"  {seen.copies} of them are copies of the same object")
    for name, counts in (
        ("modality", seen.modalities),
        ("transfer syntax", seen.syntaxes),
        ("photometric interpretation", seen.photometric),
        ("view", seen.views),
        ("bits stored", seen.bits),
    ):
        if counts:
            lines.append(f"{name}: {_listed(counts)}")
    if seen.rows and seen.columns:
        lines.append(f"size: {_range(seen.rows)} rows, {_range(seen.columns)} columns")
    lines.append(f"different devices: {len(seen.devices)}")
    return lines + remarks.of_refused(seen.refused)


def _about_labels(found: Found | None, problem: str) -> list[str]:
    if found is None:
        return [f"labels: {problem}"]
    named = [
        f"{name} {films} films of {found.patients[name]} patients"
        for name, films in found.films.items()
    ]
    if found.hidden:
        named.append(f"{found.hidden} classes of one patient each, not named here")
    lines = [f"labels: {', '.join(named) or 'none for these films'}"]
    if found.splits:
        lines.append(f"splits: {', '.join(f'{name} {n}' for name, n in found.splits.items())}")
    return lines + remarks.of_labels(found.refused, found.unknown_keys, found.films)


def _value(seen: Survey) -> dict[str, object]:
    return {
        "files": seen.files,
        "dicom": seen.headers,
        "usable": seen.usable,
        "patients": seen.patients,
        "patient_id_missing": seen.unnamed,
        "evidence": seen.odd,
        "studies": len(seen.studies),
        "copies": seen.copies,
        "modalities": _sorted(seen.modalities),
        "transfer_syntaxes": _sorted(seen.syntaxes),
        "photometric_interpretations": _sorted(seen.photometric),
        "views": _sorted(seen.views),
        "bits_stored": _sorted(seen.bits),
        "rows": [min(seen.rows), max(seen.rows)] if seen.rows else None,
        "columns": [min(seen.columns), max(seen.columns)] if seen.columns else None,
        "devices": len(seen.devices),
        "refused": _sorted(seen.refused),
    }


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def _range(counts: Counter[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
