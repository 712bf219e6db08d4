"""The text of a table, which may be packed: public sets ship ``.csv.gz`` and ``.csv.zip``.

It is unpacked in memory, and never to more than ``LARGEST`` bytes, so a packed file that unpacks to
more than a table can be fills neither memory nor disk.
"""

import gzip
import io
import lzma
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Protocol

from medidd.dicom.errors import CohortError

LARGEST = 2**28
"""Largest table, in bytes: ten times the largest public one."""

PACKED = (".gz", ".zip")

_BROKEN = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError)
"""What damaged or unknown packing raises; gzip and bzip2 raise OSError."""


class Readable(Protocol):
    """A file, or what unpacks one."""

    def read(self, size: int, /) -> bytes:
        """Returns at most so many bytes."""


def kind(path: Path) -> str:
    """Returns the suffix of a table, in small letters, without that of its packing."""
    name = path.with_suffix("") if path.suffix.lower() in PACKED else path
    return name.suffix.lower()


def text_of(path: Path, otherwise: str) -> str:
    """Returns a file's text, unpacked; ``otherwise`` is the message if the text is no UTF-8.

    Raises:
        CohortError: the text is no UTF-8, too large, or cannot be read or unpacked.
    """
    try:
        with path.open("rb") as file:
            data = _limited(file)
    except OSError:
        raise CohortError("the table of labels cannot be read; check its permissions") from None
    try:
        if data[:2] == b"\x1f\x8b":
            with gzip.open(io.BytesIO(data)) as file:
                data = _limited(file)
        elif data[:4] == b"PK\x03\x04":
            data = _member(data)
    except _BROKEN:
        raise CohortError(
            "the table of labels is packed and damaged; fetch it again, or unpack it"
        ) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CohortError(otherwise) from None


def _member(data: bytes) -> bytes:
    """Returns the only table in a zip archive; a macOS archive has a shadow of each file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        tables = [
            one
            for one in archive.infolist()
            if PurePosixPath(one.filename).suffix.lower() in (".csv", ".tsv", ".txt", ".json")
            and not one.filename.startswith("__MACOSX/")
        ]
        if len(tables) != 1:
            raise CohortError(
                f"the packed table of labels is a zip archive with {len(tables)} tables in it; "
                "unpack it, or save a spreadsheet as CSV (UTF-8)"
            )
        if tables[0].flag_bits & 1:
            raise CohortError("the packed table of labels has a password; unpack it")
        with archive.open(tables[0]) as file:
            return _limited(file)


def _limited(file: Readable) -> bytes:
    data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise CohortError(
            f"the table of labels has more than {LARGEST // 2**20} MiB; name the right file, or "
            "leave out rows and columns that are not needed"
        )
    return data
