"""Stored values to display values: the grayscale pipeline of PS3.4 N.2, in float32.

pydicom's own functions are not used: at depths that occur in hospitals, their look-up tables wrap
around or fail. Padding is found before anything changes the values. It is set to black after the
inversion, because it would turn white otherwise.
"""

from collections.abc import Callable

import numpy as np
from pydicom import Dataset
from pydicom.multival import MultiValue

from medidd.dicom.pixels.lut import Floats, integer, table
from medidd.dicom.pixels.picture import Mask, Picture
from medidd.dicom.pixels.values import Stored, Values
from medidd.dicom.reading import Voi

_PERCENTILES = (0.5, 99.5)


def display(
    stored: Stored, film: Dataset, voi: Voi = "auto", hidden: Mask | None = None
) -> Picture:
    """Returns the picture that a film's stored values make.

    Args:
        stored: stored values, (rows, columns).
        film: the header; its Pixel Data is not used.
        voi: the source of the display range.
        hidden: pixels behind a shutter, (rows, columns): black, and not counted; None for none.

    Raises:
        Refused: a look-up table is too short, values are not finite, or all are the same.
    """
    values = Values(stored, hidden)
    values.drop(padded(values.each, film))
    with np.errstate(all="ignore"):  # overflowing values are refused
        manufacturers = _modality(values.each, film)
        values.require_range(manufacturers)
        shown = _voi(manufacturers, values, film, voi)
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


def _modality(stored: Stored, film: Dataset) -> Floats:
    """Returns the manufacturer's values: Modality LUT, else slope and intercept (PS3.3 C.11.1)."""
    values = stored.astype(np.float32)
    if film.get("ModalityLUTSequence"):
        return table(film.ModalityLUTSequence[0], signed=film.PixelRepresentation == 1)(values)
    values *= np.float32(_number(film, "RescaleSlope") or 1.0)
    values += np.float32(_number(film, "RescaleIntercept") or 0.0)
    return values


def _voi(manufacturers: Floats, values: Values, film: Dataset, voi: Voi) -> Floats:
    """Returns [0, 1] by the VOI LUT, else the first window, else percentiles (PS3.3 C.11.2)."""
    if voi in ("auto", "lut") and film.get("VOILUTSequence"):
        lut = table(film.VOILUTSequence[0], signed=_can_be_negative(film))
        # Scaled by the table's largest entry, not its depth: some say 16 bits and use 12.
        shown: Floats = lut(manufacturers) / np.maximum(lut.entries.max(), np.float32(1))
        return shown
    if voi in ("auto", "window"):
        center, width = _number(film, "WindowCenter"), _number(film, "WindowWidth")
        window, narrowest = _WINDOWS.get(str(film.get("VOILUTFunction")), _WINDOWS["LINEAR"])
        if center is not None and width is not None and width >= narrowest:
            return window(manufacturers, center, width)
    whole = (0.0, 100.0)
    low, high = values.percentiles(manufacturers, whole if voi == "none" else _PERCENTILES)
    if low == high:
        low, high = values.percentiles(manufacturers, whole)
    return linear_exact(manufacturers, (low + high) / 2, high - low)


def _can_be_negative(film: Dataset) -> bool:
    """Whether the manufacturer's values can be negative; decides how a VOI LUT's start is read."""
    if film.get("ModalityLUTSequence"):
        return False
    return film.PixelRepresentation == 1 or (_number(film, "RescaleIntercept") or 0.0) < 0


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


def _number(film: Dataset, keyword: str) -> float | None:
    """Returns the first value of a decimal string, None if it is absent or empty."""
    value = film.get(keyword)
    if isinstance(value, MultiValue):
        value = value[0] if value else None
    return None if value is None or value == "" else float(value)
