"""What a cohort will contain, known before any pixel is decoded."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from medidd.dicom.errors import (
    ACCEPTED_BY,
    NO_DICOM,
    NO_PICTURE,
    NO_REGION,
    CohortError,
    TooManyRefused,
    counts,
    parted,
)
from medidd.dicom.folder.duplicates import Film, once
from medidd.dicom.folder.gathering import Gathered
from medidd.dicom.folder.patients import Unit, shared
from medidd.dicom.header.identifiers import keyed
from medidd.dicom.header.picture_file import SUFFIXES
from medidd.dicom.reading import DEFAULT, Files, Reading
from medidd.dicom.refusals import Refusal

VERSION = 5


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
        evidence: what is odd about whose films these are, counts by code; see ``patients``.
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
    evidence: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def names(self) -> list[str]:
        """Classes that films or patches can have, sorted."""
        named = {film.label for film in self.films}
        for region in (film.region for film in self.films if film.region is not None):
            named |= region.labels
        cut = self.reading.patches
        marked = cut is not None and any(film.region is not None for film in self.films)
        return sorted(named | ({cut.background} if cut is not None and marked else set()))

    def require_unchanged(self, root: Path) -> None:
        """Checks that the films have not changed since the plan was made.

        Raises:
            CohortError: a file has changed or is gone; its pixels may be another patient's.
        """
        if changed := sum(film.changed for film in self.films):
            raise CohortError(f"{root}: {changed} files changed while being read; run again")

    def require_usable(self, root: Path, max_refused: float) -> None:
        """Checks what is known about the films before decoding; see ``require_usable``."""
        require_usable(
            root,
            self.films,
            self.refused,
            max_refused,
            by_folder=self.by_folder,
            said=self.evidence,
        )


def make_plan(root: Path, seen: Gathered, *, size: int, reading: Reading = DEFAULT) -> Plan:
    """Returns which of the films that were seen under ``root`` make the cohort.

    Raises:
        CohortError: no film can be used, or classes are patients.
    """
    seen.refuse_doubtful()
    refusals = seen.settled()
    refused = Counter(refusal.code for refusal in refusals)
    _require_labelled(root, seen, refused, reading)
    refused += Counter({"region_unused": seen.unused_regions})
    seen.require_printable_classes()
    seen.require_anonymous_classes()
    labelled, whose = seen.of_patients()
    films, copies = once(labelled)
    said = {**whose.said, **shared((film.evidence, film.person) for film in films)}
    return Plan(
        tuple(films),
        seen.unit,
        refused + Counter(copy.code for copy in copies),
        (*refusals, *copies),
        frozenset(seen.identifying()),
        _fingerprint(seen.key, [VERSION, size, seen.unit, reading.to_json(), said], films),
        seen.labels.key == "folder",
        seen.unknown_keys,
        reading,
        said,
    )


def _fingerprint(key: bytes, choices: Sequence[object], films: Iterable[Film]) -> str:
    """Returns the keyed hash of everything that determines the rows."""
    digest = hashlib.sha256(json.dumps(choices).encode())
    for film in films:
        whose = (film.patient, film.person, film.names[0])
        region = [] if film.region is None else film.region.told()
        row = [film.instance, *whose, film.label, film.split, *film.state, *region]
        digest.update(json.dumps(row).encode())
    return keyed(key, digest.hexdigest())


def _accepting(refused: Iterable[str]) -> str:
    """Returns which options would use refused files."""
    found = sorted(ACCEPTED_BY[code] for code in refused if code in ACCEPTED_BY)
    return f"; if they are your films, add --accept {','.join(found)}" if found else ""


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
    said: Mapping[str, int],
) -> None:
    """Checks what only the whole cohort can show.

    Raises:
        TooManyRefused: refused files per usable film exceed ``max_refused``, or no film is usable.
        CohortError: the films give no cohort that can be distilled and audited.
    """
    if not films:
        raise TooManyRefused(
            f"{root}: no usable film; refused: {counts(refused)}{_accepting(refused)}"
        )
    lost, _ = parted(refused)
    if sum(lost.values()) > max_refused * len(films):
        hint = _UNLABELLED if "label_missing" in lost else ""
        raise TooManyRefused(
            f"{root}: {sum(lost.values())} files refused and {len(films)} films usable "
            f"({counts(lost)}){hint}; fix the refused files, take them out of the folder or raise "
            f"the limit of {max_refused:g} per usable film{_accepting(lost)}"
        )
    of_class = _sets((film.label, film.patient) for film in films)
    hint = _FOLDERS if by_folder else ""
    if len(of_class) < 2:
        raise CohortError(f"{root}: one class only, but at least two are needed{hint}")
    alone = sum(len(patients) < 2 for patients in of_class.values())
    if alone and (studies := said.get("id_on_most_studies")):
        raise CohortError(
            f"{root}: {alone} of {len(of_class)} classes have a single patient, because one "
            f"PatientID is on {studies} studies; if it names nobody, use --unit study (if no "
            "patient has two studies) or --patient-column NAME (a column of the table of labels, "
            "or an attribute such as AccessionNumber)"
        )
    if alone and (studies := said.get("study_of_several_ids")):
        hint = (
            f"{hint}; {studies} studies have several PatientIDs, which medidd counts as one patient"
        )
    if alone:
        raise CohortError(
            f"{root}: {alone} of {len(of_class)} classes have a single patient, so this patient "
            f"would be published as the class; merge or drop these classes{hint}"
        )
    # By person, too, whatever counts as one patient.
    torn = _torn(films, "person") or _torn(films, "patient")
    if torn:
        raise CohortError(
            f"{root}: {torn} patients are in two splits, by PatientID, study or equal pixels; give "
            "each patient one split"
        )


def _torn(films: Iterable[Film], by: Literal["person", "patient"]) -> int:
    splits = _sets((getattr(film, by), film.split) for film in films)
    return sum(len(found) > 1 for found in splits.values())


def unnamed(films: Iterable[Film]) -> int:
    """Returns how many films are of no known PatientID; their study then counts as one patient."""
    return sum(not film.names[0] for film in films)


def _require_files(root: Path, seen: Gathered, refused: Mapping[str, int], files: Files) -> None:
    if seen.headers:
        return
    if files == "dicom" and refused.keys() <= NO_DICOM:
        pictures = sum(one.path.suffix.lower() in SUFFIXES for one in seen.refusals)
        remedy = (
            f"but {pictures} PNG, JPEG or TIFF files; if they are the films, use --images instead "
            "of --dicom-dir"
            if pictures
            else "name the folder that holds the films"
        )
        raise CohortError(f"{root}: no DICOM file in it; {remedy}")
    if files == "pictures" and refused.keys() <= NO_PICTURE:
        found = refused.get("dicom_unasked", 0)
        remedy = (
            f"but {found} DICOM files; use --dicom-dir instead of --images"
            if found
            else "name the folder that holds the films"
        )
        raise CohortError(f"{root}: no PNG, JPEG or TIFF file in it; {remedy}")


def _require_labelled(
    root: Path, seen: Gathered, refused: Mapping[str, int], reading: Reading
) -> None:
    _require_files(root, seen, refused, reading.files)
    if not seen.films and (lost := sum(refused.get(code, 0) for code in NO_REGION)):
        raise CohortError(
            f"{root}: none of {lost} films has a region; check that the masks in --regions are "
            "named after the films, or that its table has the same keys"
        )
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
