"""Each film only once: copies of an object, and equal pixels under two UIDs.

What is kept must not depend on the order in which a disk lists its files. So if copies differ, all
are refused: nobody can say which of them is right.
"""

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from medidd.dicom.errors import Refused
from medidd.dicom.header.header import read, refusing
from medidd.dicom.refusals import Exposure, Refusal
from medidd.dicom.source import Source

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, repr=False, slots=True)
class Film:
    """A film of the future cohort; without a repr, because it identifies a person.

    Attributes:
        source: the file.
        state: the file's state when its header was read.
        instance: SOPInstanceUID.
        patient: keyed hash of what counts as one patient.
        label: name of the class.
        split: "train", "val", "test" or ''.
        names: keyed hashes of PatientID, study and object, whatever counts as one patient; '' for a
            missing PatientID.
        traits: sex, band of age and keyed hash of the device by name; '' if not known.
        view: name of the view, or ''.
        side: "L", "R" or ''.
    """

    source: Source
    state: tuple[int, int]
    instance: str
    patient: str
    label: str
    split: str
    names: tuple[str, str, str]
    traits: Mapping[str, str]
    view: str = ""
    side: str = ""

    @property
    def changed(self) -> bool:
        """Whether the file has changed since its header was read."""
        try:
            return self.source.state() != self.state
        except OSError:
            return True

    @property
    def exposure(self) -> Exposure:
        """What the film is of."""
        return Exposure(self.names[1], self.instance, self.view, self.side)

    @property
    def path(self) -> Path:
        """Where the file is; see ``Source.place``."""
        return self.source.place


def once(films: Iterable[Film]) -> tuple[list[Film], list[Refusal]]:
    """Returns one film per SOPInstanceUID, by UID, and the refused copies."""
    kept: list[Film] = []
    refused: list[Refusal] = []
    by_name = sorted(films, key=lambda film: film.source)
    for _, copies in sorted(_grouped((film.instance, film) for film in by_name).items()):
        if len(copies) == 1 or _agree(copies):
            kept.append(copies[0])
            refused += [Refusal(copy.path, "duplicate") for copy in copies[1:]]
        else:
            refused += [Refusal(copy.path, "conflicting_duplicate") for copy in copies]
    return kept, refused


def same_pixels(
    images: npt.NDArray[np.uint16], rows: Sequence[int], films: Sequence[Film]
) -> tuple[dict[int, str], dict[str, str]]:
    """Finds equal pixels among the ``rows`` of ``images``.

    One patient's films with equal pixels are one film: the first is kept, or none if their labels
    differ. If films of two patients have equal pixels, the two count as one patient, because an
    audit must hold out both together.

    Args:
        images: all films, (n, size, size).
        rows: the rows to compare.
        films: the film of each row of ``images``.

    Returns:
        The code for each refused row, and for each patient the patient to count as.
    """
    refused: dict[int, str] = {}
    stands_for = {films[row].patient: films[row].patient for row in rows}

    def first(patient: str) -> str:
        while stands_for[patient] != patient:
            patient = stands_for[patient]
        return patient

    equal = _grouped((hashlib.sha256(images[row].tobytes()).digest(), row) for row in rows)
    for group in equal.values():
        for copies in _grouped((films[row].patient, row) for row in group).values():
            clash = len({(films[row].label, films[row].split) for row in copies}) > 1
            refused.update(
                dict.fromkeys(copies, "conflicting_duplicate")
                if clash
                else dict.fromkeys(copies[1:], "duplicate_pixels")
            )
        patients = sorted({first(films[row].patient) for row in group})
        stands_for.update(dict.fromkeys(patients, patients[0]))
    return refused, {patient: first(patient) for patient in stands_for}


def _agree(copies: Sequence[Film]) -> bool:
    """Whether copies of one object have the same label, split and content."""
    if len({(copy.patient, copy.label, copy.split) for copy in copies}) > 1:
        return False
    try:
        with refusing("header_error"):
            first = _content(copies[0])
            return all(_content(copy) == first for copy in copies[1:])
    except Refused:
        return False


def _content(film: Film) -> Dataset:
    with film.source.open() as file:
        return Dataset(read(file, pixels=True))


def _grouped(pairs: Iterable[tuple[Key, Item]]) -> dict[Key, list[Item]]:
    groups: dict[Key, list[Item]] = defaultdict(list)
    for key, item in pairs:
        groups[key].append(item)
    return groups
