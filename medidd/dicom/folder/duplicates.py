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
from medidd.dicom.folder.evidence import Evidence
from medidd.dicom.folder.union import Joined
from medidd.dicom.header.header import content_of, read, refusing
from medidd.dicom.patches import Region
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
        person: keyed hash of the patient, whatever counts as one.
        label: name of the class.
        split: "train", "val", "test" or ''.
        names: keyed hashes of PatientID, study and object, whatever counts as one patient; '' if
            the PatientID is not known. A fourth one may follow, see ``names``.
        evidence: what its header says about whose film it is.
        traits: sex, band of age and keyed hash of the device by name; '' if not known.
        view: name of the view, or ''.
        side: "L", "R" or ''.
        region: what it shows where, if it is cut into patches by that.
    """

    source: Source
    state: tuple[int, int]
    instance: str
    patient: str
    person: str
    label: str
    split: str
    names: tuple[str, ...]
    evidence: Evidence
    traits: Mapping[str, str]
    view: str = ""
    side: str = ""
    region: Region | None = None

    @property
    def changed(self) -> bool:
        """Whether the file, or the mask of its region, has changed since its header was read."""
        read = [(self.source, self.state)]
        if self.region is not None and self.region.mask is not None:
            read.append((Source(self.region.mask), self.region.state))
        try:
            return any(source.state() != state for source, state in read)
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


def same_pixels(images: npt.NDArray[np.uint16], rows: Sequence[int]) -> list[list[int]]:
    """Returns the rows with equal pixels together, in groups.

    Args:
        images: all films, (n, size, size).
        rows: the rows to compare.
    """
    equal = _grouped((hashlib.sha256(images[row].tobytes()).digest(), row) for row in rows)
    return [group for group in equal.values() if len(group) > 1]


def copies_in(groups: Iterable[Sequence[int]], films: Sequence[Film]) -> dict[int, str]:
    """Returns the code for each row that is refused, because its film is there once more.

    One patient's films with equal pixels are one film: the first is kept, or none if their labels
    differ.

    Args:
        groups: rows with equal pixels.
        films: the film of each row.
    """
    refused: dict[int, str] = {}
    for group in groups:
        for copies in _grouped((films[row].patient, row) for row in group).values():
            clash = len({(films[row].label, films[row].split) for row in copies}) > 1
            refused.update(
                dict.fromkeys(copies, "conflicting_duplicate")
                if clash
                else dict.fromkeys(copies[1:], "duplicate_pixels")
            )
    return refused


def joined_by(groups: Iterable[Sequence[str]]) -> Joined:
    """Returns whom patients count as if films with equal pixels are of one patient.

    An audit must hold out two such patients together.

    Args:
        groups: the patients of films with equal pixels.
    """
    joined = Joined()
    for first, *others in groups:
        for other in others:
            joined.join(first, other)
    return joined


def _agree(copies: Sequence[Film]) -> bool:
    """Whether copies of one object have the same label, split and content."""
    if len({(copy.patient, copy.label, copy.split) for copy in copies}) > 1:
        return False
    try:
        with refusing("header_error"):
            # Equal files need no parser, and a picture must not get to one of DICOM.
            if len({_bytes(copy) for copy in copies}) == 1:
                return True
            first = _content(copies[0])
            return all(_content(copy) == first for copy in copies[1:])
    except Refused:
        return False


def _bytes(film: Film) -> str:
    with film.source.open() as file:
        return content_of(file)


def _content(film: Film) -> Dataset:
    with film.source.open() as file:
        return Dataset(read(file, pixels=True))


def _grouped(pairs: Iterable[tuple[Key, Item]]) -> dict[Key, list[Item]]:
    groups: dict[Key, list[Item]] = defaultdict(list)
    for key, item in pairs:
        groups[key].append(item)
    return groups
