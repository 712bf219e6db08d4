"""The stored values of one frame, decoded by the fastest plug-in that can do it."""

import io
from contextlib import suppress

import gdcm  # type: ignore[import-untyped]
import numpy as np
from PIL import Image
from pydicom import uid
from pydicom.dataset import FileDataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import get_j2k_parameters

from medidd.dicom import codecs
from medidd.dicom.errors import Refused
from medidd.dicom.header.header import refusing
from medidd.dicom.pixels.values import Stored
from medidd.dicom.reading import Frames

gdcm.Trace.WarningOff()  # its C++ code writes to the terminal, past all of our filters
gdcm.Trace.ErrorOff()


def stored_values(film: FileDataset, frames: Frames = "reject") -> Stored:
    """Returns the stored values of the frame that is used, (rows, columns).

    Raises:
        Refused: they cannot be decoded.
    """
    with refusing("pixels_truncated"):
        data: bytes = film.PixelData
    syntax = film.file_meta.TransferSyntaxUID
    expected = int(film.Rows) * int(film.Columns) * int(film.BitsAllocated) // 8
    if not syntax.is_compressed and len(data) < expected * count_of(film):
        raise Refused("pixels_truncated")
    wanting = syntax == uid.JPEGExtended12Bit and not codecs.is_available(syntax)
    with refusing("codec_missing" if wanting else "pixels_invalid"):
        stored = _decoded(film, index_of(film, frames))
        if stored.shape != (film.Rows, film.Columns) or stored.dtype.kind not in "iu":
            raise Refused("pixels_invalid")
        return stored


def _decoded(film: FileDataset, index: int) -> Stored:
    decoder = get_decoder(film.file_meta.TransferSyntaxUID)
    stored: Stored
    with suppress(Exception):  # decoders raise any type of error, and another may succeed
        first = codecs.fastest(film.file_meta.TransferSyntaxUID)
        stored, _ = decoder.as_array(film, index=index, decoding_plugin=first)
        return stored
    stored, _ = decoder.as_array(film, index=index)
    return stored


def reduced_values(film: FileDataset, frames: Frames, halvings: int) -> Stored | None:
    """Returns stored values at a lower resolution, which JPEG 2000's wavelets contain.

    Args:
        film: the object.
        frames: which frame is used.
        halvings: how many times rows and columns may be halved at most.

    Returns:
        The values, or None if the film has no lower resolution.
    """
    if film.file_meta.TransferSyntaxUID not in (uid.JPEG2000Lossless, uid.JPEG2000):
        return None
    with refusing("pixels_invalid"):
        frame = get_frame(film.PixelData, index_of(film, frames), number_of_frames=count_of(film))
        precision = int(get_j2k_parameters(frame).get("precision", 0))
        halvings = min(halvings, _levels(frame))
        if halvings < 1 or not 0 < precision <= 16:
            return None
        image = Image.open(io.BytesIO(frame), formats=["JPEG2000"])
        image.reduce = halvings  # type: ignore[method-assign, assignment]
        found = np.asarray(image)
        # Pillow gives unsigned values that fill 8 or 16 bits.
        stored = (found >> (8 * found.itemsize - precision)).astype(np.int32)
        if film.PixelRepresentation == 1:
            stored -= 1 << (precision - 1)
        return stored.astype(np.int16 if film.PixelRepresentation == 1 else np.uint16)


def count_of(film: FileDataset) -> int:
    """Returns how many frames the object has."""
    return int(film.get("NumberOfFrames") or 1)


def index_of(film: FileDataset, frames: Frames) -> int:
    """Returns which frame is used, from 0."""
    return count_of(film) // 2 if frames == "middle" else 0


def _levels(codestream: bytes) -> int:
    """Returns how many times a JPEG 2000 codestream is halved (ISO/IEC 15444-1, A.6.1)."""
    at = 2
    while codestream[at : at + 2] not in (b"", b"\xff\x90"):  # the first tile ends the header
        if codestream[at : at + 2] == b"\xff\x52":
            return codestream[at + 9]
        at += 2 + int.from_bytes(codestream[at + 2 : at + 4])
    return 0
