"""From display values to a square: upright, in true proportions, resampled by area, on black."""

import math
from functools import lru_cache

import numpy as np
from pydicom import Dataset
from pydicom.multival import MultiValue

from medidd.dicom.header.numbers import PROPORTIONS, readable
from medidd.dicom.pixels.lut import Floats
from medidd.dicom.pixels.picture import Picture

_STRIP = 32  # rows looked up at once, so that they stay in the cache


def square(picture: Picture, film: Dataset, size: int) -> Floats:
    """Returns the display values of a film in reading orientation, (size, size)."""
    aspect = pixel_aspect(film)
    right, down = _directions(film)
    if right in ("H", "F") and down in ("L", "R", "A", "P"):
        picture, aspect = picture.turned(lambda pixels: np.ascontiguousarray(pixels.T)), 1 / aspect
        right, down = down, right
    # The reader faces the patient: the patient's left is on the right. Laterals are not turned.
    if right == "R":
        picture = picture.turned(lambda pixels: pixels[:, ::-1])
    if down == "H":
        picture = picture.turned(lambda pixels: pixels[::-1])
    return letterbox(picture, aspect, size)


def pixel_aspect(film: Dataset) -> float:
    """Returns a pixel's height over its width (PS3.3 C.7.6.3.1.7 and 10.7.1), 1 if unknown."""
    for keyword in PROPORTIONS:
        given = readable(film, keyword)
        if len(given) != 2:
            continue
        height, width = given
        if 0 < height < math.inf and 0 < width < math.inf:
            return height / width
    return 1.0


def letterbox(picture: Picture, aspect: float, size: int) -> Floats:
    """Returns display values in [0, 1] resampled by area to fit (size, size), centered on black.

    Args:
        picture: the film, (rows, columns).
        aspect: height of a pixel over its width.
        size: pixels.
    """
    rows, columns = picture.shape
    longest = max(rows * aspect, columns)
    height = max(1, round(size * rows * aspect / longest))
    width = max(1, round(size * columns / longest))
    top, left = (size - height) // 2, (size - width) // 2
    low = np.zeros((height, columns), np.float32)
    for part, reach, shares in _strips(rows, height, _STRIP):
        low[reach] += shares @ picture.rows(part.start, part.stop)
    small = _across(low, width)
    framed = np.zeros((size, size), np.float32)
    framed[top : top + height, left : left + width] = np.clip(small, 0, 1)
    return framed


def averaged(shown: Floats, height: int, width: int) -> Floats:
    """Returns display values, (rows, columns), resampled by area to (height, width)."""
    low = np.zeros((height, shown.shape[1]), np.float32)
    for part, reach, shares in _strips(shown.shape[0], height, _STRIP):
        low[reach] += shares @ shown[part]
    return np.clip(_across(low, width), 0, 1)


def _across(low: Floats, width: int) -> Floats:
    small = np.zeros((len(low), width), np.float32)
    for part, reach, shares in _strips(low.shape[1], width, 4 * _STRIP):
        small[:, reach] += low[:, part] @ shares.T
    return small


@lru_cache(maxsize=16)  # films of one device have one shape
def _strips(source: int, target: int, step: int) -> list[tuple[slice, slice, Floats]]:
    """Returns strips of ``source`` pixels, the ``target`` ones they reach, and their shares there.

    The shares of all strips in a target pixel sum to one.
    """
    edges = np.linspace(0, source, target + 1)
    strips = []
    for first in range(0, source, step):
        last = min(first + step, source)
        # One more on either side, because the edges are rounded.
        top = max(first * target // source - 1, 0)
        end = min(-(-last * target // source) + 1, target)
        before, after = edges[top:end, None], edges[top + 1 : end + 1, None]
        pixel = np.arange(first, last)
        overlap = np.minimum(after, pixel + 1) - np.maximum(before, pixel)
        shares = (np.clip(overlap, 0, None) / (after - before)).astype(np.float32)
        strips.append((slice(first, last), slice(top, end), shares))
    return strips


def _directions(film: Dataset) -> tuple[str, str]:
    """Returns the direction of rows and columns: the first letters in PatientOrientation."""
    given = film.get("PatientOrientation")
    if not isinstance(given, MultiValue) or len(given) != 2:
        return "", ""
    return str(given[0])[:1], str(given[1])[:1]
