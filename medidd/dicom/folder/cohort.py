"""A cohort on disk: the films as arrays, their labels, and patients as keyed hashes.

No identifier, file name or path is stored. The key is kept elsewhere. Without it nobody can tell
whose film a row is, or even ask whether a patient is among them.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medidd.dicom.errors import CohortError
from medidd.dicom.folder import cutting
from medidd.dicom.folder.cutting import Row
from medidd.dicom.folder.duplicates import copies_in, joined_by, same_pixels
from medidd.dicom.folder.gathering import Gathered
from medidd.dicom.folder.patients import Unit, require_consistent
from medidd.dicom.folder.plan import VERSION, Plan, make_plan, require_usable, unnamed
from medidd.dicom.folder.scan import scan
from medidd.dicom.isolation import isolated
from medidd.dicom.labels.labelling import Labelling
from medidd.dicom.pixels.film import Shown, decoded
from medidd.dicom.reading import DEFAULT, Reading
from medidd.dicom.refusals import Refusal, write_refusals
from medidd.dicom.storage import COHORT, FILMS, IMAGES, TOKENS, Rows, read_json, write

_SIGN_OF_LIFE = 1000  # files between two reports of progress
_SETTLE_EVERY = 64  # rows; at most so many are decoded again after a killed run


@dataclass(frozen=True)
class Cohort:
    """The films of a finished cohort, by SOPInstanceUID.

    Attributes:
        images: (n, size, size), read-only; 0 to 65535 stand for display values [0, 1]. If films
            were cut, these are patches, and so in all that follows.
        labels: class of each film, (n,), int64.
        classes: names of the classes, sorted.
        patients: keyed hash of what counts as each film's patient, (n,).
        splits: "train", "val", "test" or '' for each film, (n,).
        refused: files left out, by reason code.
        tokens: keyed hashes of the identifiers' tokens, to search outgoing files for them.
        unit: what counts as one patient.
        unnamed: films of no known PatientID.
        names: keyed hashes of each film's PatientID (if it has one), study and object, (n,). They
            find a film again in another cohort, see ``names.sought``.
        traits: sex, band of age and device of each film by name, (n,); '' if not known.
        warned: films that are used although something is odd about them, by code.
        unknown_keys: keys in the table of labels that no film has.
        evidence: what is odd about whose films these are, counts by code; see ``patients``.
        films: which film a patch is of, (n,), if films were cut; else empty.
        whole: class of the film that a patch is of, (n,), if films were cut; else empty.
    """

    images: npt.NDArray[np.uint16]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    patients: npt.NDArray[np.str_]
    splits: npt.NDArray[np.str_]
    refused: dict[str, int]
    tokens: frozenset[str]
    unit: Unit = "patient"
    unnamed: int = 0
    names: tuple[frozenset[str], ...] = ()
    traits: Mapping[str, Sequence[str]] = field(default_factory=dict)
    warned: Mapping[str, int] = field(default_factory=dict)
    unknown_keys: int = 0
    evidence: Mapping[str, int] = field(default_factory=dict)
    films: Sequence[int] = ()
    whole: Sequence[int] = ()

    @property
    def of_films(self) -> npt.NDArray[np.int64]:
        """Class of the film that each row is, or is cut from, (n,)."""
        return np.array(self.whole, np.int64) if len(self.whole) else self.labels

    @property
    def tells_patients_apart(self) -> bool:
        """Whether each film's patient is known, or the user answers for another unit."""
        return self.unit != "patient" or not self.unnamed

    @classmethod
    def open(cls, folder: Path) -> "Cohort":
        """Returns the cohort in ``folder``.

        Raises:
            CohortError: there is no cohort, it is not finished, or another version wrote it.
        """
        about = read_json(folder / COHORT)
        if about.get("version") != VERSION:
            raise CohortError(
                f"{folder}: no finished cohort of this version; ingest the films again"
            )
        try:
            images = np.load(folder / IMAGES, mmap_mode="r")
            lines = (folder / FILMS).read_text().splitlines()
            tokens = frozenset((folder / TOKENS).read_text().split())
        except (OSError, EOFError, ValueError):
            raise CohortError(f"{folder}: damaged; delete it and ingest the films again") from None
        if images.shape != (len(lines), about["size"], about["size"]):
            raise CohortError(f"{folder}: damaged; delete it and ingest the films again")
        films = [json.loads(line) for line in lines]
        return cls(
            images,
            np.array([film["label"] for film in films], np.int64),
            tuple(about["classes"]),
            np.array([film["patient"] for film in films], np.str_),
            np.array([film["split"] for film in films], np.str_),
            about["refused"],
            tokens,
            about["unit"],
            about["patient_id_missing"],
            tuple(frozenset(film["names"]) for film in films),
            {name: [film[name] for film in films] for name in ("sex", "age", "device")},
            about["warned"],
            about.get("unknown_keys", 0),
            about["evidence"],
            *([film[name] for film in films if name in film] for name in ("film", "whole")),
        )


