"""A distilled set that somebody else made, as the audits see it.

A fault in a file ends the command with one line that names the file and the remedy.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pipelines.foreign.arrays import Scale, UnusableError, intensities, targets
from pipelines.foreign.files import READERS, Raw
from pipelines.run.errors import Exit, Stop
from privacy.gates.layers import LARGEST
from privacy.release import Release


@dataclass(frozen=True, eq=False)
class Found:
    """A set as it was read.

    Attributes:
        images: display values, (m, 1, H, W); learned images may be slightly outside [0, 1].
        labels: (m, K); one-hot where the file has class numbers.
        numbered: whether it has class numbers, so that K is only the largest of them plus one.
        classes: names of the classes, if the file gives them; else empty.
        patients: patient of each image, if the file gives it; else empty.
        said: what was found, for people.
    """

    images: Tensor
    labels: Tensor
    numbered: bool
    classes: tuple[str, ...]
    patients: tuple[str, ...]
    said: str

    def release(self, classes: int) -> Release:
        """Returns the set for so many classes; a set with class numbers need not show all of them.

        Raises:
            UnusableError: it has other classes.
        """
        missing = classes - self.labels.shape[1]
        if missing < 0 or (missing and not self.numbered):
            raise UnusableError(
                f"its labels are of {self.labels.shape[1]} classes, and the films show {classes}; "
                "number the classes from 0, and give films of all classes"
            )
        return Release(self.images, torch.nn.functional.pad(self.labels, (0, missing)))


def content(path: Path) -> bytes:
    """Returns the bytes of a file.

    Raises:
        Stop: it is not a file, or too large for a distilled set.
    """
    try:
        if not path.is_file():
            raise Stop(f"{path}: no file; name the file that holds the set", Exit.DATA)
        if path.stat().st_size > LARGEST:
            raise Stop(
                f"{path}: larger than {LARGEST >> 20} MiB, too large for a distilled set; name a "
                "file that holds only the images and labels",
                Exit.DATA,
            )
        return path.read_bytes()
    except OSError as error:
        raise Stop(f"{path}: {error.strerror}; name a file that you can read", Exit.DATA) from None


def read(path: Path, data: bytes, how: Scale) -> list[Found]:
    """Returns the set in a file, or the sets of all its experiments.

    Raises:
        Stop: the file holds no set; the message is one line.
    """
    reader = READERS.get(path.suffix.lower())
    try:
        if reader is None:
            raise UnusableError(f"unknown format; medidd reads {', '.join(READERS)}")
        return [_found(raw, how) for raw in reader(data)]
    except UnusableError as error:
        raise Stop(f"{path}: {error}", error.code) from None


def _found(raw: Raw, how: Scale) -> Found:
    images, scale = intensities(raw.images, how, raw.levels)
    labels, numbered, kind = targets(raw.labels, len(images))
    if raw.classes and (len(raw.classes) < labels.shape[1] or len(set(raw.classes)) < 2):
        raise UnusableError(f"{len(raw.classes)} class_names, {labels.shape[1]} classes; name each")
    if not all(name.isprintable() for name in raw.classes):
        raise UnusableError("its class names cannot be printed; name the classes in words")
    if raw.patients and len(raw.patients) != len(images):
        raise UnusableError(f"{len(raw.patients)} patient_ids, {len(images)} images; give one each")
    side = "x".join(str(n) for n in images.shape[2:])
    beside = f"; other entries, not read: {raw.others}" if raw.others else ""
    said = f"{len(images)} images of {side} px, {scale}; {kind}{beside}"
    return Found(images, labels, numbered, raw.classes, raw.patients, said)


def chosen(path: Path, found: list[Found], number: int | None) -> Found:
    """Returns the set that the user asks for.

    Raises:
        Stop: there are several and the user names none, or names one that is not there.
    """
    if number is None and len(found) == 1:
        return found[0]
    if number is None or number >= len(found):
        raise Stop(
            f"{path}: holds {len(found)} experiments, each a set; name one with --experiment, from "
            f"0 to {len(found) - 1}, and audit each one that will leave",
            Exit.USAGE,
        )
    return found[number]


def released(path: Path, found: Found, classes: int) -> Release:
    """Returns a set for so many classes.

    Raises:
        Stop: it has other classes.
    """
    try:
        return found.release(classes)
    except UnusableError as error:
        raise Stop(f"{path}: {error}", error.code) from None


def null_release(path: Path, found: Found, release: Release) -> Release:
    """Returns a null release to calibrate an audit of ``release`` with.

    Raises:
        Stop: it is not a null release.
    """
    null = released(path, found, release.classes)
    if null.images.shape[1:] != release.images.shape[1:]:
        raise Stop(
            f"{path}: images of another size than the set; make null releases of the same size",
            Exit.DATA,
        )
    if null.images.shape == release.images.shape and torch.equal(null.images, release.images):
        raise Stop(
            f"{path}: is the audited set itself; a null release is made of other people", Exit.DATA
        )
    return null
