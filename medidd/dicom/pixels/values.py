"""The stored values of a film, each once; the grayscale pipeline runs on these."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from medidd.dicom.errors import Refused
from medidd.dicom.pixels.lut import Floats
from medidd.dicom.pixels.picture import Index, Mask, Picture
from medidd.dicom.stored import Stored

_STRIDE = 16  # pixels; this sample nearly always shows that a film has more than one value
_LEVELS = 65535  # of a cohort's images
_STRIP = 2**16  # pixels counted at once: their copy as large integers stays in the cache


class Values:
    """All values between a film's smallest and largest value.

    Attributes:
        each: these values, ascending, (n,).
    """

    def __init__(self, stored: Stored, hidden: Mask | None = None) -> None:
        """Takes stored values and which pixels are hidden, both (rows, columns)."""
        self.each: Stored
        self._index: Index
        self._hidden = hidden
        stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)
        if stored.dtype.itemsize <= 2:
            # The bits of a negative value, read as unsigned, are a valid place in the table, too.
            self._index = stored.view(f"u{stored.dtype.itemsize}")
            self.each = np.arange(int(stored.min()), int(stored.max()) + 1).astype(stored.dtype)
            self._places = self.each.view(self._index.dtype)
        else:
            self.each, places = np.unique(stored, return_inverse=True)
            self._index = places.reshape(stored.shape).astype(np.uint32)
            self._places = np.arange(len(self.each), dtype=np.uint32)
        self._used = np.ones(len(self.each), bool)

    def drop(self, padding: Mask | None) -> None:
        """Ignores values that are padding, (n,); they become black."""
        if padding is not None:
            self._used &= ~padding

    @cached_property
    def counts(self) -> npt.NDArray[np.intp]:
        """How many pixels that are neither padding nor hidden have each value, (n,)."""
        seen = self._index if self._hidden is None else self._index[~self._hidden]
        flat = np.ravel(seen)
        length = int(self._places.max()) + 1
        total = np.zeros(length, np.intp)
        for first in range(0, flat.size, _STRIP):
            total += np.bincount(flat[first : first + _STRIP], minlength=length)
        counted: npt.NDArray[np.intp] = np.where(self._used, total[self._places], 0)
        return counted

    def require_range(self, mapped: Floats) -> None:
        """Checks what the values are mapped to, (n,), for values that pixels have.

        Raises:
            Refused: they are not finite, or all the same.
        """
        if self._varies(mapped) and np.isfinite(mapped[self._used]).all():
            return
        there = mapped[self.counts > 0]
        if not np.isfinite(there).all():
            raise Refused("non_finite")
        if there.size == 0 or there.min() == there.max():
            raise Refused("constant_image")

    def told_apart(self, shown: Floats) -> bool:
        """Whether display values in [0, 1], (n,), differ for pixels, in the cohort's 16 bits."""
        levels = np.rint(shown * np.float32(_LEVELS))
        if not np.isfinite(levels[self._used]).all():
            return False
        if self._varies(levels):
            return True
        there = levels[self.counts > 0]
        return bool(there.size) and bool(there.min() < there.max())

    def ends(self, mapped: Floats) -> tuple[float, float]:
        """Returns the least and the largest of what values are mapped to, (n,), without padding.

        Both are NaN if there is nothing but padding.
        """
        used = mapped[self._used]
        return (float(used.min()), float(used.max())) if used.size else (np.nan, np.nan)

    def _varies(self, mapped: Floats) -> bool:
        """Whether a few pixels already show that not all are the same."""
        part = (slice(None, None, _STRIDE), slice(None, None, _STRIDE))
        sample = (
            self._index[part] if self._hidden is None else self._index[part][~self._hidden[part]]
        )
        shown = self._table(mapped, np.nan)[sample]
        shown = shown[~np.isnan(shown)]
        return bool(shown.size) and bool(shown.min() < shown.max())

    def percentiles(self, mapped: Floats, wanted: Sequence[float]) -> list[float]:
        """Returns percentiles of what the pixels' values are mapped to, (n,), interpolated."""
        order = np.argsort(mapped, kind="stable")
        reached = np.cumsum(self.counts[order])
        found = []
        for percent in wanted:
            place = (reached[-1] - 1) * percent / 100
            below, above = np.searchsorted(reached, [np.floor(place), np.ceil(place)], "right")
            low, high = (float(mapped[order[at]]) for at in (below, above))
            found.append(low + (high - low) * (place - np.floor(place)))
        return found

    def picture(self, shown: Floats) -> Picture:
        """Returns the picture that shows each value as in ``shown``, (n,), and padding as black."""
        return Picture(self._index, self._table(shown, 0.0), self._hidden)

    def _table(self, mapped: Floats, unused: float) -> Floats:
        """Returns an entry for each place that a pixel can refer to."""
        entries = np.zeros(int(self._places.max()) + 1, np.float32)
        entries[self._places] = np.where(self._used, mapped, np.float32(unused))
        return entries
