"""Processes on the nodes of a Ray cluster.

Ray decides where and when they run, and starts them again where a node is lost. It carries their
command lines and nothing else: films, weights and results stay in the folder that they work on,
which all nodes must see under one path, with working file locks.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipelines.run.errors import Exit, Stop
from pipelines.workers.helping import call

_ENDING = 10.0
"""Seconds in which what was started may end by itself."""

_SHARED = ("MEDIDD_HOME", "PYTHONPATH", "OMP_NUM_THREADS", "MEDIDD_TRACEBACK")
"""Variables that programs on other nodes get, too."""


@dataclass(frozen=True)
class Cluster:
    """A cluster.

    Attributes:
        address: HOST:PORT of its head; "" for the one that Ray knows (``RAY_ADDRESS``), or else a
            new one of this computer alone.
    """

    address: str = ""

    @property
    def here(self) -> int:
        """What is known of it: the command, and one that may come to this computer, too."""
        return 2

    @contextmanager
    def helping(self, place: Path, program: str, *arguments: str, most: int) -> Iterator[None]:
        """Starts the processes; see ``Workers``.

        Raises:
            Stop: Ray is not installed, or there is no such cluster, or it refuses the token.
        """
        if most < 1:
            yield
            return
        task = {
            "address": self.address,
            "most": most,
            "command": call(place, program, *arguments),
            "environment": {n: os.environ[n] for n in _SHARED if n in os.environ},
            "parent": os.getpid(),
        }
        # A process of its own, because Ray has handlers of signals, threads and logs of its own.
        # On its standard input, because Ray writes down command lines.
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "pipelines.workers.on_ray"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as launcher:
            try:
                assert launcher.stdin is not None
                assert launcher.stdout is not None
                launcher.stdin.write(json.dumps(task) + "\n")
                launcher.stdin.close()
                _require(json.loads(launcher.stdout.readline() or "null"))
                yield
            finally:
                launcher.terminate()
                try:
                    launcher.wait(_ENDING)
                except subprocess.TimeoutExpired:
                    launcher.kill()


def _require(answer: dict[str, str] | None) -> None:
    if answer is None:
        raise Stop("--workers: Ray could not start; use --workers local", Exit.USAGE)
    if "error" in answer:
        raise Stop(f"--workers: {answer['error']}", Exit.USAGE)
