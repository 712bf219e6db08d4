"""What is in a folder, from headers alone: counts, and no word that could name a person."""

import secrets
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from medidd.dicom.errors import Refused
from medidd.dicom.folder.evidence import Evidence, evidence_of
from medidd.dicom.folder.gathering import Gathered
from medidd.dicom.folder.patients import shared, whose
from medidd.dicom.folder.scan import examined, files
from medidd.dicom.folder.twins import settled
from medidd.dicom.header import terms
from medidd.dicom.header.elements import optional
from medidd.dicom.header.header import Header, read, refusing
from medidd.dicom.isolation import Lost, isolated
from medidd.dicom.labels.labels import Labels
from medidd.dicom.refusals import Exposure, Refusal
from medidd.dicom.source import Source
from medidd.dicom.views import CHOICES, view_of

NO_HEADER = frozenset(
    {"not_a_file", "symlink_skipped", "dicomdir_ignored", "unreadable", "bad_zip"}
    | {"nested_archive", "not_dicom", "header_error", "symlink_loop", "packed"}
)
"""Reason codes of files without a readable header."""

_TAGS = [
    *("Modality", "PhotometricInterpretation", "ViewPosition", "BitsStored", "Rows", "Columns"),
    *("Manufacturer", "ManufacturerModelName"),
]
_SYNTAX = "TransferSyntaxUID"
_LARGEST = 65535  # rows or columns, an unsigned short


@dataclass
class Survey:
    """Counts of a folder.

    Attributes:
        files: files seen.
        headers: DICOM files whose header could be read, of any kind.
        refused: files that are no usable radiograph, by reason code.
        modalities: files by modality; undefined words count as "other".
        syntaxes: by transfer syntax.
        photometric: by photometric interpretation.
        views: by view, as ``--views`` finds it.
        bits: by bits stored.
        rows: by height in pixels.
        columns: by width in pixels.
        devices: keys of the different devices.
        usable: radiographs.
        evidence: what the radiographs say about whose they are.
        patients: number of patients, once all files were seen; see ``patients``.
        unnamed: radiographs of no known PatientID, likewise.
        odd: what is odd about whose films these are, counts by code, likewise.
        studies: study UIDs of the radiographs.
        objects: SOP instance UIDs of the radiographs.
        exposures: what the radiographs are of.
        raws: raw detector data; after the last file, those of a radiograph that is there are
            counted as such.
    """

    files: int = 0
    headers: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    modalities: Counter[str] = field(default_factory=Counter)
    syntaxes: Counter[str] = field(default_factory=Counter)
    photometric: Counter[str] = field(default_factory=Counter)
    views: Counter[str] = field(default_factory=Counter)
    bits: Counter[str] = field(default_factory=Counter)
    rows: Counter[int] = field(default_factory=Counter)
    columns: Counter[int] = field(default_factory=Counter)
    devices: set[str] = field(default_factory=set, repr=False)
    usable: int = 0
    evidence: list[Evidence] = field(default_factory=list, repr=False)
    patients: int = 0
    unnamed: int = 0
    odd: dict[str, int] = field(default_factory=dict)
    studies: set[str] = field(default_factory=set, repr=False)
    objects: set[str] = field(default_factory=set, repr=False)
    exposures: list[Exposure] = field(default_factory=list, repr=False)
    raws: list[Refusal] = field(default_factory=list, repr=False)

    @property
    def copies(self) -> int:
        """Number of repeated radiographs: those with the SOPInstanceUID of another."""
        return self.usable - len(self.objects)

    def add(self, header: Header, evidence: Evidence) -> None:
        """Counts a radiograph."""
        self.usable += 1
        self.evidence.append(evidence)
        self.studies.add(header.links["StudyInstanceUID"])
        self.objects.add(header.links["SOPInstanceUID"])
        self.exposures.append(header.exposure)

    def count_patients(self) -> None:
        """Counts patients among the radiographs seen so far."""
        found = whose(self.evidence)
        of = [(one, found.of(one)) for one in self.evidence]
        self.patients = len({patient for _, patient in of})
        self.unnamed = sum(not found.known(one) for one in self.evidence)
        self.odd = {**found.said, **shared(of)}


