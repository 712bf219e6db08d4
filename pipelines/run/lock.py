"""One process at a time works on a run."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.run.errors import Exit, Stop

LOCK = ".lock"
"""Name of the file in the private part of a run."""


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keeps other processes out of the body; the lock ends with the process.

    Args:
        path: file that is locked, in the private part of a run; made if need be.

    Raises:
        Stop: another process is in it.
    """
    path.parent.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Stop(
                f"{path.parent.parent}: another process works on this run; wait for it, or name "
                "another folder with --out",
                Exit.USAGE,
            ) from None
        yield
    finally:
        os.close(lock)
