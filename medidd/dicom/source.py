"""Where a file is: on the disk, or in a zip archive, which is read in memory and never unpacked.

Nothing is written, so no name in an archive can lead out of a folder. Nothing larger than a film
can be is read.
"""

import os
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO

from medidd.dicom.errors import Refused
from medidd.dicom.refusals import Refusal

LARGEST = 2**28
"""Largest file of an archive that is read, in bytes: twice a film of ``header.MAX_PIXELS``."""
RATIO = 200
"""An archive is a zip bomb if it unpacks to more than this many times its size, and to more than
four times ``LARGEST``. Films shrink to a half or a third."""


@dataclass(frozen=True, order=True, repr=False, slots=True)
class Source:
    """A file; without a repr, because file names identify people.

    Attributes:
        path: the file, or the archive that contains it.
        member: its name in the archive; '' for a file on the disk.
    """

    path: Path
    member: str = ""

    @property
    def place(self) -> Path:
        """Where the file is, or would be if its archive were unpacked in place."""
        parts = PurePosixPath(self.member.replace("\\", "/")).parts
        return (
            self.path.parent.joinpath(*(p for p in parts if p not in ("/", "..")))
            if parts
            else self.path
        )

    def require_file(self) -> None:
        """Checks that this is a file: opening a pipe would wait forever.

        Raises:
            OSError: the file does not exist.
            Refused: it is a symbolic link, a pipe or a device.
        """
        if self.path.is_symlink():
            raise Refused("symlink_skipped")
        if not stat.S_ISREG(self.path.stat().st_mode):
            raise Refused("not_a_file")

    def open(self) -> IO[bytes]:
        """Opens the file to be read.

        Raises:
            OSError: it cannot be opened.
            Refused: its archive is broken.
        """
        if not self.member:
            return self.path.open("rb")
        try:
            return _archive(self.path, *_state(self.path)).open(self.member)
        except (zipfile.BadZipFile, NotImplementedError, KeyError, RuntimeError):
            raise Refused("bad_zip") from None

    def state(self) -> tuple[int, int]:
        """Returns values that change if the file changes: its size or check sum, and a time.

        Raises:
            OSError: the file no longer exists.
        """
        size, time = _state(self.path)
        if self.member:
            size = _archive(self.path, size, time).getinfo(self.member).CRC
        return size, time


def sources(root: Path) -> Iterator[Source | Refusal]:
    """Yields every file under ``root`` and in its archives, by name, or why it is refused.

    Symbolic links are refused, not followed: they may lead out of the folder, or in circles.
    """
    closed: list[OSError] = []
    for folder, folders, files in os.walk(root, onerror=closed.append):
        folders.sort()
        # Unlike Path.is_symlink, this never raises an error with the path in its text.
        links = [name for name in folders if os.path.islink(Path(folder) / name)]  # noqa: PTH114
        for name in sorted(files) + links:
            yield from _in(Path(folder) / name)
    for error in closed:
        yield Refusal(Path(error.filename), "unreadable")


def folders(root: Path) -> set[str]:
    """Returns the names of the folders directly in ``root``, and in the archives there."""
    named: set[str] = set()
    for child in root.iterdir():
        if child.is_dir() and not child.is_symlink():
            named.add(child.name)
        elif child.is_file():
            places = (one.place.relative_to(root) for one in _in(child) if isinstance(one, Source))
            named.update(place.parts[0] for place in places if len(place.parts) > 1)
    return named


def _in(path: Path) -> Iterator[Source | Refusal]:
    try:
        Source(path).require_file()
        if not _is_archive(path):
            yield Source(path)
            return
        members = _archive(path, *_state(path)).infolist()
    except OSError:
        yield Refusal(path, "unreadable")
        return
    except zipfile.BadZipFile:
        yield Refusal(path, "bad_zip")
        return
    except Refused as refused:
        yield Refusal(path, refused.code)
        return
    unpacked = sum(member.file_size for member in members)
    if unpacked > max(RATIO * path.stat().st_size, 4 * LARGEST):
        yield Refusal(path, "zip_bomb")
        return
    names = Counter(member.filename for member in members)
    for member in sorted(members, key=lambda member: member.filename):
        if not member.is_dir():
            alone = names[member.filename] == 1
            one, code = Source(path, member.filename), _why_not(member, alone=alone)
            yield Refusal(one.place, code) if code else one


def _why_not(member: zipfile.ZipInfo, *, alone: bool) -> str | None:
    """Returns why a member is not read, or None. Of two with one name, only one is readable."""
    if not alone:
        return "bad_zip"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "symlink_skipped"
    if member.flag_bits & 1:
        return "encrypted_zip"
    return "zip_bomb" if member.file_size > LARGEST else None


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(4)
    return start == b"PK\x03\x04" or path.suffix.lower() == ".zip"


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


@lru_cache(maxsize=4)
def _archive(path: Path, size: int, time: int) -> zipfile.ZipFile:  # noqa: ARG001 - of these bytes
    return zipfile.ZipFile(path)