@dataclass(frozen=True)
class Found:
    """What labels say about the radiographs.

    Attributes:
        films: radiographs by class, for classes that may be shown.
        patients: patients by class, for the same classes.
        hidden: number of classes that may not be shown: a class of one patient may be a name.
        splits: radiographs by split, for those that have one.
        refused: radiographs without one label, by reason code.
        unknown_keys: keys of the table that no radiograph has.
    """

    films: dict[str, int]
    patients: dict[str, int]
    hidden: int
    splits: dict[str, int]
    refused: dict[str, int]
    unknown_keys: int


def survey(root: Path, gathered: Gathered | None = None) -> Iterator[Survey]:
    """Yields the counts after each file; it is the same object every time.

    Args:
        root: the folder.
        gathered: collects the radiographs, if there are labels for them.
    """
    seen, secret = Survey(), secrets.token_bytes(32)
    refused: list[Refusal] = []
    yield seen
    for _, found in isolated(_looked_at, files(root, refused)):
        seen.files += 1
        use, words = (found, None) if isinstance(found, Lost) else found
        if isinstance(use, Header):
            if gathered is not None:
                gathered.add(use)
                seen.add(use, gathered.evidence[-1])
            else:
                seen.add(use, evidence_of(use, secret))
        elif isinstance(use, Refusal) and use.exposure:
            seen.raws.append(use)
        else:
            seen.refused[use.code] += 1
        if words is not None:
            _count(seen, words)
        yield seen
    seen.files += len(refused)
    refused += settled(seen.raws, seen.exposures)
    seen.refused.update(one.code for one in refused)
    seen.count_patients()
    yield seen


def unkept(labels: Labels) -> Gathered:
    """Returns a collection of radiographs for one look: its key is random and not kept."""
    return Gathered(labels, secrets.token_bytes(32), "patient")


def classes(gathered: Gathered) -> Found:
    """Returns what labels say about the radiographs.

    Raises:
        CohortError: a class is named by an identifier of its films, or its name is no line of text.
    """
    gathered.refuse_doubtful()
    gathered.require_printable_classes()
    gathered.require_anonymous_classes()
    films, _ = gathered.of_patients()
    patients: dict[str, set[str]] = defaultdict(set)
    for film in films:
        patients[film.label].add(film.patient)
    shown = sorted(name for name, people in patients.items() if len(people) > 1)
    of_class = Counter(film.label for film in films)
    return Found(
        {name: of_class[name] for name in shown},
        {name: len(patients[name]) for name in shown},
        len(patients) - len(shown),
        dict(sorted(Counter(film.split for film in films if film.split).items())),
        dict(sorted(Counter(refusal.code for refusal in gathered.refusals).items())),
        gathered.unknown_keys,
    )


def _looked_at(source: Source) -> tuple[Header | Refusal, dict[str, str] | None]:
    """Returns whether a file can be used, and what its header says, None without a header."""
    found = examined(source)
    if isinstance(found, Refusal) and found.code in NO_HEADER:
        return found, None
    try:
        with refusing("unreadable"), source.open() as file:
            said = read(file, pixels=False)
            words = {keyword: optional(said, keyword) for keyword in _TAGS}
            # As --views finds it; "other" is a view that has no name or is not understood.
            view = view_of(said)
            words["ViewPosition"] = view or (terms.OTHER if view is None else words["ViewPosition"])
            return found, words | {_SYNTAX: optional(said.file_meta, _SYNTAX)}
    except Refused:
        return found, None


def _count(seen: Survey, words: dict[str, str]) -> None:
    """Counts what one header says, as far as it can be read."""
    seen.headers += 1
    seen.modalities[terms.known(words["Modality"], terms.MODALITIES)] += 1
    seen.syntaxes[terms.syntax(words[_SYNTAX])] += 1
    seen.photometric[terms.known(words["PhotometricInterpretation"], terms.PHOTOMETRIC)] += 1
    seen.views[terms.known(words["ViewPosition"], frozenset(CHOICES))] += 1
    seen.bits[terms.number(words["BitsStored"], 64)] += 1
    for counts, keyword in ((seen.rows, "Rows"), (seen.columns, "Columns")):
        if (side := terms.number(words[keyword], _LARGEST)).isdigit():
            counts[int(side)] += 1
    if device := f"{words['Manufacturer']}|{words['ManufacturerModelName']}".strip("|").casefold():
        seen.devices.add(device)
