"""From one object's codestream to a square of display values."""

from typing import Any

import numpy as np
from pydicom.dataset import FileDataset

from medidd.dicom.errors import Refused
from medidd.dicom.header.elements import text as said
from medidd.dicom.header.header import refusing
from medidd.dicom.header.numbers import odd
from medidd.dicom.pixels import burned_in, cropping
from medidd.dicom.pixels.cropping import Opening
from medidd.dicom.pixels.decoding import reduced_values, stored_values
from medidd.dicom.pixels.display import conflicting, display
from medidd.dicom.pixels.framing import square
from medidd.dicom.pixels.lut import Floats
from medidd.dicom.pixels.values import Stored
from medidd.dicom.reading import Reading

_LEAST = 2
"""A film decoded at a lower resolution must be this many times as large as the result."""


def prepared(film: FileDataset, size: int, reading: Reading) -> tuple[Floats, dict[str, Any]]:
    """Returns display values in [0, 1], (size, size), and under "warnings" what is odd.

    Raises:
        Refused: the pixels cannot be decoded or shown, or hold identifiers that were not found.
    """
    warnings: list[str] = []
    with refusing("header_error"):
        opened = _opening(film, reading, warnings)
        if conflicting(film):
            warnings.append("presentation_lut_conflict")
        if said(film, "NumberOfFrames") and int(film.NumberOfFrames) < 1:
            warnings.append("frames_zero")
        warnings += odd(film)
    stored, opened = _values(film, size, reading, opened, warnings)
    with refusing("header_error"):
        stored = _unnamed(film, stored[opened.rows, opened.columns], reading, warnings)
        picture = display(stored, film, reading.voi, opened.hidden, warnings)
        if reading.crop == "auto":
            picture = cropping.trimmed(picture)
        return square(picture, film, size), {"warnings": tuple(dict.fromkeys(warnings))}


def _opening(film: FileDataset, reading: Reading, warnings: list[str]) -> Opening:
    whole = Opening(slice(0, int(film.Rows)), slice(0, int(film.Columns)))
    if reading.crop == "shutter":
        try:
            return cropping.opening(film) or whole
        except ValueError:
            warnings.append("shutter_ignored")
    return whole


def _values(
    film: FileDataset, size: int, reading: Reading, opened: Opening, warnings: list[str]
) -> tuple[Stored, Opening]:
    """Returns the stored values and their open part, both reduced if that is enough."""
    if reading.fast_j2k:
        longest = max(side.stop - side.start for side in (opened.rows, opened.columns))
        halvings = (longest // (_LEAST * size)).bit_length() - 1
        stored = reduced_values(film, reading.frames, halvings)
        if stored is not None:
            done = round(np.log2(int(film.Rows) / stored.shape[0]))
            return stored, cropping.reduced(opened, done)
    return stored_values(film, reading.frames, warnings), opened


def _unnamed(film: FileDataset, stored: Stored, reading: Reading, warnings: list[str]) -> Stored:
    """Returns the stored values, with text painted over if ``reading`` says so."""
    if reading.burned_in == "keep":
        return stored
    glyphs = burned_in.text(stored)
    if reading.burned_in == "reject":
        if glyphs:
            warnings.append("burned_in_suspected")
        return stored
    if glyphs:
        warnings.append("burned_in_masked")
        return burned_in.masked(stored, glyphs)
    # The header says that there is text, and no text was found to paint over.
    if said(film, "BurnedInAnnotation") == "YES":
        raise Refused("burned_in_tag")
    return stored
