"""Packed files: zip, tar, gzip and packed tar, read in memory and never unpacked to the disk.

Nothing is written, so no name in an archive can lead out of a folder. Nothing larger than a film
can be is read. Zip and tar give one file at a time. A packed tar has no index, so it is unpacked
into memory as a whole, and only if it is no larger than one film can be.
"""

import bz2
import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Literal, cast
from weakref import finalize

from medidd.dicom.errors import Refused

LARGEST = 2**28
"""Largest file of an archive that is read, in bytes: twice a film of ``header.MAX_PIXELS``.
Also the most that a packed tar may unpack to."""
RATIO = 200
"""An archive is a zip bomb if it unpacks to more than this many times its size, and to more than
four times ``LARGEST``. Films shrink to a half or a third."""
LOOK = 265
"""Bytes at the start of a file that tell what it is; the mark of a tar ends there."""

Kind = Literal["", "zip", "tar", "gzip", "bzip2", "packed tar", "packed"]
Member = tuple[str, str | None]  # name, and why it is not read

_ZIP, _GZIP, _BZIP2 = b"PK\x03\x04", b"\x1f\x8b", b"BZh"
_OTHERS = (
    *(b"\xfd7zXZ\x00", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\x28\xb5\x2f\xfd"),
    *(b"\x1f\x9d", b"\x04\x22\x4d\x18"),
)  # xz, 7z, rar, zstd, compress, lz4
_ENDS: dict[str, Kind] = {
    ".zip": "zip",
    ".tar": "tar",
    ".gz": "gzip",
    ".tgz": "gzip",
    ".bz2": "bzip2",
    **dict.fromkeys((".xz", ".7z", ".rar", ".zst", ".txz"), "packed"),
}
_BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError),
    *(NotImplementedError, KeyError, RuntimeError, ValueError),
)
_BLOCK = 512  # bytes; a tar consists of blocks, and a block of zeros ends it


def kind_of(start: bytes, name: str = "") -> Kind:
    """Returns what a file is by its first ``LOOK`` bytes, else by its name's end; '' if not packed.

    A film is a film whatever its preamble holds: the preamble may be the start of another format
    (PS3.10 7.1).
    """
    if start[128:132] == b"DICM":
        return ""
    if start.startswith(_ZIP):
        return "zip"
    if start.startswith(_GZIP):
        return "gzip"
    if start.startswith(_BZIP2) and start[4:10] == b"1AY&SY":
        return "bzip2"
    if start.startswith(_OTHERS):
        return "packed"
    if start[257:262] == b"ustar":
        return "tar"
    return _ENDS.get(Path(name).suffix.lower(), "")


def members(path: Path) -> Iterator[Member] | None:
    """Returns the files in an archive, each with the reason code if it is not read; else None.

    Raises:
        OSError: the file cannot be opened.
        Refused: the archive cannot be read.
    """
    with path.open("rb") as file:
        kind = kind_of(file.read(LOOK), path.name)
    if not kind:
        return None
    size, time = _state(path)
    with _refusing():
        kind = _kind(path, size, time)
        if kind == "zip":
            return _in_zip(path, _zip(path, size, time))
        if kind in ("tar", "packed tar"):
            return _in_tar(path, _tar(path, size, time))
    if kind == "packed":
        raise Refused("packed")
    return iter([(path.stem, None)])


def opened(path: Path, member: str) -> IO[bytes]:
    """Opens a file in an archive to be read.

    Raises:
        OSError: the archive cannot be opened.
        Refused: the archive is broken, or the file larger than a film can be.
    """
    size, time = _state(path)
    with _refusing():
        kind = _kind(path, size, time)
        if kind == "zip":
            return _zip(path, size, time).open(member)
        if kind in ("tar", "packed tar"):
            found = _tar(path, size, time).extractfile(member)
            if found is None:
                raise Refused("bad_zip")
            return found
        with _unpacker(kind)(path) as file:
            return io.BytesIO(_limited(file, "zip_bomb"))


def state(path: Path, member: str) -> tuple[int, int]:
    """Returns values that change if the file does: a check sum or the archive's size, and a time.

    Raises:
        OSError: the archive no longer exists.
    """
    size, time = _state(path)
    if member and _kind(path, size, time) == "zip":
        size = _zip(path, size, time).getinfo(member).CRC
    return size, time


