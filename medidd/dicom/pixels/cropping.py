"""Which part of a film is used: the part that a shutter or collimator leaves open.

Shutters (PS3.3 C.7.6.11) hide what a reader need not see, and collimators (C.8.7.3) hide what was
not exposed. Both use the same shapes. Rows and columns are counted from 1; edges are outside the
open part.
"""

from dataclasses import dataclass

import numpy as np
from pydicom import Dataset

from medidd.dicom.header.numbers import readable
from medidd.dicom.pixels.picture import Mask, Picture

_FLAT = 0.02
"""A row or column at the film's edge is kept if it shows this share of the display's range."""
_LEAST_OPEN = 0.1
"""Share of the film: no radiograph is collimated to less."""


Part = tuple[slice, slice]
"""Rows and columns."""


@dataclass(frozen=True, eq=False)
class Opening:
    """What is open.

    Attributes:
        rows: from the first open row to the last.
        columns: from the first open column to the last.
        hidden: pixels in this box that are closed all the same, (rows, columns), or None.
    """

    rows: slice
    columns: slice
    hidden: Mask | None = None


def opening(film: Dataset) -> Opening | None:
    """Returns what the film's shutters and collimators leave open, None if it has none.

    Raises:
        ValueError: they leave nothing open, or are not described, or not in pixels of the film.
    """
    shape = (int(film.Rows), int(film.Columns))
    top, bottom, left, right = 0, shape[0], 0, shape[1]
    shut: Mask | None = None
    shapes = [(kind, name) for kind in ("Shutter", "Collimator") for name in _shapes(film, kind)]
    for kind, name in shapes:
        if name == "RECTANGULAR":
            edges = _rectangle(film, kind)
            if kind == "Collimator" and not _in_pixels(edges, shape):
                raise ValueError("the edges are not counted in pixels of the film")
            top, bottom = max(top, edges[0]), min(bottom, edges[1])
            left, right = max(left, edges[2]), min(right, edges[3])
        else:
            of = _circle if name == "CIRCULAR" else _polygon
            inside = of(film, kind, shape)
            shut = ~inside if shut is None else shut | ~inside
    if not shapes:
        return None
    if shut is None:
        if top >= bottom or left >= right:
            raise ValueError("nothing is open")
        return Opening(slice(top, bottom), slice(left, right))
    shut[:top] = shut[bottom:] = True
    shut[:, :left] = shut[:, right:] = True
    rows, columns = (np.flatnonzero(~shut.all(axis)) for axis in (1, 0))
    if not rows.size:
        raise ValueError("nothing is open")
    box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    hidden = shut[box]
    return Opening(*box, hidden if hidden.any() else None)


def reduced(found: Opening, halvings: int) -> Opening:
    """Returns the opening in a film whose sides were halved ``halvings`` times, rounded up."""
    step = 2**halvings
    rows, columns = (
        slice(side.start // step, max(side.start // step + 1, side.stop // step))
        for side in (found.rows, found.columns)
    )
    if found.hidden is None:
        return Opening(rows, columns)
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    near = [
        np.minimum(np.arange(n) * step + step // 2, limit - 1)
        for n, limit in zip(shape, found.hidden.shape, strict=True)
    ]
    return Opening(rows, columns, found.hidden[np.ix_(*near)])


def lively(picture: Picture) -> Part:
    """Returns the rows and columns without those at the edges that show almost nothing."""
    top, bottom = _lively(picture)
    rest = picture.turned(lambda pixels: pixels[top:bottom].T)
    left, right = _lively(rest)
    return slice(top, bottom), slice(left, right)


def part(picture: Picture, kept: Part) -> Picture:
    """Returns some rows and columns of a picture."""
    return picture.turned(lambda pixels: pixels[kept])


def _lively(picture: Picture) -> tuple[int, int]:
    """Returns the first row with contrast and the one after the last; all rows if none has any."""
    count = picture.shape[0]
    first = next((row for row in range(count) if _has_contrast(picture, row)), None)
    if first is None:
        return 0, count
    last = next(row for row in range(count - 1, -1, -1) if _has_contrast(picture, row))
    return first, last + 1


def _has_contrast(picture: Picture, row: int) -> bool:
    low, high = np.percentile(picture.rows(row, row + 1), (5, 95))
    return bool(high - low >= _FLAT)


def _shapes(film: Dataset, kind: str) -> list[str]:
    given = film.get(f"{kind}Shape") or ()
    names = [given] if isinstance(given, str) else list(given)
    known = ("RECTANGULAR", "CIRCULAR", "POLYGONAL")
    return [name for name in names if name in known]


def _numbers(film: Dataset, keyword: str, least: int) -> list[int]:
    found = [round(given) for given in readable(film, keyword)]
    if len(found) < least:
        raise ValueError("a shape is not described")
    return found


def _rectangle(film: Dataset, kind: str) -> tuple[int, int, int, int]:
    """Returns the first and last open row and column, as in slices."""
    edges = ("UpperHorizontalEdge", "LowerHorizontalEdge", "LeftVerticalEdge", "RightVerticalEdge")
    upper, lower, left, right = (_numbers(film, f"{kind}{edge}", 1)[0] for edge in edges)
    return upper, lower - 1, left, right - 1


def _in_pixels(edges: tuple[int, int, int, int], shape: tuple[int, int]) -> bool:
    """Whether a collimator's edges are in the film, or at its borders, and leave enough of it.

    Some devices count edges in another way, such as from the detector's center or in millimeters.
    Such edges would cut a chest to a twentieth. If edges are rightly outside the film, there is
    nothing to cut.
    """
    top, bottom, left, right = edges
    within = min(top, left) >= 0 and bottom <= shape[0] and right <= shape[1]
    return within and (bottom - top) * (right - left) >= _LEAST_OPEN * shape[0] * shape[1]


def _circle(film: Dataset, kind: str, shape: tuple[int, int]) -> Mask:
    row, column = _numbers(film, f"CenterOfCircular{kind}", 2)[:2]
    radius = _numbers(film, f"RadiusOfCircular{kind}", 1)[0]
    down, across = np.ogrid[1 : shape[0] + 1, 1 : shape[1] + 1]
    inside: Mask = (down - row) ** 2 + (across - column) ** 2 <= radius**2
    return inside


def _polygon(film: Dataset, kind: str, shape: tuple[int, int]) -> Mask:
    """Returns the pixels whose centers are inside, by the sides that a ray to the right crosses."""
    numbers = _numbers(film, f"VerticesOfThePolygonal{kind}", 6)
    corners = list(zip(numbers[::2], numbers[1::2], strict=True))
    down, across = np.ogrid[1 : shape[0] + 1, 1 : shape[1] + 1]
    inside = np.zeros(shape, bool)
    for (row, column), (next_row, next_column) in zip(
        corners, corners[1:] + corners[:1], strict=True
    ):
        if row == next_row:
            continue
        crosses = (down < row) != (down < next_row)
        meets = column + (down - row) * ((next_column - column) / (next_row - row))
        inside ^= crosses & (across < meets)
    return inside
