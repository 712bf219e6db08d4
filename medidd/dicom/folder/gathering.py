"""What is kept from headers that are read one after another.

A large folder has more headers than memory should hold, so each is dropped once it was seen. What
is kept are the films, and identifiers as keyed hashes.
"""

import os
import unicodedata
from collections import Counter
from dataclasses import replace
from itertools import chain
from pathlib import Path
from sys import intern

from medidd.dicom.errors import CohortError, Refused
from medidd.dicom.folder.duplicates import Film
from medidd.dicom.folder.evidence import Evidence, evidence_of
from medidd.dicom.folder.names import marked
from medidd.dicom.folder.patients import Unit, Whose, whose
from medidd.dicom.folder.twins import settled
from medidd.dicom.header.header import Header
from medidd.dicom.header.identifiers import keyed, tokens_of, tokens_of_identifiers
from medidd.dicom.labels.finder import Sharing
from medidd.dicom.labels.labelling import USUAL, Labelling
from medidd.dicom.labels.labels import Labels, read_labels
from medidd.dicom.labels.regions import Regions, read_regions
from medidd.dicom.reading import DEFAULT, Reading
from medidd.dicom.refusals import Exposure, Refusal
from medidd.dicom.source import has_files

_TRAITS = ("sex", "age", "device")
_FINDS_ONE = frozenset({"folder", "path", "file", "SOPInstanceUID", "StudyInstanceUID"})
"""Keys of a table of labels that find the films of one patient."""


