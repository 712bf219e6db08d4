"""What the head of a compressed frame says about its values: their depth and sign."""

from dataclasses import dataclass

from pydicom import uid
from pydicom.pixels.utils import get_j2k_parameters

_NO_FRAME = frozenset({0xC4, 0xC8, 0xCC})
"""Markers of JPEG in the range of those that begin a frame, which begin none (T.81, table B.1)."""
_JPEG_LS = 0xF7


@dataclass(frozen=True)
class Codestream:
    """One compressed frame.

    Attributes:
        precision: bits of a value.
        signed: whether values can be negative; None for JPEG and JPEG-LS, which know no signs.
        lossless: whether the values are exactly those that were compressed, by transfer syntax.
    """

    precision: int
    signed: bool | None
    lossless: bool


def codestream(frame: bytes, syntax: str) -> Codestream | None:
    """Returns what a frame says about its values, None if it cannot be understood."""
    lossless = syntax in _LOSSLESS
    if syntax in uid.JPEG2000TransferSyntaxes:
        about = get_j2k_parameters(frame)
        if not about:
            return None
        return Codestream(int(about["precision"]), bool(about["is_signed"]), lossless)
    precision = _jpeg_precision(frame)
    return Codestream(precision, None, lossless) if precision else None


def levels(frame: bytes) -> int:
    """Returns how many times a JPEG 2000 codestream is halved (ISO/IEC 15444-1, A.6.1)."""
    at = 2
    while frame[at : at + 2] not in (b"", b"\xff\x90"):  # the first tile ends the header
        if frame[at : at + 2] == b"\xff\x52":
            return frame[at + 9]
        at += 2 + int.from_bytes(frame[at + 2 : at + 4])
    return 0


def _jpeg_precision(frame: bytes) -> int:
    """Returns the bits of a value, from the frame header (ITU-T T.81, B.2.2; T.87, C.2.2), or 0."""
    at = 2
    while frame[at : at + 1] == b"\xff" and at + 4 < len(frame):
        marker = frame[at + 1]
        if marker == _JPEG_LS or (marker & 0xF0 == 0xC0 and marker not in _NO_FRAME):
            return frame[at + 4]
        # A marker may be preceded by any number of fill bytes.
        at += 1 if marker == 0xFF else 2 + int.from_bytes(frame[at + 2 : at + 4])
    return 0


_LOSSLESS = frozenset(
    {uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEG2000Lossless}
    | {uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL}
)