def ingest(
    root: Path,
    labels: Labelling | None,
    *,
    size: int,
    folder: Path,
    key: bytes,
    max_refused: float = 0.2,
    unit: Unit = "patient",
    reading: Reading = DEFAULT,
    refused_list: Path | None = None,
    strict: bool = False,
) -> Iterator[tuple[int, int]]:
    """Makes a cohort from the radiographs under ``root``.

    A stopped run continues where it stopped, and ends with the same bytes as an uninterrupted one.

    Args:
        root: folder of DICOM files, or of pictures if ``reading`` says so.
        labels: where the labels are; None for the usual places, see ``labels.read_labels``.
        size: height and width of the images, pixels.
        folder: where the cohort is kept; only its owner can read it.
        key: the key for hashing patients and identifiers. It must not be in ``folder``.
        max_refused: refused files allowed per usable film.
        unit: what counts as one patient.
        reading: how films are read.
        refused_list: file for the list of refused files by name; None for no list. The list
            identifies people, and is also written if too many files are refused.
        strict: whether contradictions about whose film it is are an error.

    Yields:
        Films done, and films in all; before the first, files looked at so far.

    Raises:
        TooManyRefused: more files were refused than ``max_refused`` allows.
        CohortError: the films give no cohort.
    """
    seen = Gathered.under(root, labels, key, unit, reading)
    for count, found in enumerate(scan(root, reading), 1):
        seen.add(found)
        if count % _SIGN_OF_LIFE == 0:
            yield 0, count
    plan = make_plan(root, seen, size=size, reading=reading)
    finished = read_json(folder / COHORT).get("fingerprint") == plan.fingerprint
    if refused_list is not None and not finished:
        write_refusals(refused_list, root, plan.refusals)
    plan.require_usable(root, max_refused)
    if strict:
        require_consistent(plan.evidence)
    total = len(plan.films)
    if finished:
        yield total, total
        return
    each = None if reading.patches is None else reading.patches.per_film
    rows = Rows(folder, total, size, plan.fingerprint, each)
    yield from _fill(rows, plan, size)
    plan.require_unchanged(root)
    _finish(rows, plan, root, folder, max_refused, refused_list)


def _fill(rows: Rows, plan: Plan, size: int) -> Iterator[tuple[int, int]]:
    undone = {cutting.work(plan, int(row)): int(row) for row in np.flatnonzero(rows.done == 0)}
    done, total = len(plan.films) - len(undone), len(plan.films)
    yield done, total
    outcomes: dict[int, tuple[str, ...]] = {}
    work = partial(decoded, size=size, reading=plan.reading)
    try:
        for film, found in isolated(work, undone):
            row = undone[film]
            if isinstance(found, Shown):
                cutting.keep(rows, row, found, plan)
            outcomes[row] = found.warnings if isinstance(found, Shown) else (found.code,)
            if len(outcomes) == _SETTLE_EVERY:
                rows.settle(outcomes)
                outcomes.clear()
            done += 1
            yield done, total
    finally:
        rows.settle(outcomes)


def _finish(
    rows: Rows,
    plan: Plan,
    root: Path,
    folder: Path,
    max_refused: float,
    refused_list: Path | None,
) -> None:
    filled = rows.filled()
    equal = same_pixels(rows.images, filled)
    copies = copies_in(equal, plan.films)
    kept = [row for row in filled if row not in copies]
    patients = joined_by([plan.films[row].patient for row in group] for group in equal)
    films = [
        replace(film, patient=patients.first(film.patient))
        for film in (plan.films[row] for row in kept)
    ]
    merged = {p for p in {plan.films[row].patient for row in filled} if patients.first(p) != p}
    evidence = {**plan.evidence, **({"equal_pixels": len(merged)} if merged else {})}
    lost = rows.refused() | copies
    if refused_list is not None:
        by_name = (Refusal(plan.films[row].path, code) for row, code in lost.items())
        write_refusals(refused_list, root, [*plan.refusals, *by_name])
    refused = plan.refused + Counter(lost.values())
    require_usable(root, films, refused, max_refused, by_folder=plan.by_folder, said=evidence)
    found = cutting.table(rows, plan, list(zip(kept, films, strict=True)))
    cutting.require_patches(root, plan, found)
    classes = sorted({row.label for row in found})
    about = {
        "version": VERSION,
        "size": rows.images.shape[-1],
        "classes": classes,
        "reading": plan.reading.to_json(),
        "refused": dict(sorted(refused.items())),
        "warned": dict(sorted(Counter(rows.warned(kept)).items())),
        "unit": plan.unit,
        "patient_id_missing": unnamed(films),
        "unknown_keys": plan.unknown_keys,
        "patients_merged": len(merged),
        "evidence": dict(sorted(evidence.items())),
        "fingerprint": plan.fingerprint,
    }
    order = {number: place for place, number in enumerate(kept)}

    def line(row: Row) -> dict[str, object]:
        said = {
            "patient": row.film.patient,
            "label": classes.index(row.label),
            "split": row.film.split,
            "names": [name for name in row.film.names if name],
            **row.film.traits,
        }
        if plan.reading.patches is not None:
            said |= {"film": order[row.place[0]], "whole": classes.index(row.film.label)}
        return said

    table = map(line, found)
    rows.publish([row.place for row in found])
    write(folder / FILMS, "".join(f"{json.dumps(film)}\n" for film in table).encode())
    write(folder / TOKENS, "".join(f"{token}\n" for token in sorted(plan.tokens)).encode())
    write(folder / COHORT, json.dumps(about, indent=1).encode())
    rows.discard()