class Gathered:
    """Radiographs by their labels.

    Attributes:
        labels: the labels.
        key: the key for hashing identifiers.
        unit: what counts as one patient.
        regions: from which patches get their classes; None if they have their films'.
        headers: radiographs seen.
        films: radiographs with a label; ``of_patients`` says whose they are.
        evidence: what all radiographs say about whose they are.
        refusals: radiographs without a label or with several, and files that are no radiograph.
        tokens: keyed hashes of the tokens of all identifiers, except names of files; see
            ``identifying``.
    """

    def __init__(
        self, labels: Labels, key: bytes, unit: Unit, regions: Regions | None = None
    ) -> None:
        """Starts empty."""
        self.headers = 0
        self.films: list[Film] = []
        self.evidence: list[Evidence] = []
        self.refusals: list[Refusal] = []
        self.tokens: set[str] = set()
        self.labels, self.key, self.unit, self.regions = labels, key, unit, regions
        self._stems: Counter[str] = Counter()
        self._unknown = set(labels.rows)
        self._shared: dict[str, set[str]] = {}
        self._in_id: set[str] = set()
        self._traits: dict[tuple[str, str, str], dict[str, str]] = {}
        self._sharing, self._regional = Sharing(), Sharing()
        self._regions_found: set[str] = set()

    @classmethod
    def under(
        cls,
        root: Path,
        labelling: Labelling | None,
        key: bytes,
        unit: Unit = "patient",
        reading: Reading = DEFAULT,
    ) -> "Gathered":
        """Returns an empty one for the films under ``root``.

        Args:
            root: folder of DICOM files.
            labelling: where labels are; None for the usual places, see ``labels.read_labels``.
            key: the key for hashing identifiers.
            unit: what counts as one patient.
            reading: how films are read.

        Raises:
            CohortError: the folder or the labels cannot be read.
        """
        if not (root.is_dir() and os.access(root, os.R_OK | os.X_OK)):
            raise CohortError(
                f"{root}: no folder that can be read; name the folder that holds the films"
            )
        if not has_files(root):
            kind = "DICOM" if reading.files == "dicom" else "PNG, JPEG or TIFF"
            raise CohortError(f"{root}: no {kind} file in it; name the folder that holds the films")
        labels = read_labels(root, labelling or USUAL)
        if reading.files == "pictures" and labels.column is not None and labels.column.keyword:
            raise CohortError(
                "--patient-column: the table of labels has no such column, and pictures have no "
                "DICOM attributes; check the spelling, or use --patient-pattern"
            )
        place, patches = (labelling or USUAL).regions, reading.patches
        if place is not None and patches is None:
            raise CohortError("--regions: films are not cut; say with --patch-size how")
        regions = read_regions(root, place, patches) if place and patches else None
        return cls(labels, key, unit, regions)

    def add(self, header: Header | Refusal) -> None:
        """Adds a radiograph, or the reason why a file is none."""
        if isinstance(header, Refusal):
            raw = header.exposure
            self.refusals.append(replace(header, exposure=self._named(raw)) if raw else header)
            return
        self.headers += 1
        row, column = self.labels.row_of(header), self.labels.patient_of(header)
        tokens = tokens_of_identifiers({*header.identifiers, column or ""})
        self.tokens.update(keyed(self.key, token) for token in tokens)
        if header.stem:
            stem = tokens_of_identifiers([header.stem])
            self._stems.update(keyed(self.key, token) for token in stem)
        self._unknown.discard(row)
        row = "" if self.labels.key in _FINDS_ONE else row
        evidence = evidence_of(header, self.key, column=column, row=row)
        self.evidence.append(evidence)
        try:
            film = self._film(header, evidence)
        except Refused as left_out:
            named = self._named(header.exposure)
            self.refusals.append(Refusal(header.path, left_out.code, named))
            return
        for table, match, by_file in self.labels.shared(header):
            # The issuer is left out: a film without one may be of the same patient.
            links = header.links
            patient = self._hash(links["PatientID"] or f"study|{links['StudyInstanceUID']}")
            whose = film.instance if by_file else patient
            self._sharing.add(table, match, len(self.films), whose)
        if self.regions and (match := self.regions.match(header)).row:
            self._regional.add("regions", match, len(self.films), film.instance)
            self._regions_found.add(match.row)
        self.films.append(film)
        for label in {film.label} | (film.region.labels if film.region else set()):
            self._note_class(label, header, tokens)

    def of_patients(self) -> tuple[list[Film], Whose]:
        """Returns the films with their patients, and how these were found."""
        found = whose(self.evidence, self.unit)

        def given(film: Film) -> Film:
            person = found.of(film.evidence)
            own, study, image = film.evidence.person, *film.names[1:3]
            bare = marked(film.evidence)
            if not found.named(film.evidence):
                own, bare = person if found.known(film.evidence) else "", ""
            if self.unit == "image" and not own and found.loose(film.evidence):
                person = image  # neither ID nor study says anything, and the user answers for it
            stands_for: dict[Unit, str] = {"patient": person, "study": study, "image": image}
            return replace(
                film, patient=stands_for[self.unit], person=person, names=(own, study, image, bare)
            )

        for place, film in enumerate(self.films):
            self.films[place] = given(film)  # in place, because there may be many
        return self.films, found

    def settled(self) -> list[Refusal]:
        """Returns the refusals; raw detector data whose film is there are named as such."""
        unlabelled = (one.exposure for one in self.refusals if one.code != "for_processing")
        films = (film.exposure for film in self.films)
        return settled(self.refusals, chain(films, filter(None, unlabelled)))

    def identifying(self) -> set[str]:
        """Returns keyed hashes of the tokens of all identifiers, names of pictures among them.

        A word in the names of more than half of the pictures, such as "frontal", names nobody. Nor
        does a word of a class, as in COVID-12.png: classes are published.
        """
        classes = {keyed(self.key, word) for label in self._shared for word in tokens_of(label)}
        named = {token for token, count in self._stems.items() if 2 * count <= self.headers}
        return self.tokens | (named - classes)

    @property
    def unknown_keys(self) -> int:
        """Number of keys in the table of labels that no radiograph has."""
        return len(self._unknown)

    @property
    def unused_regions(self) -> int:
        """Number of masks, or of keys in the table of regions, that no labelled film has."""
        return len(self.regions.rows.keys() - self._regions_found) if self.regions else 0

    def refuse_doubtful(self) -> None:
        """Refuses films whose key in a table turned out to find other films or patients, too."""
        doubtful = dict.fromkeys(self._regional.doubtful(), "region_ambiguous")
        doubtful |= dict.fromkeys(self._sharing.doubtful(), "label_ambiguous")
        for at, code in sorted(doubtful.items()):
            film = self.films[at]
            self.refusals.append(Refusal(film.path, code, film.exposure))
        self.films = [film for at, film in enumerate(self.films) if at not in doubtful]
        self._sharing, self._regional = Sharing(), Sharing()

    def require_anonymous_classes(self) -> None:
        """Refuses classes that are patients, such as one folder per patient: classes are published.

        Raises:
            CohortError: a class's name contains an identifier that all its films share.
        """
        named = [label for label, words in self._shared.items() if words]
        if not named:
            return
        where = "PatientID" if self._in_id.issuperset(named) else "such as PatientID or hospital"
        remedy = (
            "give a labels.csv, or name folders by class, not by patient, study or hospital"
            if self.labels.key == "folder"
            else "class names are published, so give these classes other names in the table of "
            "labels, or other IDs to the patients"
        )
        raise CohortError(
            f"{len(named)} of {len(self._shared)} classes are named by an identifier of their "
            f"films ({where}); {remedy}"
        )

    def require_printable_classes(self) -> None:
        """Refuses classes whose names cannot be in a line of text: classes are published.

        Raises:
            CohortError: a name contains a line end, a control character or a byte that is no UTF-8.
        """
        if bad := sum(any(map(_breaks, label)) for label in self._shared):
            raise CohortError(
                f"{bad} of {len(self._shared)} classes have a name with line ends, control "
                "characters or letters that are no UTF-8; rename them"
            )

    def _note_class(self, label: str, header: Header, tokens: set[str]) -> None:
        """Keeps the words of a class's name that are in the identifiers of all its films."""
        words = self._shared.get(label)
        if words is None:
            words = tokens_of(label)
            self._in_id.add(label)
        words &= tokens
        self._shared[label] = words
        if words and not words & tokens_of_identifiers([header.links["PatientID"]]):
            self._in_id.discard(label)

    def _film(self, header: Header, evidence: Evidence) -> Film:
        """Returns what a cohort would keep of a film, its patient not yet known.

        Raises:
            Refused: the film has no label, or several, or no region where it needs one.
        """
        label, split = self.labels.of(header)
        instance = header.links["SOPInstanceUID"]
        traits = (header.sex, header.age, self._device(header))
        return Film(
            header.source,
            header.state,
            instance,
            patient="",
            person="",
            label=label,
            split=split,
            names=(evidence.person, evidence.study, self._hash(f"image|{instance}")),
            evidence=evidence,
            traits=self._traits.setdefault(traits, dict(zip(_TRAITS, traits, strict=True))),
            view=intern(header.view),
            side=intern(header.side),
            region=self.regions.of(header, label) if self.regions else None,
        )

    def _device(self, header: Header) -> str:
        return self._hash(f"device|{header.device}")[:8] if header.device else ""

    def _named(self, exposure: Exposure) -> Exposure:
        """Returns an exposure by its study's keyed hash."""
        return replace(exposure, study=self._study(exposure.study))

    def _study(self, uid: str) -> str:
        return self._hash(f"study|{uid}")

    def _hash(self, text: str) -> str:
        return keyed(self.key, text)


def _breaks(letter: str) -> bool:
    """Whether a letter cannot be in a line of text; a name from the disk may have any byte."""
    return unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")
