"""The stored values of one frame, decoded by the fastest plug-in that can do it."""

import io
from contextlib import suppress
from typing import Any

import gdcm  # type: ignore[import-untyped]
import numpy as np
from PIL import Image
from pydicom import uid
from pydicom.dataset import FileDataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder

from medidd.dicom import codecs
from medidd.dicom.errors import Refused
from medidd.dicom.header.header import refusing
from medidd.dicom.reading import Frames
from medidd.dicom.stored import Stored
from medidd.dicom.stored.bits import field, high_bit, within
from medidd.dicom.stored.codestream import Codestream, codestream, levels

gdcm.Trace.WarningOff()  # its C++ code writes to the terminal, past all of our filters
gdcm.Trace.ErrorOff()


def stored_values(
    film: FileDataset, frames: Frames = "reject", warnings: list[str] | None = None
) -> Stored:
    """Returns the stored values of the frame that is used, (rows, columns).

    Args:
        film: the object.
        frames: which frame is used.
        warnings: gets keys of ``errors.WARNINGS``: how header and pixels disagree.

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
        stored, odd = _values(film, index_of(film, frames))
        if stored.shape != (film.Rows, film.Columns) or stored.dtype.kind not in "iu":
            raise Refused("pixels_invalid")
        if warnings is not None:
            warnings += odd
        return stored


def _values(film: FileDataset, index: int) -> tuple[Stored, list[str]]:
    """Returns the values of a frame, and what is odd about their bits."""
    stream = _stream(film, index)
    where, warnings = field(film, stream)
    options: dict[str, Any] = {"number_of_frames": count_of(film)}
    if stream and stream.precision > film.BitsAllocated:
        options["bits_allocated"] = 16  # else pydicom cuts the values
    if film.file_meta.TransferSyntaxUID == uid.JPEGBaseline8Bit:
        # Decoders give bytes, also where the header has cells of 16 bits for them.
        options |= {"bits_allocated": 8, "bits_stored": min(int(film.BitsStored), 8)}
    if where is None:
        stored = _decoded(film, index, options)
    else:
        # All bits, as they are: pydicom and its decoders look for a value in the lowest ones.
        options["bits_stored"] = stream.precision if stream else int(film.BitsAllocated)
        options |= {"correct_unused_bits": False, "apply_jls_sign_correction": False}
        stored = where.of(_decoded(film, index, options))
    if stream and stream.precision > film.BitsStored:
        stored, odd = within(stored, film)
        warnings += odd
    return stored, warnings


def _stream(film: FileDataset, index: int) -> Codestream | None:
    syntax = film.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated or syntax == uid.RLELossless:
        return None
    return codestream(_frame(film, index), syntax)


def _frame(film: FileDataset, index: int) -> bytes:
    return get_frame(film.PixelData, index, number_of_frames=count_of(film))


def _decoded(film: FileDataset, index: int, options: dict[str, Any]) -> Stored:
    decoder = get_decoder(film.file_meta.TransferSyntaxUID)
    stored: Stored
    with suppress(Exception):  # decoders raise any type of error, and another may succeed
        first = codecs.fastest(film.file_meta.TransferSyntaxUID)
        stored, _ = decoder.as_array(film, index=index, decoding_plugin=first, **options)
        return stored
    stored, _ = decoder.as_array(film, index=index, **options)
    return stored


def reduced_values(film: FileDataset, frames: Frames, halvings: int) -> Stored | None:
    """Returns stored values at a lower resolution, which JPEG 2000's wavelets contain.

    Args:
        film: the object.
        frames: which frame is used.
        halvings: how many times rows and columns may be halved at most.

    Returns:
        The values, or None if the film has no lower resolution, or if its values are not in the
        bits that the header names: averages of such values mean nothing.
    """
    if film.file_meta.TransferSyntaxUID not in (uid.JPEG2000Lossless, uid.JPEG2000):
        return None
    with refusing("pixels_invalid"):
        frame = _frame(film, index_of(film, frames))
        stream = codestream(frame, film.file_meta.TransferSyntaxUID)
        halvings = min(halvings, levels(frame))
        if halvings < 1 or stream is None or not _as_said(film, stream):
            return None
        precision = stream.precision
        image = Image.open(io.BytesIO(frame), formats=["JPEG2000"])
        image.reduce = halvings  # type: ignore[method-assign, assignment]
        found = np.asarray(image)
        # Pillow gives unsigned values that fill 8 or 16 bits.
        stored = (found >> (8 * found.itemsize - precision)).astype(np.int32)
        if film.PixelRepresentation == 1:
            stored -= 1 << (precision - 1)
        return stored.astype(np.int16 if film.PixelRepresentation == 1 else np.uint16)


def _as_said(film: FileDataset, stream: Codestream) -> bool:
    """Whether a codestream has the header's depth and sign, and no value is shifted in its cell."""
    alike = stream.precision == film.BitsStored <= 16 and stream.signed == film.PixelRepresentation
    return alike and not high_bit(film)[1]


def count_of(film: FileDataset) -> int:
    """Returns how many frames the object has; less than one is one."""
    return max(int(film.get("NumberOfFrames") or 1), 1)


def index_of(film: FileDataset, frames: Frames) -> int:
    """Returns which frame is used, from 0."""
    return count_of(film) // 2 if frames == "middle" else 0
