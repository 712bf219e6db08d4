"""Text burned into a film: is a line of letters or digits drawn over its stored values?

What a device draws has one value throughout, the film's largest or smallest, while what the
detector saw is noisy. So each piece with exactly that value that has a letter's size and is not
solid may be a glyph. Several glyphs of one height next to each other are text. A side marker alone
is not. Lossy compression blurs the values, and this search then misses the text.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from medidd.dicom.pixels.picture import Mask
from medidd.dicom.stored import Stored

_LOWEST = 8  # pixels, of a glyph
_HIGHEST = 0.08  # of the film's rows
_SOLID, _THIN = 0.85, 0.12  # share of a glyph's box that is drawn
_WIDEST = 1.6  # heights; a W, or two letters that touch
_IN_A_ROW = 4
_APART = 1.5  # heights between two glyphs of a line
_ALIKE = 0.75  # smaller height over larger one, in a line
_CELL = 4  # pixels, as many as fit into 32 bits
_TOUCHING = np.ones((3, 3))  # pixels that touch at a corner belong to one piece
_MARGIN = 2  # pixels painted around a glyph, where its edge was smoothed


@dataclass(frozen=True)
class Box:
    """Where a glyph is: first and last row and column, as in slices."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom - self.top


def text(stored: Stored) -> list[Box]:
    """Returns the glyphs of all lines of text in stored values (rows, columns)."""
    found: list[Box] = []
    for extreme in (stored.min(), stored.max()):
        found += _lines(_glyphs(stored == extreme))
    return found


def masked(stored: Stored, glyphs: list[Box]) -> Stored:
    """Returns a copy of the stored values with each glyph painted by the median around it."""
    painted = stored.copy()
    boxes = [_grown(box, _MARGIN) for box in glyphs]
    drawn = np.zeros(stored.shape, bool)
    for box in boxes:
        drawn[box] = True
    for box, glyph in zip(boxes, glyphs, strict=True):
        around = _grown(glyph, _MARGIN + max(glyph.height // 2, 2))
        clean = stored[around][~drawn[around]]
        painted[box] = np.median(clean if clean.size else stored[~drawn]).astype(stored.dtype)
    return painted


def _grown(box: Box, by: int) -> tuple[slice, slice]:
    rows = slice(max(box.top - by, 0), box.bottom + by)
    return rows, slice(max(box.left - by, 0), box.right + by)


def _glyphs(drawn: Mask) -> list[Box]:
    """Returns the pieces of a mask (rows, columns) that could be a letter or a digit."""
    if np.count_nonzero(drawn) < _IN_A_ROW * _LOWEST:
        return []
    highest = max(_LOWEST, _HIGHEST * drawn.shape[0])
    found = []
    for rows, columns in _places(drawn, highest):
        pieces, _ = ndimage.label(drawn[rows, columns], structure=_TOUCHING)
        for number, piece in enumerate(ndimage.find_objects(pieces), 1):
            (height, width), (down, across) = [side.stop - side.start for side in piece], piece
            cut = not (down.start and across.start)
            cut |= down.stop == pieces.shape[0] or across.stop == pieces.shape[1]
            if cut or not (_LOWEST <= height <= highest and width <= _WIDEST * height):
                continue
            share = np.count_nonzero(pieces[piece] == number) / (height * width)
            # A solid upright bar is an I or a 1.
            if _THIN <= share <= _SOLID or (share > _SOLID and width <= height / 3):
                top, left = rows.start + down.start, columns.start + across.start
                found.append(Box(top, top + height, left, left + width))
    return found


def _places(drawn: Mask, highest: float) -> list[tuple[slice, slice]]:
    """Returns where glyphs can be, with a border of a pixel: a coarse search, to save time.

    A cell of ``_CELL`` by ``_CELL`` pixels counts as drawn if any of its pixels is. Pieces of cells
    that are too high are no text; the others are searched closely.
    """
    rows, columns = (side // _CELL * _CELL for side in drawn.shape)
    across = np.ascontiguousarray(drawn[:rows, :columns]).view(np.uint32) != 0
    cells = np.logical_or.reduce([across[row::_CELL] for row in range(_CELL)])
    pieces, _ = ndimage.label(cells, structure=_TOUCHING)
    found = []
    for down, right in ndimage.find_objects(pieces):
        if (down.stop - down.start + 1) * _CELL > _LOWEST and (
            (down.stop - down.start - 2) * _CELL <= highest
        ):
            top, left = (max(side.start * _CELL - 1, 0) for side in (down, right))
            found.append((slice(top, down.stop * _CELL + 1), slice(left, right.stop * _CELL + 1)))
    return found


def _lines(glyphs: list[Box]) -> list[Box]:
    """Returns the glyphs that are in lines."""
    rest = sorted(glyphs, key=lambda box: (box.left, box.top))
    found: list[Box] = []
    while rest:
        line = [rest.pop(0)]
        for box in list(rest):
            if _follows(line[-1], box):
                line.append(box)
                rest.remove(box)
        if len(line) >= _IN_A_ROW:
            found += line
    return found


def _follows(one: Box, other: Box) -> bool:
    low, high = sorted((one.height, other.height))
    shared = min(one.bottom, other.bottom) - max(one.top, other.top)
    gap = other.left - one.right
    return low >= _ALIKE * high and shared >= _ALIKE * high and -low <= gap <= _APART * high