@contextmanager
def _refusing() -> Iterator[None]:
    """Turns the errors of archives into a refusal and drops their text, which may name files."""
    try:
        yield
    except _BROKEN:
        raise Refused("bad_zip") from None


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


@lru_cache(maxsize=16)
def _kind(path: Path, size: int, time: int) -> Kind:  # noqa: ARG001 - of these bytes
    """Returns what an archive is, after a look into what is packed."""
    with path.open("rb") as file:
        kind = kind_of(file.read(LOOK), path.name)
    if kind in ("gzip", "bzip2"):
        with _unpacker(kind)(path) as unpacked:
            ends = path.suffix.lower() == ".tgz" or path.stem.lower().endswith(".tar")
            if kind_of(_read(unpacked, LOOK)) == "tar" or ends:
                return "packed tar"
    return kind


def _unpacker(kind: Kind) -> Callable[[Path], IO[bytes]]:
    return bz2.open if kind == "bzip2" else gzip.open  # type: ignore[return-value]


def _limited(file: IO[bytes], code: str) -> bytes:
    """Returns all that is packed; refuses with ``code`` what is larger than ``LARGEST``."""
    data = _read(file, LARGEST + 1)
    if len(data) > LARGEST:
        raise Refused(code)
    return data


def _read(file: IO[bytes], most: int) -> bytes:
    try:
        return file.read(most)
    except OSError:  # how gzip and bzip2 call damaged data
        raise Refused("bad_zip") from None


@lru_cache(maxsize=4)
def _zip(path: Path, size: int, time: int) -> zipfile.ZipFile:  # noqa: ARG001 - of these bytes
    return zipfile.ZipFile(path)


@lru_cache(maxsize=1)  # a packed one is in memory as a whole
def _tar(path: Path, size: int, time: int) -> tarfile.TarFile:
    if _kind(path, size, time) == "tar":
        found = tarfile.open(path, "r:")  # noqa: SIM115 - open for the next file in it
        finalize(found, cast("IO[bytes]", found.fileobj).close)  # unlike zipfile, it does not
        return found
    with path.open("rb") as packed:
        outer = kind_of(packed.read(LOOK), path.name)
    with _unpacker(outer)(path) as file:
        data = _limited(file, "packed")
    return tarfile.open(fileobj=io.BytesIO(data), mode="r:")


def _in_zip(path: Path, archive: zipfile.ZipFile) -> Iterator[Member]:
    found = archive.infolist()
    _require_no_bomb(path, sum(one.file_size for one in found))
    names = Counter(one.filename for one in found)
    return iter(
        (one.filename, _why_not_in_zip(one, alone=names[one.filename] == 1))
        for one in sorted(found, key=lambda one: one.filename)
        if not one.is_dir()
    )


def _why_not_in_zip(one: zipfile.ZipInfo, *, alone: bool) -> str | None:
    """Returns why a member is not read, or None. Of two with one name, only one is readable."""
    if not alone:
        return "bad_zip"
    if stat.S_ISLNK(one.external_attr >> 16):
        return "symlink_skipped"
    if one.flag_bits & 1:
        return "encrypted_zip"
    return "zip_bomb" if one.file_size > LARGEST else None


def _in_tar(path: Path, archive: tarfile.TarFile) -> Iterator[Member]:
    found = archive.getmembers()
    if not _has_end(archive):
        raise Refused("bad_zip")  # tarfile stops without a word at a header that it cannot read
    _require_no_bomb(path, sum(one.size for one in found))
    names = Counter(one.name for one in found)
    return iter(
        (one.name, _why_not_in_tar(one, alone=names[one.name] == 1))
        for one in sorted(found, key=lambda one: one.name)
        if not one.isdir()
    )


def _why_not_in_tar(one: tarfile.TarInfo, *, alone: bool) -> str | None:
    if not alone:
        return "bad_zip"
    if one.issym() or one.islnk():
        return "symlink_skipped"
    if not one.isreg():
        return "not_a_file"
    return "zip_bomb" if one.size > LARGEST else None


def _has_end(archive: tarfile.TarFile) -> bool:
    """Whether the block after the last member says that the archive ends."""
    file = cast("IO[bytes]", archive.fileobj)
    file.seek(archive.offset)
    return file.read(_BLOCK) == bytes(_BLOCK)


def _require_no_bomb(path: Path, unpacked: int) -> None:
    if unpacked > max(RATIO * path.stat().st_size, 4 * LARGEST):
        raise Refused("zip_bomb")
