"""Where a file is: on the disk, or in an archive, which is read in memory and never unpacked.

Symbolic links are refused, because they may lead out of the folder or in circles. A user who made a
folder of links can say so; then they are followed, but no folder is read twice. Where a disk or a
copy knows no links, a small file is left that holds the path of another: that is a link, too.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from medidd.dicom import archives
from medidd.dicom.errors import Refused
from medidd.dicom.refusals import Refusal

_LONGEST = 4095
"""Bytes of the longest path that a file may hold in place of a link."""


@dataclass(frozen=True, order=True, repr=False, slots=True)
class Source:
    """A file; without a repr, because file names identify people.

    Attributes:
        path: the file, or the archive that contains it.
        member: its name in the archive; '' for a file on the disk.
        follow: whether ``path`` may be a symbolic link.
    """

    path: Path
    member: str = ""
    follow: bool = False

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
            Refused: it is a pipe or a device, or a symbolic link that is not followed.
        """
        if not self.follow and self.path.is_symlink():
            raise Refused("symlink_skipped")
        if not stat.S_ISREG(self.path.stat().st_mode):
            raise Refused("not_a_file")
        if not self.follow and _written(self.path):
            raise Refused("symlink_skipped")

    def open(self) -> IO[bytes]:
        """Opens the file to be read.

        Raises:
            OSError: it cannot be opened.
            Refused: its archive is broken, or it is larger than a film can be.
        """
        return archives.opened(self.read, self.member) if self.member else self.read.open("rb")

    def state(self) -> tuple[int, int]:
        """Returns values that change if the file changes: its size or check sum, and a time.

        Raises:
            OSError: the file no longer exists.
        """
        return archives.state(self.read, self.member)

    @property
    def read(self) -> Path:
        """The file that is opened: ``path``, or where it leads if it holds the path of another.

        Raises:
            OSError: it cannot be opened.
        """
        return (_written(self.path) if self.follow else None) or self.path


def sources(root: Path, *, follow: bool = False) -> Iterator[Source | Refusal]:
    """Yields every file under ``root`` and in its archives, by name, or why it is refused.

    Args:
        root: the folder.
        follow: whether symbolic links are followed. A link to a folder that is read anyway, or that
            holds ``root``, is refused.
    """
    yield from _Walk(root, follow=follow).under(root)


def folders(root: Path) -> set[str]:
    """Returns the names of folders and links to folders in ``root``, and in archives there."""
    named: set[str] = set()
    for child in root.iterdir():
        if child.is_dir():
            named.add(child.name)
        elif child.is_file():
            places = (one.place.relative_to(root) for one in _in(child) if isinstance(one, Source))
            named.update(place.parts[0] for place in places if len(place.parts) > 1)
    return named


def has_files(root: Path) -> bool:
    """Whether there is any file, or a link that could lead to one."""
    return any(files or any(map(_is_link, _joined(at, down))) for at, down, files in os.walk(root))


@dataclass
class _Walk:
    """A walk through a folder that goes into no linked folder twice.

    Attributes:
        root: the folder.
        follow: whether symbolic links are followed.
        entered: device and inode of the linked folders and of those below them.
    """

    root: Path
    follow: bool
    entered: set[tuple[int, int]] = field(default_factory=set)

    def under(self, top: Path, *, linked: bool = False) -> Iterator[Source | Refusal]:
        """Yields what is under ``top``; ``linked`` if a link led there, so loops are possible."""
        closed: list[OSError] = []
        for at, down, files in os.walk(top, onerror=closed.append):
            down.sort()
            if linked and self._again(Path(at)):
                down.clear()
                yield Refusal(Path(at), "symlink_loop")
                continue
            for name in sorted(files):
                yield from _in(Path(at) / name, follow=self.follow)
            for link in filter(_is_link, _joined(at, down)):
                yield from self._behind(link)
        for error in closed:
            yield Refusal(Path(error.filename), "unreadable")

    def _behind(self, link: Path) -> Iterator[Source | Refusal]:
        """Yields what is behind a link to a folder."""
        if not self.follow:
            yield Refusal(link, "symlink_skipped")
            return
        real, root = link.resolve(), self.root.resolve()
        if real.is_relative_to(root) or root.is_relative_to(real):
            yield Refusal(link, "symlink_loop")
            return
        yield from self.under(link, linked=True)

    def _again(self, folder: Path) -> bool:
        """Whether a folder was entered before."""
        try:
            found = folder.stat()
        except OSError:
            return False  # os.walk says so
        here = found.st_dev, found.st_ino
        if here in self.entered:
            return True
        self.entered.add(here)
        return False


def _written(path: Path) -> Path | None:
    """Returns the file whose path is all that ``path`` holds, else None."""
    if path.stat().st_size > _LONGEST:
        return None
    held = path.read_bytes()
    if not held or any(byte < ord(" ") for byte in held):
        return None
    target = path.parent / os.fsdecode(held)
    return target if os.path.isfile(target) else None  # noqa: PTH113 - raises no error


def _joined(folder: str, names: list[str]) -> Iterator[Path]:
    return (Path(folder) / name for name in names)


def _is_link(path: Path) -> bool:
    # Unlike Path.is_symlink, this never raises an error with the path in its text.
    return os.path.islink(path)  # noqa: PTH114


def _in(path: Path, *, follow: bool = False) -> Iterator[Source | Refusal]:
    try:
        one = Source(path, follow=follow)
        one.require_file()
        found = archives.members(one.read)
    except OSError:
        yield Refusal(path, "unreadable")
        return
    except Refused as refused:
        yield Refusal(path, refused.code)
        return
    if found is None:
        yield one
        return
    for name, code in found:
        one = Source(path, name, follow)
        yield Refusal(one.place, code) if code else one
