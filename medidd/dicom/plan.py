"""What a cohort will consist of, known before a pixel is decoded."""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from medidd.dicom.duplicates import Film, once
from medidd.dicom.errors import HARMLESS, CohortError, Refused, TooManyRefused, counts
from medidd.dicom.header import Header
from medidd.dicom.identifiers import keyed, tokens_of, tokens_of_identifiers
from medidd.dicom.labelling import USUAL, Labelling
from medidd.dicom.labels import Labels, read_labels
from medidd.dicom.reading import DEFAULT, Reading
from medidd.dicom.refusals import Refusal
from medidd.dicom.scan import scan

VERSION = 3

Unit = Literal["patient", "study", "image"]
"""What counts as one patient. Whoever says "study" or "image" answers for it that no patient has
two of them."""

UNITS: tuple[Unit, ...] = get_args(Unit)


@dataclass(frozen=True, repr=False)
class Plan:
    """The films of a cohort; without a repr, for it identifies people.

    Attributes:
        films: by SOPInstanceUID, so that neither file names nor a disk's order matter.
        unit: what counts as one patient.
        refused: files left out, by code.
        refusals: which files these are.
        tokens: keyed hashes of all identifiers.
        fingerprint: keyed hash of all that the rows follow from.
        by_folder: whether, for want of a table, folders were taken for classes.
        reading: how the films are read.
        unknown_keys: keys in the table of labels that no film has.
    """

    films: tuple[Film, ...]
    unit: Unit
    refused: Counter[str]
    refusals: tuple[Refusal, ...]
    tokens: frozenset[str]
    fingerprint: str
    by_folder: bool
    unknown_keys: int
    reading: Reading = DEFAULT

    def require_usable(self, root: Path, max_refused: float) -> None:
        """Checks the films as they are known before decoding; see ``require_usable``."""
        require_usable(root, self.films, self.refused, max_refused, by_folder=self.by_folder)


def make_plan(
    root: Path,
    labelling: Labelling | None,
    *,
    size: int,
    key: bytes,
    unit: Unit = "patient",
    reading: Reading = DEFAULT,
) -> Plan:
    """Returns which films under ``root`` make the cohort; see ``cohort.ingest``."""
    if not (root.is_dir() and os.access(root, os.R_OK | os.X_OK)):
        raise CohortError(f"{root}: no folder that can be read; name the one that holds the films")
    if not any(files for _, _, files in os.walk(root)):
        raise CohortError(f"{root}: no DICOM file in it; name the folder that holds the films")
    labels = read_labels(root, labelling or USUAL)
    headers: list[Header] = []
    films: list[Film] = []
    refusals: list[Refusal] = []
    for found in scan(root, reading):
        if isinstance(found, Refusal):
            refusals.append(found)
            continue
        headers.append(found)
        try:
            films.append(film_of(found, labels, key, unit))
        except Refused as left_out:
            refusals.append(Refusal(found.path, left_out.code))
    refused = Counter(refusal.code for refusal in refusals)
    _require_labelled(root, labels, len(headers), len(films), refused)
    require_anonymous_classes(films, headers)
    films, copies = once(films)
    try:
        states = [film.source.state() for film in films]
    except OSError:
        raise CohortError(f"{root}: files went away while being read; run again") from None
    rows = [
        [film.instance, film.patient, film.label, film.split, *state]
        for film, state in zip(films, states, strict=True)
    ]
    return Plan(
        tuple(films),
        unit,
        refused + Counter(copy.code for copy in copies),
        (*refusals, *copies),
        frozenset(
            keyed(key, token)
            for token in tokens_of_identifiers({i for h in headers for i in h.identifiers})
        ),
        keyed(key, json.dumps([VERSION, size, unit, reading.to_json(), rows])),
        labels.key == "folder",
        labels.unknown(headers),
        reading,
    )


_FOLDERS = (
    "; no labels.csv was found in it or beside it, so its folders were taken for classes: pass "
    "--labels FILE if they are not"
)


