"""Which bits of a sample are the stored value (PS3.5 8.1.1 and 8.2.1).

BitsStored and HighBit say where the value is in its cell. Today's standard requires HighBit to be
BitsStored - 1; old films keep 12 bits in the upper part of 16. In a compressed frame the codestream
has a depth and a sign of its own, and these may contradict the header.
"""

from dataclasses import dataclass

from pydicom import Dataset

from medidd.dicom.stored import Stored
from medidd.dicom.stored.codestream import Codestream


@dataclass(frozen=True)
class Field:
    """The bits of a sample that are its value.

    Attributes:
        low: the lowest one, from 0.
        width: how many.
        signed: whether the highest one is a sign.
    """

    low: int
    width: int
    signed: bool

    def of(self, samples: Stored) -> Stored:
        """Returns the values in these bits, as integers of the same size."""
        size = 8 * samples.dtype.itemsize
        kind = f"{'i' if self.signed else 'u'}{samples.dtype.itemsize}"
        samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
        # The sign comes along as the highest bit of the cell, and is copied on the way back.
        values: Stored = (samples << (size - self.low - self.width)).view(kind)
        return values >> (size - self.width)


def high_bit(film: Dataset) -> tuple[int, str]:
    """Returns HighBit, or BitsStored - 1 where it cannot be, and a warning or ''."""
    stored, cell = int(film.BitsStored), int(film.BitsAllocated)
    given = film.get("HighBit")
    if not isinstance(given, int) or not stored - 1 <= given < cell:
        return stored - 1, "high_bit_ignored"
    return given, "high_bit_shifted" if given != stored - 1 else ""


def field(film: Dataset, stream: Codestream | None) -> tuple[Field | None, list[str]]:
    """Returns which bits of raw samples are their values, and keys of ``errors.WARNINGS``.

    In a compressed frame HighBit counts only if the samples have that bit. Bits above BitsStored
    are no part of the value if the compression kept them exactly, because old films keep overlays
    there. After lossy JPEG they are: there a value near the largest may end above it, and JPEG
    Extended has 12 bits whatever the header says (PS3.5 8.2.1).

    Args:
        film: the header.
        stream: what the codestream says; None for values that are not compressed, or RLE.

    Returns:
        None in place of the bits if they are where pydicom looks for them.
    """
    stored, signed = int(film.BitsStored), film.PixelRepresentation == 1
    high, odd = high_bit(film)
    if high >= stored and (stream is None or stream.precision > high):
        return Field(high - stored + 1, stored, signed), [odd]
    warnings = [odd] if odd != "high_bit_shifted" else ["high_bit_ignored"]
    warnings = [code for code in warnings if code]
    if stream is None:
        return None, warnings
    deeper = stream.precision > stored and not stream.lossless and stream.signed is None
    if deeper and not signed:
        return Field(0, stream.precision, signed=False), warnings
    if deeper or stream.signed not in (signed, None) or (signed and stream.precision < stored):
        warnings.append("codestream_conflict")
    return None, warnings


def within(values: Stored, film: Dataset) -> tuple[Stored, list[str]]:
    """Returns values that were compressed with more bits than BitsStored, and warnings.

    A negative value that was compressed as it is in BitsStored bits seems positive.
    """
    stored = int(film.BitsStored)
    low, high = int(values.min()), int(values.max())
    if film.PixelRepresentation == 1:
        if low >= 0 and 2 ** (stored - 1) <= high < 2**stored:
            return Field(0, stored, signed=True).of(values), ["codestream_conflict"]
        beyond = low < -(2 ** (stored - 1)) or high >= 2 ** (stored - 1)
    else:
        beyond = high >= 2**stored
    return values, ["codestream_conflict"] * beyond
