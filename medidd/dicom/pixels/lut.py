"""Look-up tables as hospitals write them (PS3.3 C.11.1.1 and C.11.2.1.1).

The descriptor gives the number of entries, the first value mapped and a nominal depth. The depth is
not used: the data show whether an entry has one byte or two.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from medidd.dicom.errors import Refused

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Table:
    """A look-up table.

    Attributes:
        entries: what values are mapped to, (n,).
        first: the value for the first entry; smaller values map to the same entry.
    """

    entries: Floats
    first: int

    def __call__(self, values: Floats) -> Floats:
        """Returns the entry for each value, rounded to the nearest integer."""
        index = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1)
        shown: Floats = self.entries[index.astype(np.intp)]
        return shown


def table(item: Dataset, *, signed: bool) -> Table:
    """Returns the table of an item of a Modality or VOI LUT Sequence.

    Args:
        item: holds LUTDescriptor and LUTData.
        signed: whether the values to be mapped can be negative.

    Raises:
        Refused: the data hold fewer entries than the descriptor says.
    """
    length, first, _ = (int(number) for number in item.LUTDescriptor)
    length = (length & 0xFFFF) or 2**16  # 0 means 2**16, and some devices write it as signed
    data = item.LUTData
    if not isinstance(data, bytes):
        data = (np.atleast_1d(data).astype(np.int64) & 0xFFFF).astype("<u2").tobytes()
    if len(data) >= 2 * length:
        entries = np.frombuffer(data, "<u2", length)
    elif len(data) in (length, length + 1):  # packed bytes; an odd number is padded to even
        entries = np.frombuffer(data, np.uint8, length)
    else:
        raise Refused("lut_short")
    return Table(entries.astype(np.float32), integer(first, signed=signed))


def integer(value: int, *, signed: bool) -> int:
    """Returns a 16-bit value that was written as unsigned (US) though it can be negative (SS)."""
    return value - 2**16 if signed and value >= 2**15 else value
