"""Stored values to display values: the grayscale pipeline of PS3.4 N.2, in float32.

pydicom's own functions are not used: at depths that occur in hospitals, their look-up tables wrap
around or fail. Padding is found before anything changes the values. It is set to black after the
inversion, because it would turn white otherwise.
"""

from collections.abc import Callable

import numpy as np
from pydicom import Dataset

from medidd.dicom.errors import Refused
from medidd.dicom.header.numbers import WINDOW, given, number, readable
from medidd.dicom.pixels.lut import Floats, Table, has_data, integer, table
from medidd.dicom.pixels.picture import Mask, Picture
from medidd.dicom.pixels.values import Values
from medidd.dicom.reading import Voi
from medidd.dicom.stored import Stored

PERCENTILES = (0.5, 99.5)
"""Of the pixels' values, shown as black and as white where nothing else says how."""


def display(
    stored: Stored,
    film: Dataset,
    voi: Voi = "auto",
    hidden: Mask | None = None,
    warnings: list[str] | None = None,
) -> Picture:
    """Returns the picture that a film's stored values make.

    Args:
        stored: stored values, (rows, columns).
        film: the header; its Pixel Data is not used.
        voi: the source of the display range.
        hidden: pixels behind a shutter, (rows, columns): black, and not counted; None for none.
        warnings: gets keys of ``errors.WARNINGS``: what was not used, or read in another way.

    Raises:
        Refused: a look-up table is too short, values are not finite, or all are the same.
    """
    warnings = [] if warnings is None else warnings
    values = Values(stored, hidden)
    values.drop(padded(values.each, film))
    with np.errstate(all="ignore"):  # overflowing values are refused
        manufacturers = _modality(values, film, warnings)
        values.require_range(manufacturers)
        shown = _voi(manufacturers, values, film, voi, warnings)
    values.require_range(shown)
    # Presentation LUT Shape INVERSE only repeats MONOCHROME1 (PS3.3 C.8.11.3); invert once.
    if film.PhotometricInterpretation == "MONOCHROME1":
        np.subtract(1, shown, out=shown)
    return values.picture(shown)


def padded(values: Stored, film: Dataset) -> Mask | None:
    """Returns which values are Pixel Padding Value, or in its range (C.7.5.1.1.2)."""
    if film.get("PixelPaddingValue") is None:
        return None
    first = int(film.PixelPaddingValue)
    limit = film.get("PixelPaddingRangeLimit")
    ends = [first, first if limit is None else int(limit)]
    if film.PixelRepresentation == 1:
        ends = [integer(end, signed=True) for end in ends]
    else:
        ends = [end % 2**16 for end in ends]  # some write SS although the pixels are unsigned
    return (values >= min(ends)) & (values <= max(ends))


def conflicting(film: Dataset) -> bool:
    """Whether Presentation LUT Shape contradicts Photometric Interpretation (PS3.3 C.8.11.3)."""
    wanted = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}
    shape = film.get("PresentationLUTShape")
    return bool(shape) and shape != wanted[film.PhotometricInterpretation]


def _modality(values: Values, film: Dataset, warnings: list[str]) -> Floats:
    """Returns the manufacturer's values: Modality LUT, else slope and intercept (PS3.3 C.11.1)."""
    stored = values.each.astype(np.float32)
    if film.get("ModalityLUTSequence"):
        signed = film.PixelRepresentation == 1
        return _table(film.ModalityLUTSequence[0], signed, stored, values, film, warnings)(stored)
    stored *= np.float32(number(film, "RescaleSlope") or 1.0)
    stored += np.float32(number(film, "RescaleIntercept") or 0.0)
    return stored


