"""What is in a folder, from headers alone: counts, and no word that could name a person."""

import secrets
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset

from medidd.dicom.errors import Refused
from medidd.dicom.folder.gathering import Gathered
from medidd.dicom.folder.scan import examined, files
from medidd.dicom.header import terms
from medidd.dicom.header.header import Header, read, refusing, text
from medidd.dicom.isolation import Lost, isolated
from medidd.dicom.labels.labels import Labels
from medidd.dicom.refusals import Refusal
from medidd.dicom.source import Source

NO_HEADER = frozenset(
    {"not_a_file", "symlink_skipped", "dicomdir_ignored", "unreadable", "bad_zip"}
    | {"nested_archive", "not_dicom", "header_error"}
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
        views: by view position.
        bits: by bits stored.
        rows: by height in pixels.
        columns: by width in pixels.
        devices: keys of the different devices.
        usable: radiographs.
        unnamed: radiographs without PatientID.
        patients: PatientIDs with their issuers.
        studies: study UIDs of the radiographs.
        objects: SOP instance UIDs of the radiographs.
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
    unnamed: int = 0
    patients: set[tuple[str, str]] = field(default_factory=set, repr=False)
    studies: set[str] = field(default_factory=set, repr=False)
    objects: set[str] = field(default_factory=set, repr=False)

    @property
    def copies(self) -> int:
        """Number of repeated radiographs: those with the SOPInstanceUID of another."""
        return self.usable - len(self.objects)

    def add(self, header: Header) -> None:
        """Counts a radiograph."""
        self.usable += 1
        self.studies.add(header.links["StudyInstanceUID"])
        self.objects.add(header.links["SOPInstanceUID"])
        if name := header.links["PatientID"]:
            self.patients.add((header.issuer, name))
        else:
            self.unnamed += 1


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
    seen = Survey()
    refused: list[Refusal] = []
    yield seen
    for _, found in isolated(_looked_at, files(root, refused)):
        seen.files += 1
        use, words = (found, None) if isinstance(found, Lost) else found
        if isinstance(use, Header):
            seen.add(use)
            if gathered is not None:
                gathered.add(use)
        else:
            seen.refused[use.code] += 1
        if words is not None:
            _count(seen, words)
        yield seen
    seen.files += len(refused)
    seen.refused.update(one.code for one in refused)
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
    films = gathered.films
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
            words = {keyword: _word(said, keyword) for keyword in _TAGS}
            return found, words | {_SYNTAX: _word(said.file_meta, _SYNTAX)}
    except Refused:
        return found, None


def _count(seen: Survey, words: dict[str, str]) -> None:
    """Counts what one header says, as far as it can be read."""
    seen.headers += 1
    seen.modalities[terms.known(words["Modality"], terms.MODALITIES)] += 1
    seen.syntaxes[terms.syntax(words[_SYNTAX])] += 1
    seen.photometric[terms.known(words["PhotometricInterpretation"], terms.PHOTOMETRIC)] += 1
    seen.views[terms.known(words["ViewPosition"], terms.VIEWS)] += 1
    seen.bits[terms.number(words["BitsStored"], 64)] += 1
    for counts, keyword in ((seen.rows, "Rows"), (seen.columns, "Columns")):
        if (side := terms.number(words[keyword], _LARGEST)).isdigit():
            counts[int(side)] += 1
    if device := f"{words['Manufacturer']}|{words['ManufacturerModelName']}".strip("|").casefold():
        seen.devices.add(device)


def _word(found: Dataset, keyword: str) -> str:
    """Returns an element as text, or '' if it cannot be read."""
    try:
        return text(found, keyword)
    except Exception:  # pydicom raises nearly every type
        return ""
