"""What is kept from headers that are read one after another.

A large folder has more headers than memory should hold, so each is dropped once it was seen. What
is kept are the films, and identifiers as keyed hashes.
"""

import os
import unicodedata
from pathlib import Path
from typing import Literal

from medidd.dicom.errors import CohortError, Refused
from medidd.dicom.folder.duplicates import Film
from medidd.dicom.header.header import Header
from medidd.dicom.header.identifiers import keyed, tokens_of, tokens_of_identifiers
from medidd.dicom.labels.finder import Sharing
from medidd.dicom.labels.labelling import USUAL, Labelling
from medidd.dicom.labels.labels import Labels, read_labels
from medidd.dicom.refusals import Refusal

Unit = Literal["patient", "study", "image"]
"""What counts as one patient. A user who says "study" or "image" answers for it that no patient has
two of them."""


class Gathered:
    """Radiographs by their labels.

    Attributes:
        labels: the labels.
        key: the key for hashing identifiers.
        unit: what counts as one patient.
        headers: radiographs seen.
        films: radiographs with a label.
        refusals: radiographs without a label or with several, and files that are no radiograph.
        tokens: keyed hashes of the tokens of all identifiers.
    """

    def __init__(self, labels: Labels, key: bytes, unit: Unit) -> None:
        """Starts empty."""
        self.headers = 0
        self.films: list[Film] = []
        self.refusals: list[Refusal] = []
        self.tokens: set[str] = set()
        self.labels, self.key, self.unit = labels, key, unit
        self._unknown = set(labels.rows)
        self._shared: dict[str, set[str]] = {}
        self._sharing = Sharing()

    @classmethod
    def under(
        cls, root: Path, labelling: Labelling | None, key: bytes, unit: Unit = "patient"
    ) -> "Gathered":
        """Returns an empty one for the films under ``root``.

        Args:
            root: folder of DICOM files.
            labelling: where labels are; None for the usual places, see ``labels.read_labels``.
            key: the key for hashing identifiers.
            unit: what counts as one patient.

        Raises:
            CohortError: the folder or the labels cannot be read.
        """
        if not (root.is_dir() and os.access(root, os.R_OK | os.X_OK)):
            raise CohortError(
                f"{root}: no folder that can be read; name the folder that holds the films"
            )
        if not any(files for _, _, files in os.walk(root)):
            raise CohortError(f"{root}: no DICOM file in it; name the folder that holds the films")
        return cls(read_labels(root, labelling or USUAL), key, unit)

    def add(self, header: Header | Refusal) -> None:
        """Adds a radiograph, or the reason why a file is none."""
        if isinstance(header, Refusal):
            self.refusals.append(header)
            return
        self.headers += 1
        tokens = tokens_of_identifiers(header.identifiers)
        self.tokens.update(keyed(self.key, token) for token in tokens)
        self._unknown.discard(self.labels.row_of(header))
        try:
            film = self._film(header)
        except Refused as left_out:
            self.refusals.append(Refusal(header.path, left_out.code))
            return
        for table, match, by_file in self.labels.shared(header):
            # The issuer is left out: a film without one may be of the same patient.
            links = header.links
            patient = self._hash(links["PatientID"] or f"study|{links['StudyInstanceUID']}")
            whose = film.instance if by_file else patient
            self._sharing.add(table, match, len(self.films), whose)
        self.films.append(film)
        self._shared[film.label] = self._shared.get(film.label, tokens) & tokens

    @property
    def unknown_keys(self) -> int:
        """Number of keys in the table of labels that no radiograph has."""
        return len(self._unknown)

    def refuse_doubtful(self) -> None:
        """Refuses films whose key in a table turned out to find other films or patients, too."""
        doubtful = self._sharing.doubtful()
        self.refusals += [Refusal(self.films[at].path, "label_ambiguous") for at in doubtful]
        self.films = [film for at, film in enumerate(self.films) if at not in doubtful]
        self._sharing = Sharing()

    def require_anonymous_classes(self) -> None:
        """Refuses classes that are patients, such as one folder per patient: classes are published.

        Raises:
            CohortError: a class's name contains an identifier that all its films share.
        """
        shared = self._shared.items()
        if named := sum(bool(tokens_of(label) & tokens) for label, tokens in shared):
            raise CohortError(
                f"{named} of {len(shared)} classes are named by an identifier of their films; give "
                "a labels.csv, or name folders by class, not by patient, study or hospital"
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

    def _film(self, header: Header) -> Film:
        """Returns what a cohort would keep of a film.

        Raises:
            Refused: the film has no label, or several.
        """
        label, split = self.labels.of(header)
        links = header.links
        patient = self._hash(f"{header.issuer}|{links['PatientID']}") if links["PatientID"] else ""
        study = self._hash(f"study|{links['StudyInstanceUID']}")
        image = self._hash(f"image|{links['SOPInstanceUID']}")
        stands_for: dict[Unit, str] = {"patient": patient or study, "study": study, "image": image}
        return Film(
            header.source,
            header.state,
            links["SOPInstanceUID"],
            stands_for[self.unit],
            label,
            split,
            names=(patient, study, image),
            traits={"sex": header.sex, "age": header.age, "device": self._device(header)},
        )

    def _device(self, header: Header) -> str:
        return self._hash(f"device|{header.device}")[:8] if header.device else ""

    def _hash(self, text: str) -> str:
        return keyed(self.key, text)


def _breaks(letter: str) -> bool:
    """Whether a letter cannot be in a line of text; a name from the disk may have any byte."""
    return unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")
