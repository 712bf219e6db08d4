"""Reads the files of a bundle, byte by byte, and never through a link, which may lead anywhere."""

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.run.errors import Exit, Stop

AGAIN = "do not use the bundle, and ask the sender for it again"


def files_in(root: Path) -> Iterator[str]:
    """Yields the name of every file, and of every empty folder with a slash at its end.

    Raises:
        Stop: something is neither a file nor a folder; a link may lead anywhere.
    """
    folders = [root]
    while folders:
        folder = folders.pop()
        empty = True
        for path in folder.iterdir():
            empty, mode = False, path.lstat().st_mode
            if stat.S_ISDIR(mode):
                folders.append(path)
            elif stat.S_ISREG(mode):
                yield path.relative_to(root).as_posix()
            else:
                raise changed("it holds a symbolic link, or something else that is not a file")
        if empty and folder != root:
            yield f"{folder.relative_to(root).as_posix()}/"


def read(path: Path) -> bytes:
    """Returns all bytes of a file."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        return file.read()


def digest(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_object(bundle: Path, name: str) -> dict[str, Any]:
    """Returns the JSON object in a file.

    Raises:
        Stop: the file holds none.
    """
    try:
        found = json.loads(read(bundle / name))
        if isinstance(found, dict):
            return found
    except (FileNotFoundError, ValueError, RecursionError):
        pass
    raise changed(f"{name} is missing, or not a JSON object")


def changed(what: str) -> Stop:
    """Returns the end of a command that found a bundle changed."""
    return Stop(f"not the bundle that was exported: {what}; {AGAIN}", Exit.CHANGED)
