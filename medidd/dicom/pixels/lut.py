"""Look-up tables as hospitals write them (PS3.3 C.11.1.1 and C.11.2.1.1).

The descriptor gives the number of entries, the first value mapped and a nominal depth. The depth is
not trusted: the data show whether an entry has one byte or two, and some tables say 16 bits and use
12.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.multival import MultiValue

from medidd.dicom.errors import Refused

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Table:
    """A look-up table.

    Attributes:
        entries: what values are mapped to, (n,).
        first: the value for the first entry; smaller values map to the same entry.
        swapped: whether the two bytes of each entry were exchanged, because only so they fit the
            depth.
    """

    entries: Floats
    first: int
    swapped: bool = False

    def __call__(self, values: Floats) -> Floats:
        """Returns the entry for each value, rounded to the nearest integer."""
        index = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1)
        shown: Floats = self.entries[index.astype(np.intp)]
        return shown

    def reaches(self, low: float, high: float) -> bool:
        """Whether it has an entry of its own for any value from ``low`` to ``high``."""
        return low < self.first + len(self.entries) and high >= self.first

    def with_other_sign(self) -> "Table":
        """Returns the table with the 16 bits of its first value read as the other sign."""
        return replace(self, first=integer(self.first, signed=self.first >= 0))


def has_data(item: Dataset) -> bool:
    """Whether an item of a Modality or VOI LUT Sequence holds a table at all."""
    descriptor, data = item.get("LUTDescriptor"), item.get("LUTData")
    described = isinstance(descriptor, MultiValue | list) and len(descriptor) == 3
    return described and data is not None and data != b"" and data != []


def table(item: Dataset, *, signed: bool, big_endian: bool = False) -> Table:
    """Returns the table of an item of a Modality or VOI LUT Sequence.

    Args:
        item: holds LUTDescriptor and LUTData.
        signed: whether the values to be mapped can be negative.
        big_endian: whether the file is; pydicom leaves bytes (OW, UN) in the order of the file.

    Raises:
        Refused: there are no data, or fewer entries than the descriptor says.
    """
    if not has_data(item):
        raise Refused("lut_short")
    length, first, depth = (int(number) for number in item.LUTDescriptor)
    length = (length & 0xFFFF) or 2**16  # 0 means 2**16, and some devices write it as signed
    data = item.LUTData
    if not isinstance(data, bytes):
        data = (np.atleast_1d(data).astype(np.int64) & 0xFFFF).astype("<u2").tobytes()
    elif big_endian and item["LUTData"].VR != "OB":
        data = np.frombuffer(data + bytes(len(data) % 2), ">u2").astype("<u2").tobytes()
    entries, swapped = _entries(data, length, depth)
    return Table(entries.astype(np.float32), integer(first, signed=signed), swapped)


def _entries(data: bytes, length: int, depth: int) -> tuple[npt.NDArray[np.unsignedinteger], bool]:
    """Returns entries of little-endian data, and whether their bytes were exchanged."""
    if len(data) < 2 * length:
        if len(data) not in (length, length + 1):  # packed bytes; an odd number is padded to even
            raise Refused("lut_short")
        return np.frombuffer(data, np.uint8, length), False
    entries = np.frombuffer(data, "<u2", length)
    other = entries.byteswap()
    if 8 < depth < 16 and entries.max() >> depth and not other.max() >> depth:
        return other, True
    return entries, False


def integer(value: int, *, signed: bool) -> int:
    """Returns a 16-bit value that was written with the other sign (US and SS are ambiguous)."""
    if signed:
        return value - 2**16 if value >= 2**15 else value
    return value % 2**16 if value < 0 else value
