"""From one file to the levels that a cohort keeps; runs in a separate process per film."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medidd.dicom.errors import Refused
from medidd.dicom.header.header import read_film
from medidd.dicom.header.radiograph import remarks
from medidd.dicom.pixels.picture_file import read_picture
from medidd.dicom.pixels.preparation import prepared
from medidd.dicom.reading import Reading
from medidd.dicom.refusals import Refusal
from medidd.dicom.source import Source


@dataclass(frozen=True, repr=False)
class Shown:
    """A film as a cohort keeps it.

    Attributes:
        levels: (size, size), uint16; 0 to 65535 stand for display values [0, 1].
        warnings: what is odd about it, keys of ``errors.WARNINGS``.
    """

    levels: npt.NDArray[np.uint16]
    warnings: tuple[str, ...]


def decoded(source: Source, size: int, reading: Reading) -> Shown | Refusal:
    """Returns a film as a square of ``size`` by ``size`` pixels, or why it cannot be used."""
    try:
        if reading.files == "pictures":
            film, odd = read_picture(source, reading)
        else:
            film = read_film(source, reading)
            odd = remarks(film, reading)
        picture, about = prepared(film, size, reading)
    except Refused as refused:
        return Refusal(source.place, refused.code)
    warnings = (*about["warnings"], *odd)
    return Shown(np.rint(picture * 65535).astype(np.uint16), warnings)
