r"""A film found by its file: by the path, by the name alone, or by a path with another root.

A table often was made on another computer: its paths have another root, drive, slash or suffix
(``D:\Export\day1\a.png`` for ``day1/a.dcm``). Such a path finds a film if one of the two is the
tail of the other, and if no other row does. Nothing shorter counts, because ``study1/view1`` is in
every patient's folder.
"""

import os
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_SUFFIXES = (
    *(".dcm", ".dicom", ".dic", ".ima", ".png", ".jpg", ".jpeg", ".jp2", ".j2k", ".tif", ".tiff"),
    *(".bmp", ".gif", ".webp", ".nii", ".mha", ".npy"),
)
"""Suffixes of films and of pictures made of them; the last part of a UID is no suffix."""

_PACKED = (".gz", ".bz2", ".xz")

SEVERAL = "\0"
"""In place of a row: several rows could mean the film."""


def posix(path: str) -> str:
    """Returns a path with slashes, without ``.`` and without slashes at its end."""
    parts = path.replace("\\", "/").split("/")
    kept = "/".join(part for part in parts if part not in ("", "."))
    return f"/{kept}" if parts[0] == "" and len(parts) > 1 else kept


@dataclass(frozen=True, repr=False)
class Places:
    """The paths of a table; without a repr, because file names identify people.

    Attributes:
        rows: paths as ``posix`` gives them.
        bases: folders to which they may be relative, the folder of the films first.
    """

    rows: frozenset[str]
    bases: tuple[Path, ...]

    def row_of(self, path: Path) -> tuple[str, bool]:
        """Returns the row about a file, and whether the row has its whole path.

        The row is '' if there is none, and ``SEVERAL`` if several rows could mean the file.

        Args:
            path: the file, with symbolic links resolved.
        """
        below = [path.relative_to(base) for base in self.bases if path.is_relative_to(base)]
        for written in (*(one.as_posix() for one in below), path.as_posix()):
            if written in self.rows:
                return written, True
        whole = path.as_posix().lstrip("/")
        for tail in (whole, *_shorter(whole)):
            if tail in self.rows:
                return tail, False
            if row := self._whole.get(_stem(tail)):
                return row, False
        for root in self._roots:
            if path.is_relative_to(root) and (row := self._longer(path.relative_to(root))):
                return row, False
        return "", False

    def _longer(self, below: Path) -> str:
        """Returns the row that has this path as its tail."""
        start = f"{_stem(below.as_posix())[::-1]}/"
        first, last = (bisect_left(self._backward, (one,)) for one in (start, start[:-1] + "0"))
        found = {row for _, row in self._backward[first:last]}
        named = {row for row in found if row.endswith(f"/{below.as_posix()}")} or found
        return named.pop() if len(named) == 1 else SEVERAL if named else ""

    @cached_property
    def _whole(self) -> dict[str, str]:
        """Rows by their paths without drive and suffix; ``SEVERAL`` where two have one."""
        found: dict[str, str] = {}
        for row in self.rows:
            stem = _stem(_relative(row))
            found[stem] = SEVERAL if stem in found else row
        return found

    @cached_property
    def _backward(self) -> list[tuple[str, str]]:
        """Paths without suffix, from their last letter to the first, sorted; and their rows."""
        return sorted((_stem(row)[::-1], row) for row in self.rows)

    @cached_property
    def _roots(self) -> tuple[Path, ...]:
        return (self.bases[0], *_only_folders(self.bases[0]))


def _relative(row: str) -> str:
    """Returns a path without its drive and its first slash."""
    first, colon, rest = row.partition(":")
    return (rest if colon and len(first) == 1 else row).lstrip("/")


def _shorter(path: str) -> Iterator[str]:
    """Yields the tails of a path, the longest first, without the path itself."""
    while "/" in path:
        path = path.partition("/")[2]
        yield path


def _stem(path: str) -> str:
    """Returns a path without the suffix of a film or a picture."""
    for known in (_PACKED, _SUFFIXES):
        for suffix in known:
            if path.lower().endswith(suffix):
                path = path[: -len(suffix)]
                break
    return path


def _only_folders(root: Path) -> list[Path]:
    """Returns the folders that all films under ``root`` are in, the outermost first.

    A path that a table gives from the outermost folder of a set, which was renamed here, begins
    below them. A chain that ends without a branch shows nothing, since it may be one patient.
    """
    chain: list[Path] = []
    folder = root
    while True:
        try:
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError:
            return []
        inner = [Path(one.path) for one in found if one.is_dir(follow_symlinks=False)]
        if not inner:
            return []
        if len(inner) > 1 or any(one.name.lower().endswith(_SUFFIXES) for one in found):
            return chain
        folder = inner[0]
        chain.append(folder)
