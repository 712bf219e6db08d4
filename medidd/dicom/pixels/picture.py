"""A film as stored values, with a table of the display value of each; the look-up comes late.

A film has millions of pixels and at most 2**16 values, so the grayscale pipeline runs only on the
values. Pixels are looked up in strips, which stay in the processor's cache until they are averaged.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medidd.dicom.pixels.lut import Floats

Index = npt.NDArray[np.unsignedinteger]
Mask = npt.NDArray[np.bool_]
Turn = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Picture:
    """A film's pixels.

    Attributes:
        index: entry of the table for each pixel, (rows, columns).
        table: display values in [0, 1], (n,); 0 is black.
        hidden: pixels that are always black, whatever the table says, (rows, columns), or None.
    """

    index: Index
    table: Floats
    hidden: Mask | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.index.shape
        return rows, columns

    def rows(self, first: int = 0, last: int | None = None) -> Floats:
        """Returns the display values of some rows, (last - first, columns)."""
        part = slice(first, last)
        # All indices are in the table; "wrap" saves numpy a check and a copy.
        shown: Floats = np.take(self.table, self.index[part], mode="wrap")
        if self.hidden is not None:
            shown[self.hidden[part]] = 0
        return shown

    def turned(self, turn: Turn) -> "Picture":
        """Returns the picture with rows and columns moved by ``turn``, such as ``np.transpose``."""
        hidden = None if self.hidden is None else turn(self.hidden)
        return replace(self, index=turn(self.index), hidden=hidden)
