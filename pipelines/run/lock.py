"""One process at a time works on a run, or on a part of it."""

import fcntl
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipelines.run.errors import Exit, Stop

LOCK = ".lock"
"""Name of the file in the private part of a run."""


@contextmanager
def held(path: Path, *, wait: bool) -> Iterator[bool]:
    """Tells the body whether no other process is in it; the lock ends with the process.

    Args:
        path: file that is locked, in the private part of a run; made if need be.
        wait: whether to wait until the other process has left.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(lock)


def turns(locks: Sequence[Path]) -> Generator[int, None, None]:
    """Yields the number of each lock once, while no other process holds it.

    First come those that are free, in their order, and at last those that others held. The lock is
    given back when the next one is asked for, or the generator is closed.

    Args:
        locks: files as in ``held``.
    """
    left = list(range(len(locks)))
    for wait in (False, True):
        for number in tuple(left):
            with held(locks[number], wait=wait) as free:
                if free:
                    left.remove(number)
                    yield number


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keeps other processes out of the body.

    Args:
        path: as in ``held``.

    Raises:
        Stop: another process is in it.
    """
    with held(path, wait=False) as free:
        if not free:
            raise Stop(
                f"{path.parent.parent}: another process works on this run; wait for it, or name "
                "another folder with --out",
                Exit.USAGE,
            )
        yield