def _voi(
    manufacturers: Floats, values: Values, film: Dataset, voi: Voi, warnings: list[str]
) -> Floats:
    """Returns [0, 1] by the VOI LUT, else a window, else percentiles (PS3.3 C.11.2).

    Tables and windows are alternatives: the first one is used with which the film shows something.

    Raises:
        Refused: the VOI LUT is too short, and there is no window.
    """
    short = False
    if voi in ("auto", "lut") and film.get("VOILUTSequence"):
        for place, item in enumerate(film.VOILUTSequence):
            try:
                signed = _can_be_negative(film)
                lut = _table(item, signed, manufacturers, values, film, warnings)
            except Refused:
                short |= has_data(item)
                continue
            # Scaled by the table's largest entry, not its depth: some say 16 bits and use 12.
            shown: Floats = lut(manufacturers) / np.maximum(lut.entries.max(), np.float32(1))
            if values.told_apart(shown):
                warnings += ["voi_lut_ignored"] * (place > 0)
                return shown
        warnings.append("voi_lut_ignored")
    if voi in ("auto", "window"):
        window = _window(manufacturers, values, film, warnings)
        if window is not None:
            return window
    if short:
        raise Refused("lut_short")
    whole = (0.0, 100.0)
    low, high = values.percentiles(manufacturers, whole if voi == "none" else PERCENTILES)
    if low == high:
        low, high = values.percentiles(manufacturers, whole)
    return linear_exact(manufacturers, (low + high) / 2, high - low)


def _window(
    manufacturers: Floats, values: Values, film: Dataset, warnings: list[str]
) -> Floats | None:
    """Returns [0, 1] by the first window that shows something, None if there is none."""
    window, narrowest = _WINDOWS.get(str(film.get("VOILUTFunction")), _WINDOWS["LINEAR"])
    centers, widths = (readable(film, keyword) for keyword in WINDOW)
    for place, (center, width) in enumerate(zip(centers, widths, strict=False)):
        if width >= narrowest:
            shown = window(manufacturers, center, width)
            if values.told_apart(shown):
                warnings += ["window_ignored"] * (place > 0)
                return shown
    if any(given(film, keyword) for keyword in WINDOW):
        warnings.append("window_ignored")
    return None


def _table(
    item: Dataset,
    signed: bool,
    mapped: Floats,
    values: Values,
    film: Dataset,
    warnings: list[str],
) -> Table:
    """Returns a table for what the values are mapped to, (n,), and says what is odd about it."""
    lut = table(item, signed=signed, big_endian=film.original_encoding[1] is False)
    if lut.swapped:
        warnings.append("lut_swapped")
    other = lut.with_other_sign()
    ends = values.ends(mapped)
    if not lut.reaches(*ends) and other.reaches(*ends):
        warnings.append("lut_sign")
        return other
    return lut


def _can_be_negative(film: Dataset) -> bool:
    """Whether the manufacturer's values can be negative, by their possible range.

    This decides how the first value of a VOI LUT is read: like the pixels if nothing rescales them,
    signed if the possible output of slope and intercept may be, else unsigned. A Modality LUT gives
    no negative values (PS3.3 C.11.2.1.1).
    """
    if film.get("ModalityLUTSequence"):
        return False
    signed, count = film.PixelRepresentation == 1, 2 ** int(film.BitsStored)
    ends = (-count // 2, count // 2 - 1) if signed else (0, count - 1)
    slope = number(film, "RescaleSlope") or 1.0
    return min(end * slope + (number(film, "RescaleIntercept") or 0.0) for end in ends) < 0


def linear(values: Floats, center: float, width: float) -> Floats:
    """Returns the LINEAR window, shifted by half a value (PS3.3 C.11.2.1.2.1)."""
    if width == 1:
        return (values > center - 0.5).astype(np.float32)
    return linear_exact(values, center - 0.5, width - 1)


def linear_exact(values: Floats, center: float, width: float) -> Floats:
    """Returns the LINEAR_EXACT window (PS3.3 C.11.2.1.3.2)."""
    shown: Floats = (values - np.float32(center)) / np.float32(width) + np.float32(0.5)
    return np.clip(shown, 0, 1, out=shown)


def sigmoid(values: Floats, center: float, width: float) -> Floats:
    """Returns the SIGMOID window, written so that nothing overflows (PS3.3 C.11.2.1.3.1)."""
    angle = (values - np.float32(center)) * np.float32(2 / width)
    shown: Floats = (np.tanh(angle) + 1) * np.float32(0.5)
    return shown


_WINDOWS: dict[str, tuple[Callable[[Floats, float, float], Floats], float]] = {
    "LINEAR": (linear, 1.0),
    "LINEAR_EXACT": (linear_exact, 1e-6),
    "SIGMOID": (sigmoid, 1e-6),
}
"""Windows by VOI LUT Function, each with the least width for which it is defined."""
