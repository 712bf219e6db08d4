"""A second process that works on a run beside the command, which shares what is to be done.

It only writes results where the command looks for them. If it fails, the command does all by
itself. So only the time depends on it.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.run.store import Run

if TYPE_CHECKING:
    from pipelines.learning.opened_run import OpenedRun

PR_SET_PDEATHSIG = 1
"""Of linux/prctl.h: the signal a process gets when the one that started it ends."""


@contextmanager
def second(run: Run, program: str, *arguments: str) -> Iterator[None]:
    """Runs a program on ``run`` while the body runs; it is killed at the body's end.

    Args:
        run: the run.
        program: a module that calls ``opened`` with the run's folder and the parent's number, which
            it gets as its first two arguments.
        arguments: what else it gets.
    """
    # Silent: a traceback shows values. -P: Python must not take a folder here for the package.
    process = subprocess.Popen(
        [
            *(sys.executable, "-P", "-m", program),
            *(str(run.path.resolve()), str(os.getpid()), *arguments),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def opened(path: Path, parent: int) -> "OpenedRun | None":
    """Opens the run in the second process; None if the process ``parent`` has ended.

    From here on the process ends with its parent, so that a command that is killed leaves none
    behind.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before that
        return None
    # Only now: while they load, which takes seconds, the parent may end.
    from medidd.machine.allocator import keep_memory
    from pipelines.learning.opened_run import open_run
    from pipelines.run import installation

    installation.harden()
    keep_memory()
    run = open_run(Run(path))
    run.frozen.settle()
    return run