def require_usable(
    root: Path,
    films: Sequence[Film],
    refused: Mapping[str, int],
    max_refused: float,
    *,
    by_folder: bool,
) -> None:
    """Checks what only the whole cohort can show.

    Raises:
        TooManyRefused: refused files over usable films exceed ``max_refused``, or none is usable.
        CohortError: the films make no cohort that can be distilled and audited.
    """
    if not films:
        raise TooManyRefused(f"{root}: no usable film; refused: {counts(refused)}")
    lost = {code: count for code, count in refused.items() if code not in HARMLESS}
    if sum(lost.values()) > max_refused * len(films):
        raise TooManyRefused(
            f"{root}: {sum(lost.values())} files refused beside {len(films)} usable films "
            f"({counts(lost)}); mend them, take them out of the folder or raise the limit of "
            f"{max_refused:g} per usable film"
        )
    of_class = _sets((film.label, film.patient) for film in films)
    hint = _FOLDERS if by_folder else ""
    if len(of_class) < 2:
        raise CohortError(f"{root}: one class only, and at least two are needed{hint}")
    alone = sum(len(patients) < 2 for patients in of_class.values())
    if alone:
        raise CohortError(
            f"{root}: {alone} of {len(of_class)} classes have a single patient, who would be "
            f"published as the class; merge or drop these classes{hint}"
        )
    # By PatientID, too: it is one person's, whatever unit the user answers for.
    of_patient = _sets((name, film.split) for film in films for name in _people(film))
    torn = sum(len(splits) > 1 for splits in of_patient.values())
    if torn:
        raise CohortError(f"{root}: {torn} patients stand in two splits; give each patient one")


def _people(film: Film) -> set[str]:
    return {film.patient, film.names[0]} - {""}


def unnamed(films: Iterable[Film]) -> int:
    """Returns how many films have no PatientID; counted by patient, their study stands for it."""
    return sum(not film.names[0] for film in films)


def film_of(header: Header, labels: Labels, key: bytes, unit: Unit) -> Film:
    """Returns what a cohort would know of a film.

    Raises:
        Refused: it has no label, or several.
    """
    label, split = labels.of(header)
    links = header.links
    patient = keyed(key, f"{header.issuer}|{links['PatientID']}") if links["PatientID"] else ""
    study = keyed(key, f"study|{links['StudyInstanceUID']}")
    image = keyed(key, f"image|{links['SOPInstanceUID']}")
    stands_for: dict[Unit, str] = {"patient": patient or study, "study": study, "image": image}
    device = keyed(key, f"device|{header.device}")[:8] if header.device else ""
    return Film(
        header.source,
        links["SOPInstanceUID"],
        stands_for[unit],
        label,
        split,
        names=(patient, study, image),
        traits={"sex": header.sex, "age": header.age, "device": device},
    )


def _require_labelled(
    root: Path, labels: Labels, headers: int, films: int, refused: Counter[str]
) -> None:
    if not headers and refused.keys() <= HARMLESS:
        raise CohortError(f"{root}: no DICOM file in it; name the folder that holds the films")
    if headers and not films:
        remedy = (
            "pass a table with --labels FILE, or move each film into the folder of its class"
            if labels.key == "folder"
            else f"check that the column {labels.key} says what the films' headers or paths say"
        )
        raise CohortError(f"{root}: none of {headers} films has a label; {remedy}")


def require_anonymous_classes(films: Iterable[Film], headers: Iterable[Header]) -> None:
    """Refuses classes that are patients, as where each has a folder: classes are published.

    Raises:
        CohortError: an identifier of all films of a class stands in its name.
    """
    identifiers = {header.source: header.identifiers for header in headers}
    shared: dict[str, set[str]] = {}
    for film in films:
        tokens = tokens_of_identifiers(identifiers[film.source])
        shared[film.label] = shared.get(film.label, tokens) & tokens
    named = sum(bool(tokens_of(label) & tokens) for label, tokens in shared.items())
    if named:
        raise CohortError(
            f"{named} of {len(shared)} classes are named by an identifier of their films; give a "
            "labels.csv, or folders named by class, not by patient, study or hospital"
        )


def _sets(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    groups: dict[str, set[str]] = defaultdict(set)
    for group, member in pairs:
        groups[group].add(member)
    return groups
