"""Processes beside a command, which share what is to be done.

They take the pieces of work that nobody is doing (``pieces``), and write results where the command
looks for them. If they fail, the command does all by itself. So only the time depends on them.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from medidd.machine.allocator import keep_memory
from pipelines.run import installation

PR_SET_PDEATHSIG = 1
"""Of linux/prctl.h: the signal a process gets when the one that started it ends."""


class Workers(Protocol):
    """Who shares the work of a command."""

    @property
    def here(self) -> int:
        """How many processes of this computer, the command among them."""

    def helping(
        self, place: Path, program: str, *arguments: str, most: int
    ) -> AbstractContextManager[None]:
        """Has processes run a program while the body runs; they are ended at the body's end.

        Args:
            place: the folder that they work on, such as a run.
            program: a module that calls ``begun`` with its second argument. It gets the folder and
                the number of the process that it must end with, and then ``arguments``.
            arguments: what else it gets.
            most: processes that there is work for.
        """


@dataclass(frozen=True)
class Here:
    """Processes of this computer.

    Attributes:
        count: how many, the command itself among them; 0 for one per usable processor.
    """

    count: int = 2

    @property
    def here(self) -> int:
        """How many there are."""
        return self.count or len(os.sched_getaffinity(0))

    @contextmanager
    def helping(self, place: Path, program: str, *arguments: str, most: int) -> Iterator[None]:
        """Starts the processes; see ``Workers``."""
        command = call(place, program, *arguments)
        processes = [started(command) for _ in range(min(self.here - 1, most))]
        try:
            yield
        finally:
            for process in processes:
                process.kill()
            for process in processes:
                process.wait()


ALONE = 20.0
"""Seconds that one process works alone: another one takes some five to ten seconds to begin."""

TWO = Here()
"""What commands use if nobody says otherwise: a second process."""


def call(place: Path, program: str, *arguments: str) -> list[str]:
    """Returns what ``started`` takes: the program, and its arguments without a parent's number."""
    return [program, str(place.resolve()), *arguments]


def started(command: Sequence[str], **environment: str) -> "subprocess.Popen[bytes]":
    """Starts a program that ends with this process.

    Args:
        command: see ``call``.
        environment: variables that it gets beside those of this process.
    """
    program, place, *arguments = command
    # Silent: a traceback shows values. -P: Python must not take a folder here for the package.
    return subprocess.Popen(
        [sys.executable, "-P", "-m", program, place, str(os.getpid()), *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def begun(parent: int) -> bool:
    """Makes this process like a command that ends with the one that started it.

    So a command that is killed leaves none behind. To be called before anything is loaded that
    takes seconds, in which the other one may end.

    Args:
        parent: number of the process that started it.

    Returns:
        False if that has ended already.
    """
    installation.harden()
    keep_memory()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent
