"""The gray values of a picture, as an object in memory that the DICOM pipeline reads.

A picture then has the same steps, refusals and remarks as a film in DICOM. It is opened as by
``monai.data.PILReader`` (the array of a Pillow image); that class itself is not used, because the
libraries behind it take 3.9 of the 4 GiB that a process may have (``isolation.MEMORY``).
"""

from typing import IO, Any

import numpy as np
from PIL import Image, ImageOps
from pydicom import uid
from pydicom.dataset import FileDataset, FileMetaDataset

from medidd.dicom.errors import Refused
from medidd.dicom.header.header import MAX_PIXELS, refusing
from medidd.dicom.reading import Frames, Reading
from medidd.dicom.source import Source
from medidd.dicom.stored import Stored

_FORMATS = ("PNG", "JPEG", "TIFF")
_ORIENTATION = 0x0112  # TIFF 6.0, Section 8; 1 is upright
_PHOTOMETRIC = 0x0106
_UPRIGHT = (0, 1)


def read_picture(source: Source, reading: Reading) -> tuple[FileDataset, tuple[str, ...]]:
    """Returns a picture as an object with its pixels, and what is odd: keys of ``WARNINGS``.

    Raises:
        Refused: it cannot be decoded, or is not gray with 8 or 16 bits.
    """
    warnings: list[str] = []
    with refusing("unreadable"):
        source.require_file()
        with source.open() as file, refusing("pixels_invalid"):
            try:
                return _object(*_gray(file, reading.frames, warnings)), tuple(warnings)
            except Image.DecompressionBombError:
                raise Refused("too_large") from None
            except OSError as error:
                # Pillow has no class of its own for it.
                cut = "truncated" in str(error)
                raise Refused("pixels_truncated" if cut else "pixels_invalid") from None


def _gray(file: IO[bytes], frames: Frames, warnings: list[str]) -> tuple[Stored, bool]:
    """Returns gray values, (rows, columns), and whether the least of them is white."""
    with Image.open(file, formats=_FORMATS) as image:
        _choose_frame(image, frames)
        if image.width * image.height > MAX_PIXELS:
            raise Refused("too_large")
        _require_depth(image)
        # Pillow inverts such a TIFF of 8 bits, but none of 16.
        tags: Any = getattr(image, "tag_v2", {})
        inverted = image.mode.startswith("I;16") and tags.get(_PHOTOMETRIC) == 0
        turned = image.getexif().get(_ORIENTATION, 1) not in _UPRIGHT
        image.load()
        upright = ImageOps.exif_transpose(image)
        if turned:
            warnings.append("picture_turned")
        if image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info:
            warnings.append("alpha_ignored")
        if image.mode in ("P", "PA"):
            upright = upright.convert("RGB")
        pixels: Stored = np.asarray(upright)
    if pixels.ndim == 3:
        # Gray and alpha, or red, green, blue and perhaps alpha.
        seen = pixels[..., : 1 if pixels.shape[2] == 2 else 3]
        if (seen != seen[..., :1]).any():
            raise Refused("color")
        pixels = seen[..., 0]
    return pixels, inverted


def _choose_frame(image: Image.Image, frames: Frames) -> None:
    count = getattr(image, "n_frames", 1)
    if count > 1 and frames == "reject":
        raise Refused("multiframe")
    if count > 1 and frames == "middle":
        image.seek(count // 2)


def _require_depth(image: Image.Image) -> None:
    """Refuses what Pillow would read with fewer bits, and what is no gray of 8 or 16 bits."""
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        raise Refused("color")
    several = image.mode in ("LA", "PA", "RGB", "RGBA", "RGBX", "RGBa", "La")
    cut = several and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    gray = image.mode in ("L", "P") or image.mode.startswith("I;16")
    if cut or not (gray or several):
        raise Refused("picture_depth")


def _object(stored: Stored, inverted: bool) -> FileDataset:
    stored = np.ascontiguousarray(stored, stored.dtype.newbyteorder("<"))
    made = FileDataset("", {}, file_meta=FileMetaDataset())
    made.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    made.Rows, made.Columns = stored.shape
    made.SamplesPerPixel, made.PixelRepresentation = 1, 0
    made.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 8 * stored.dtype.itemsize
    made.HighBit = made.BitsStored - 1
    made.PixelData = stored.tobytes() + bytes(stored.nbytes % 2)
    return made
