"""What a cohort will contain, known before any pixel is decoded."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medidd.dicom.errors import HARMLESS, CohortError, TooManyRefused, counts
from medidd.dicom.folder.duplicates import Film, once
from medidd.dicom.folder.gathering import Gathered, Unit
from medidd.dicom.header.identifiers import keyed
from medidd.dicom.reading import DEFAULT, Reading
from medidd.dicom.refusals import Refusal

VERSION = 4


@dataclass(frozen=True, repr=False)
class Plan:
    """The films of a cohort; without a repr, because it identifies people.

    Attributes:
        films: by SOPInstanceUID, so that neither file names nor a disk's order matter.
        unit: what counts as one patient.
        refused: files left out, by code.
        refusals: these files.
        tokens: keyed hashes of all identifiers.
        fingerprint: keyed hash of everything that determines the rows.
        by_folder: whether folders were used as classes, because there is no table.
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

    def require_unchanged(self, root: Path) -> None:
        """Checks that the films have not changed since the plan was made.

        Raises:
            CohortError: a file has changed or is gone; its pixels may be another patient's.
        """
        if changed := sum(film.changed for film in self.films):
            raise CohortError(f"{root}: {changed} files changed while being read; run again")

    def require_usable(self, root: Path, max_refused: float) -> None:
        """Checks what is known about the films before decoding; see ``require_usable``."""
        require_usable(root, self.films, self.refused, max_refused, by_folder=self.by_folder)


def make_plan(root: Path, seen: Gathered, *, size: int, reading: Reading = DEFAULT) -> Plan:
    """Returns which of the films that were seen under ``root`` make the cohort.

    Raises:
        CohortError: no film can be used, or classes are patients.
    """
    seen.refuse_doubtful()
    refused = Counter(refusal.code for refusal in seen.refusals)
    _require_labelled(root, seen, refused)
    seen.require_printable_classes()
    seen.require_anonymous_classes()
    films, copies = once(seen.films)
    return Plan(
        tuple(films),
        seen.unit,
        refused + Counter(copy.code for copy in copies),
        (*seen.refusals, *copies),
        frozenset(seen.tokens),
        _fingerprint(seen.key, [VERSION, size, seen.unit, reading.to_json()], films),
        seen.labels.key == "folder",
        seen.unknown_keys,
        reading,
    )


def _fingerprint(key: bytes, choices: Sequence[object], films: Iterable[Film]) -> str:
    """Returns the keyed hash of everything that determines the rows."""
    digest = hashlib.sha256(json.dumps(choices).encode())
    for film in films:
        row = [film.instance, film.patient, film.label, film.split, *film.state]
        digest.update(json.dumps(row).encode())
    return keyed(key, digest.hexdigest())


_FOLDERS = (
    "; no labels.csv was found in it or next to it, so its folders were taken for classes: pass "
    "--labels FILE if they are not classes"
)


_UNLABELLED = (
    "; label_missing counts empty and uncertain cells, too: with --target, use --blank and "
    "--uncertain to say what they mean"
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
        TooManyRefused: refused files per usable film exceed ``max_refused``, or no film is usable.
        CohortError: the films give no cohort that can be distilled and audited.
    """
    if not films:
        raise TooManyRefused(f"{root}: no usable film; refused: {counts(refused)}")
    lost = {code: count for code, count in refused.items() if code not in HARMLESS}
    if sum(lost.values()) > max_refused * len(films):
        hint = _UNLABELLED if "label_missing" in lost else ""
        raise TooManyRefused(
            f"{root}: {sum(lost.values())} files refused and {len(films)} films usable "
            f"({counts(lost)}){hint}; fix the refused files, take them out of the folder or raise "
            f"the limit of {max_refused:g} per usable film"
        )
    of_class = _sets((film.label, film.patient) for film in films)
    hint = _FOLDERS if by_folder else ""
    if len(of_class) < 2:
        raise CohortError(f"{root}: one class only, but at least two are needed{hint}")
    alone = sum(len(patients) < 2 for patients in of_class.values())
    if alone:
        raise CohortError(
            f"{root}: {alone} of {len(of_class)} classes have a single patient, so this patient "
            f"would be published as the class; merge or drop these classes{hint}"
        )
    # By PatientID, too: it names one person, whatever counts as one patient.
    of_patient = _sets((name, film.split) for film in films for name in _people(film))
    torn = sum(len(splits) > 1 for splits in of_patient.values())
    if torn:
        raise CohortError(f"{root}: {torn} patients are in two splits; give each patient one")


def _people(film: Film) -> set[str]:
    return {film.patient, film.names[0]} - {""}


def unnamed(films: Iterable[Film]) -> int:
    """Returns how many films have no PatientID; their study then counts as one patient."""
    return sum(not film.names[0] for film in films)


def _require_labelled(root: Path, seen: Gathered, refused: Mapping[str, int]) -> None:
    if not seen.headers and refused.keys() <= HARMLESS:
        raise CohortError(f"{root}: no DICOM file in it; name the folder that holds the films")
    if seen.headers and not seen.films:
        key = seen.labels.key
        remedy = (
            "pass a table with --labels FILE, or move each film into the folder of its class"
            if key == "folder"
            else f"check that the column {key} has the same values as the films' headers or paths"
        )
        raise CohortError(f"{root}: none of {seen.headers} films has a label; {remedy}")


def _sets(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    groups: dict[str, set[str]] = defaultdict(set)
    for group, member in pairs:
        groups[group].add(member)
    return groups
