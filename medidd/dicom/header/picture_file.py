"""One picture's header: it has none, so only its file and its name say anything.

A PNG, JPEG or TIFF may hold text about a patient, as in EXIF. Nothing of it is read.
"""

from medidd.dicom.archives import LOOK, kind_of
from medidd.dicom.errors import Refused
from medidd.dicom.header.header import NO_LINKS, Header, content_of, refusing
from medidd.dicom.reading import Reading
from medidd.dicom.source import Source

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
"""How pictures' names end. Whether a file is a picture, its first bytes say."""

_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_OTHERS = (
    *(b"GIF8", b"RIFF", b"P5\n", b"P5 ", b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51"),
    *(b"\xff\x0a", b"\x5c\x01\0\0", b"\x93NUMPY"),
)  # GIF, WebP, PGM, JPEG 2000 with and without its box, JPEG XL, NIfTI, NumPy


def read_picture_header(source: Source, reading: Reading) -> Header:
    """Returns what is known about a picture: equal files are one object and one study.

    Raises:
        Refused: the file is no picture, or certain views were asked for: a picture names none.
    """
    with refusing("unreadable"):
        state = source.state()
        source.require_file()
        with source.open() as file:
            _require_picture(file.read(LOOK))
            content = content_of(file)
    if reading.views:
        raise Refused("view_unknown")
    links = NO_LINKS | {"SOPInstanceUID": content, "StudyInstanceUID": content}
    return Header(source, links, "", frozenset(), state=state, stem=source.place.stem)


def _require_picture(start: bytes) -> None:
    if start[128:132] == b"DICM":
        raise Refused("dicom_unasked")
    if kind_of(start):
        raise Refused("nested_archive")
    bitmap = start.startswith(b"BM") and start[6:10] == bytes(4)
    if bitmap or start.startswith(_OTHERS):
        raise Refused("picture_format")
    if not start.startswith(_STARTS):
        raise Refused("not_picture")
