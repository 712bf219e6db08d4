"""From one object's codestream to a square of display values."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import FileDataset

from medidd.dicom.errors import Refused
from medidd.dicom.header.elements import text as said
from medidd.dicom.header.header import refusing
from medidd.dicom.header.numbers import odd
from medidd.dicom.pixels import burned_in, cropping
from medidd.dicom.pixels.cropping import Opening
from medidd.dicom.pixels.display import conflicting, display
from medidd.dicom.pixels.framing import square
from medidd.dicom.pixels.lut import Floats
from medidd.dicom.pixels.picture import Mask, Picture
from medidd.dicom.reading import Reading
from medidd.dicom.stored import Stored
from medidd.dicom.stored.decoding import reduced_values, stored_values

_ALL = (slice(None), slice(None))

_LEAST = 2
"""A film decoded at a lower resolution must be this many times as large as the result."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A film as a square.

    Attributes:
        picture: display values in [0, 1], (size, size).
        warnings: what is odd about it, keys of ``errors.WARNINGS``.
        marks: by name, the share of each pixel that a mark on the film covers, (size, size).
    """

    picture: Floats
    warnings: tuple[str, ...]
    marks: Mapping[str, Floats]


def prepared(
    film: FileDataset, size: int, reading: Reading, marks: Mapping[str, Mask] | None = None
) -> Prepared:
    """Returns a film as a square of ``size`` by ``size`` pixels.

    Args:
        film: the film with its pixels.
        size: pixels.
        reading: how films are read.
        marks: by name, pixels of the stored film that are marked, (rows, columns).

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
    whole = (opened.rows, opened.columns)
    stored, opened = _values(film, size, reading, opened, warnings)
    with refusing("header_error"):
        stored = _unnamed(film, stored[opened.rows, opened.columns], reading, warnings)
        picture = display(stored, film, reading.voi, opened.hidden, warnings)
        kept = cropping.lively(picture) if reading.crop == "auto" else _ALL
        framed = {
            name: square(cropping.part(_marked(mark[whole]), kept), film, size)
            for name, mark in (marks or {}).items()
        }
        shown = square(cropping.part(picture, kept), film, size)
        return Prepared(shown, tuple(dict.fromkeys(warnings)), framed)


def _marked(mark: Mask) -> Picture:
    return Picture(mark.astype(np.uint8), np.array([0, 1], np.float32))


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
