"""From one file to the levels that a cohort keeps; runs in a separate process per film."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset

from medidd.dicom.errors import Refused
from medidd.dicom.header.header import read_film
from medidd.dicom.header.radiograph import remarks
from medidd.dicom.patches import Region
from medidd.dicom.pixels.lut import Floats
from medidd.dicom.pixels.patches import classes, cut, drawn
from medidd.dicom.pixels.picture import Mask
from medidd.dicom.pixels.picture_file import read_picture
from medidd.dicom.pixels.preparation import prepared
from medidd.dicom.reading import Reading
from medidd.dicom.refusals import Refusal
from medidd.dicom.source import Source


@dataclass(frozen=True, repr=False)
class Shown:
    """A film as a cohort keeps it.

    Attributes:
        levels: (size, size), uint16; 0 to 65535 stand for display values [0, 1]. Of a film that is
            cut, its patches, (patches, size, size).
        warnings: what is odd about it, keys of ``errors.WARNINGS``.
        classes: the class of each patch, '' where nobody can say it; None for the film's.
    """

    levels: npt.NDArray[np.uint16]
    warnings: tuple[str, ...]
    classes: tuple[str, ...] | None = None


@dataclass(frozen=True, repr=False)
class Marked:
    """A film with its region.

    Attributes:
        source: the file.
        region: what it shows where.
        label: the film's class.
    """

    source: Source
    region: Region
    label: str


def decoded(item: Source | Marked, size: int, reading: Reading) -> Shown | Refusal:
    """Returns a film as a square of ``size`` by ``size`` pixels, or why it cannot be used.

    A film that ``reading`` cuts becomes patches of this size.
    """
    source = item.source if isinstance(item, Marked) else item
    patches = reading.patches
    try:
        if reading.files == "pictures":
            film, odd = read_picture(source, reading)
        else:
            film = read_film(source, reading)
            odd = remarks(film, reading)
        marks = _marks(film, item) if isinstance(item, Marked) else None
        found = prepared(film, size if patches is None else patches.frame, reading, marks)
    except Refused as refused:
        return Refusal(source.place, refused.code)
    warnings = (*found.warnings, *odd)
    if patches is None:
        return Shown(_levels(found.picture), warnings)
    levels = _levels(cut(found.picture, patches, size))
    return Shown(levels, warnings, None if marks is None else classes(found.marks, patches))


def _marks(film: FileDataset, item: Marked) -> dict[str, Mask]:
    return drawn(item.region, (int(film.Rows), int(film.Columns)), item.label)


def _levels(shown: Floats) -> npt.NDArray[np.uint16]:
    levels: npt.NDArray[np.uint16] = np.rint(shown * 65535).astype(np.uint16)
    return levels
