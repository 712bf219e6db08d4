"""Trains networks on the baselines in a second process: they do not depend on S.

The process shares the networks with the command, which has S to learn and to audit first. It only
writes what they predict where ``utility`` looks for it. If the process fails, the command trains
the missing networks itself. So only the time depends on this process.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medidd.machine.allocator import keep_memory
from pipelines.run import installation
from pipelines.run.store import Run

PR_SET_PDEATHSIG = 1
"""Of linux/prctl.h: the signal a process gets when the one that started it ends."""


@contextmanager
def baselines_ahead(run: Run) -> Iterator[None]:
    """Works on the baselines of ``run`` while the body runs."""
    if run.metrics.exists():
        yield
        return
    # Silent: a traceback shows values. -P: Python must not take a folder here for the package.
    program = [sys.executable, "-P", "-m", "pipelines.evaluation.baselines"]
    process = subprocess.Popen(
        [*program, str(run.path.resolve()), str(os.getpid())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main(path: Path, parent: int) -> None:
    """Trains the networks that do not need the release, while the process ``parent`` lives."""
    _end_with_parent()
    if os.getppid() != parent:  # it ended before that
        return
    # Only now: while they load, which takes seconds, the parent may end.
    import torch

    from pipelines.evaluation.utility import utility
    from pipelines.learning.opened_run import open_run

    installation.harden()
    keep_memory()
    opened = open_run(Run(path))
    torch.set_num_threads(opened.frozen.threads)
    for _ in utility(opened, None, "convnet"):
        pass


def _end_with_parent() -> None:
    """Asks Linux to end this process with its parent, so that a killed run leaves none behind."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        return


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
