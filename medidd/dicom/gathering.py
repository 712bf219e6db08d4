"""What is kept of headers, read one after another.

A large folder has more headers than memory should hold, so each is let go once it was seen. What
stays are the films, and identifiers as keyed hashes.
"""

from typing import Literal

from medidd.dicom.duplicates import Film
from medidd.dicom.errors import CohortError, Refused
from medidd.dicom.header import Header
from medidd.dicom.identifiers import keyed, tokens_of, tokens_of_identifiers
from medidd.dicom.labels import Labels
from medidd.dicom.refusals import Refusal

Unit = Literal["patient", "study", "image"]
"""What counts as one patient. Whoever says "study" or "image" answers for it that no patient has
two of them."""


class Gathered:
    """Radiographs by their labels.

    Attributes:
        headers: radiographs seen.
        films: those with a label.
        refusals: those without, or with several.
        tokens: keyed hashes of the tokens of all identifiers.
    """

    def __init__(self, labels: Labels, key: bytes, unit: Unit) -> None:
        """Takes labels, the key that identifiers are hashed under, and what counts as a patient."""
        self.headers = 0
        self.films: list[Film] = []
        self.refusals: list[Refusal] = []
        self.tokens: set[str] = set()
        self._labels, self._key, self._unit = labels, key, unit
        self._unknown = set(labels.rows)
        self._shared: dict[str, set[str]] = {}

    def add(self, header: Header) -> None:
        """Looks at a radiograph."""
        self.headers += 1
        tokens = tokens_of_identifiers(header.identifiers)
        self.tokens.update(keyed(self._key, token) for token in tokens)
        self._unknown.discard(self._labels.row_of(header))
        try:
            film = self._film(header)
        except Refused as left_out:
            self.refusals.append(Refusal(header.path, left_out.code))
            return
        self.films.append(film)
        self._shared[film.label] = self._shared.get(film.label, tokens) & tokens

    @property
    def unknown_keys(self) -> int:
        """Keys of the table of labels that no radiograph has."""
        return len(self._unknown)

    def require_anonymous_classes(self) -> None:
        """Refuses classes that are patients, as where each has a folder: classes are published.

        Raises:
            CohortError: an identifier of all films of a class stands in its name.
        """
        shared = self._shared.items()
        if named := sum(bool(tokens_of(label) & tokens) for label, tokens in shared):
            raise CohortError(
                f"{named} of {len(shared)} classes are named by an identifier of their films; give "
                "a labels.csv, or folders named by class, not by patient, study or hospital"
            )

    def _film(self, header: Header) -> Film:
        """Returns what a cohort would know of a film.

        Raises:
            Refused: it has no label, or several.
        """
        label, split = self._labels.of(header)
        links = header.links
        patient = self._hash(f"{header.issuer}|{links['PatientID']}") if links["PatientID"] else ""
        study = self._hash(f"study|{links['StudyInstanceUID']}")
        image = self._hash(f"image|{links['SOPInstanceUID']}")
        stands_for: dict[Unit, str] = {"patient": patient or study, "study": study, "image": image}
        return Film(
            header.source,
            links["SOPInstanceUID"],
            stands_for[self._unit],
            label,
            split,
            names=(patient, study, image),
            traits={"sex": header.sex, "age": header.age, "device": self._device(header)},
        )

    def _device(self, header: Header) -> str:
        return self._hash(f"device|{header.device}")[:8] if header.device else ""

    def _hash(self, text: str) -> str:
        return keyed(self._key, text)
