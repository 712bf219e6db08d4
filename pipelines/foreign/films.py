"""Films of two folders, by role: the films a set was made of, and films of people not in the set.

The user says who was a member; medidd did not draw this at random. It checks what it can: no
patient and no film is on both sides, and both sides show the classes of the set.
"""

import hashlib
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medidd.dicom.errors import CohortError
from medidd.dicom.folder.cohort import Cohort
from medidd.dicom.folder.names import sought
from medidd.dicom.folder.patients import Unit
from medidd.dicom.header.identifiers import keyed, tokens_of_identifiers
from medidd.split import Role
from pipelines.foreign.arrays import Scale
from pipelines.foreign.release import content, read
from pipelines.run.errors import Exit, Stop
from pipelines.run.films import Studies, read_films
from pipelines.run.installation import key
from pipelines.run.patients import Patients
from pipelines.run.progress import Progress

LEAST_PATIENTS = 5
"""Fewest patients on each side, of each class; with fewer the audits cannot compare."""


def read_side(studies: Studies, *, role: str, place: Path) -> Generator[Progress, None, Cohort]:
    """Reads the films of one side; the generator's value is the cohort.

    Args:
        studies: folder of DICOM studies, or a .npz of images, labels and patient_ids in its place.
        role: name of the side in messages, such as "members".
        place: folder of the cohort.

    Raises:
        Stop: the films make no cohort.
    """
    source = studies.folder
    if not source.is_dir():
        if studies.labels.table is not None:
            raise Stop(f"{source}: holds its own labels; leave out the table of labels", Exit.USAGE)
        return _of_arrays(source, studies.size, studies.unit)
    try:
        yield from read_films(place, studies, stage=f"read {role}")
        return Cohort.open(place)
    except Stop as stop:
        raise Stop(str(stop).replace("--labels", f"--{role}-labels"), Exit(stop.code)) from None
    except CohortError as error:
        raise Stop(str(error), Exit.DATA) from None


def sides(members: Cohort, controls: Cohort, classes: tuple[str, ...]) -> Patients:
    """Returns both sides as the patients of an audit, with labels in the order of ``classes``.

    Raises:
        Stop: they cannot be compared.
    """
    for role, cohort in (("members", members), ("controls", controls)):
        _require_classes(role, cohort, classes)
    names = sought(name for film in members.names for name in film)
    names |= set(members.patients.tolist())
    pixels = {_digest(film) for film in members.images}
    shared = {
        patient
        for patient, known, film in zip(
            controls.patients.tolist(), controls.names, controls.images, strict=True
        )
        if {patient, *known} & names or _digest(film) in pixels
    }
    if shared:
        raise Stop(
            f"{len(shared)} of the controls are among the members, by identifier or by equal "
            "pixels; a control must not have been used for the set; remove them from one side",
            Exit.DATA,
        )
    return Patients(_joined(members, controls, classes), _roles(members, controls))


def _require_classes(role: str, cohort: Cohort, classes: tuple[str, ...]) -> None:
    missing, strange = {*classes} - {*cohort.classes}, {*cohort.classes} - {*classes}
    if missing or strange:
        raise Stop(
            f"the classes of the {role} are not those of the set ({', '.join(classes)}): "
            f"{len(missing)} of these are missing, and {len(strange)} are different; give the same "
            f"names with --{role}-labels",
            Exit.DATA,
        )
    few = min(len(set(cohort.patients[cohort.labels == c].tolist())) for c in range(len(classes)))
    if few < LEAST_PATIENTS:
        raise Stop(
            f"a class has {few} patients among the {role}, and needs at least {LEAST_PATIENTS}; "
            "give more patients of each class",
            Exit.DATA,
        )


def _digest(film: npt.NDArray[np.uint16]) -> bytes:
    return hashlib.sha256(film.tobytes()).digest()


def _roles(members: Cohort, controls: Cohort) -> dict[str, Role]:
    out: dict[str, Role] = {str(one): "control" for one in controls.patients}
    return out | {str(one): "member" for one in members.patients}


def _joined(members: Cohort, controls: Cohort, classes: tuple[str, ...]) -> Cohort:
    both = (members, controls)
    codes = {*members.refused, *controls.refused}
    return Cohort(
        images=np.concatenate([one.images for one in both]),
        labels=np.concatenate([_renumbered(one, classes) for one in both]),
        classes=classes,
        patients=np.concatenate([one.patients for one in both]),
        splits=np.concatenate([one.splits for one in both]),
        refused={code: sum(one.refused.get(code, 0) for one in both) for code in codes},
        tokens=members.tokens | controls.tokens,
        unit=members.unit,
        unnamed=members.unnamed + controls.unnamed,
        names=(*members.names, *controls.names),
        traits={
            name: [*words, *controls.traits[name]]
            for name, words in members.traits.items()
            if name in controls.traits
        },
        unknown_keys=members.unknown_keys + controls.unknown_keys,
        evidence=Counter(members.evidence) + Counter(controls.evidence),
    )


def _renumbered(cohort: Cohort, classes: tuple[str, ...]) -> npt.NDArray[np.int64]:
    return np.array([classes.index(name) for name in cohort.classes], np.int64)[cohort.labels]


def _of_arrays(path: Path, size: int, unit: Unit) -> Cohort:
    """Reads films that are stored as arrays, already at the size of the comparison."""
    found, *_ = read(path, content(path), Scale())
    if not found.patients or not found.numbered:
        raise Stop(
            f"{path}: films need patient_ids, and class numbers as labels; add them",
            Exit.DATA,
        )
    if found.images.shape[2] != size:
        raise Stop(
            f"{path}: films of {found.images.shape[2]} px, and the set is of {size} px; resize "
            "them as for the distillation",
            Exit.DATA,
        )
    labels = found.labels.argmax(1).numpy()
    numbers = range(found.labels.shape[1])
    secret = key()
    return Cohort(
        images=(found.images[:, 0].clamp(0, 1) * 65535).round().numpy().astype(np.uint16),
        labels=labels,
        classes=found.classes or tuple(map(str, numbers)),
        patients=np.array([keyed(secret, one) for one in found.patients], np.str_),
        splits=np.array([""] * len(labels), np.str_),
        refused={},
        unit=unit,
        names=tuple(frozenset[str]() for _ in labels),
        tokens=frozenset(keyed(secret, t) for t in tokens_of_identifiers(found.patients)),
    )
