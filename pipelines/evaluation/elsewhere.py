"""Films of another hospital, on which the networks of a run are tested, too.

They are read as the run's own films were: same size, same choices of reading, same target. Nobody
whom the run learned from may be among them. A patient counts as such by identifier (a PatientID
without an issuer is taken for the same person's in both hospitals) or by a film with equal pixels,
and is left out with all films. To leave out a stranger costs a test patient, to keep a member would
make the figures too good.
"""

import hashlib
import json
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medidd.dicom.folder.cohort import Cohort
from medidd.dicom.folder.names import sought
from medidd.dicom.labels.labelling import Labelling
from medidd.dicom.reading import Files
from pipelines.learning.opened_run import OpenedRun
from pipelines.run.errors import Exit, Stop
from pipelines.run.films import Studies, read_films
from pipelines.run.patients import films_of
from pipelines.run.progress import Progress
from pipelines.run.store import Run
from privacy.release import Films

FOLDER = "elsewhere"
"""Where the films are in the private part of a run, each cohort in a folder of its own."""


@dataclass(frozen=True)
class Abroad:
    """Where the films of another hospital are.

    Attributes:
        folder: their folder.
        files: what they are.
        labels: their table of labels; None for the usual places.
        max_refused: refused files allowed per usable film.
    """

    folder: Path
    files: Files = "dicom"
    labels: Path | None = None
    max_refused: float = 0.2


@dataclass(frozen=True)
class Elsewhere:
    """Films of another hospital without the run's members.

    Attributes:
        name: of the cohort in this run, eight hexadecimal digits.
        films: the films.
        cohort: all that was read, with classes in the run's order.
        members: how many patients were left out, because the run learned from them.
        content: a hash of films, labels and patients; figures are about these.
    """

    name: str
    films: Films
    cohort: Cohort
    members: int
    content: str


def read_elsewhere(opened: OpenedRun, abroad: Abroad) -> Generator[Progress, None, Elsewhere]:
    """Reads the films into the private part of the run, once; the value is what can be tested on.

    Raises:
        Stop: they give no cohort, have other classes, or too few are no members; or the run's own
            films were cut into patches.
    """
    frozen = opened.frozen
    if frozen.reading.patches is not None:
        raise Stop(
            "--test: the films of this run were cut into patches, and films elsewhere are read "
            "whole; leave it out, or name a run on whole films",
            Exit.USAGE,
        )
    try:
        studies = Studies(
            abroad.folder,
            Labelling(abroad.labels, **frozen.labelling),
            frozen.size,
            frozen.unit,
            abroad.max_refused,
            replace(frozen.reading, files=abroad.files),
        )
    except ValueError as error:  # pictures name no study
        raise Stop(f"--test-images: {error}", Exit.USAGE) from None
    text = json.dumps(studies.asked(), sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:8]
    try:
        yield from read_films(_place(opened.run, name), studies, stage="read films elsewhere")
    except Stop as stop:
        raise Stop(f"--test: {stop}", stop.code) from None
    return elsewhere(opened, name)


def elsewhere(opened: OpenedRun, name: str) -> Elsewhere:
    """Returns the films that ``read_elsewhere`` has read.

    Raises:
        Stop: they have other classes, or too few are no members.
    """
    cohort = _in_classes(Cohort.open(_place(opened.run, name)), opened.patients.cohort.classes)
    members = _members(opened, cohort)
    official = "test" in cohort.splits
    rows = [
        row
        for row, (patient, split) in enumerate(zip(cohort.patients, cohort.splits, strict=True))
        if str(patient) not in members and (split == "test" or not official)
    ]
    counts = np.bincount(cohort.labels[rows], minlength=len(cohort.classes))
    if not counts.all():
        left = f"; {len(members)} patients are left out, because the run learned from them"
        raise Stop(
            f"--test: no film to test on is left of class number {int(counts.argmin())}"
            f"{left if members else ''}. Name films of other patients; where two hospitals number "
            "their patients alike, IssuerOfPatientID in both tells them apart",
            Exit.DATA,
        )
    films = films_of(cohort, rows)
    content = hashlib.sha256(films.images.numpy().tobytes())
    content.update(json.dumps([films.labels.tolist(), films.patients]).encode())
    return Elsewhere(name, films, cohort, len(members), content.hexdigest()[:16])


def _place(run: Run, name: str) -> Path:
    return run.private / FOLDER / name


def _in_classes(cohort: Cohort, classes: tuple[str, ...]) -> Cohort:
    missing, strange = {*classes} - {*cohort.classes}, {*cohort.classes} - {*classes}
    if missing or strange:
        raise Stop(
            f"--test: its classes are not those of the run ({', '.join(classes)}): {len(missing)} "
            f"of these are missing, and {len(strange)} are different; give them the same names in "
            "its table of labels (--test-labels)",
            Exit.DATA,
        )
    numbers = np.array([classes.index(name) for name in cohort.classes], np.int64)
    return replace(cohort, labels=numbers[cohort.labels], classes=classes)


def _members(opened: OpenedRun, cohort: Cohort) -> frozenset[str]:
    """Returns the patients of a cohort from whom the run learned."""
    own, roles = opened.patients.cohort, opened.patients.roles
    learned = [row for row, one in enumerate(own.patients) if roles[str(one)] == "member"]
    names = sought(name for row in learned for name in own.names[row])
    names |= {str(own.patients[row]) for row in learned}
    pixels = {own.images[row].tobytes() for row in learned}
    return frozenset(
        str(patient)
        for patient, known, film in zip(cohort.patients, cohort.names, cohort.images, strict=True)
        if {str(patient), *known} & names or film.tobytes() in pixels
    )
