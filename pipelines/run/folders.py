"""A folder of results that is written as a whole or not at all."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from pipelines.run.errors import Exit, Stop
from pipelines.run.store import write


def require_free(place: Path, option: str) -> None:
    """Checks that a folder does not exist or is empty.

    Args:
        place: the folder.
        option: with which the user names it.

    Raises:
        Stop: it holds something, or is a file.
    """
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise Stop(f"{place}: exists already; name a new folder with {option}", Exit.USAGE)


def write_whole(place: Path, files: Mapping[str, bytes], option: str) -> None:
    """Writes all files or none: first next to the folder's place, then they are moved there.

    Args:
        place: the folder, which must be free.
        files: contents by name.
        option: with which the user names the folder.

    Raises:
        Stop: it cannot be written.
    """
    beside = place.with_name(f".{place.name}.part")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        for name, data in files.items():
            write(beside / name, data)
        if place.exists():
            place.rmdir()
        beside.replace(place)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise Stop(
            f"{place}: {error.strerror}; name a folder that you can write with {option}",
            Exit.USAGE,
        ) from None
