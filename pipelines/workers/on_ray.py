"""Runs a program on the nodes of a Ray cluster; a process of its own, started by ``cluster``.

Reads one line of JSON from its standard input, and answers with one: ``{"nodes": n}`` when the
cluster was reached, else ``{"error": why}``. Ends with the command that started it.
"""

import json
import logging
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.workers.helping import begun, started

_ANSWERING = 5.0
"""Seconds in which a cluster must answer."""

_LONGEST = 30
"""Characters that the name of a folder may have in which a cluster's files are put. A socket's name
has room for 107, and Ray's own part of it needs about 70."""

ALWAYS = -1
"""Ray starts a program again as often as its node is lost."""


def run_program(command: Sequence[str], environment: dict[str, str]) -> int:
    """Runs a program on the node where Ray calls this; returns its exit status.

    Another process, so that no film is ever in the memory of a process of Ray, whose logs and
    spilled objects are files that others keep.
    """
    return started(command, **environment).wait()


def main() -> None:
    """Runs the program on as many processors, or GPUs, as the cluster has, and waits for it."""
    task = json.loads(sys.stdin.readline())
    if not begun(task["parent"]):
        return
    short = len(tempfile.gettempdir()) < _LONGEST
    with tempfile.TemporaryDirectory(prefix="medidd-", dir=None if short else "/tmp") as folder:
        # Ray opens its own folder to everybody, but nobody comes through this one.
        _quiet(Path(folder), new=not task["address"])
        try:
            import ray
        except ImportError:
            _say(error="Ray is not installed; pip install 'medidd[ray]'")
            return
        try:
            with _cluster(ray, task["address"], Path(folder)):
                _run(ray, task)
        except SystemExit:  # the command is done
            return


def _quiet(folder: Path, *, new: bool) -> None:
    """Sets what Ray reads from its environment, before it is loaded.

    Nobody joins without a token, nothing is reported to its makers, no page is served.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    known = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys()
    if new and "RAY_ADDRESS" not in os.environ and not known:
        path = folder / "token"
        path.write_text(secrets.token_hex(32))
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(path)


@contextmanager
def _cluster(ray: Any, address: str, folder: Path) -> Iterator[None]:
    """Joins the cluster, or starts one whose files are in the folder."""
    known = address or os.environ.get("RAY_ADDRESS", "")
    how = (
        {"address": known}
        if known
        else {"_temp_dir": str(folder / "ray"), "include_dashboard": False}
    )
    try:
        if ":" in known:  # Ray would try for minutes
            host, _, port = known.rpartition(":")
            socket.create_connection((host, int(port)), _ANSWERING).close()
    except (OSError, ValueError):
        _say(error=f"nothing answers at {known}; see that the cluster runs, and its port")
        sys.exit()
    try:
        ray.init(**how, log_to_driver=False, logging_level=logging.CRITICAL)
    except Exception as error:
        why = f"Ray could not start here ({type(error).__name__}); use --workers local"
        if known:
            why = f"{known} refuses us; RAY_AUTH_TOKEN_PATH must name the file of its own token"
        _say(error=why)
        sys.exit()
    try:
        yield
    finally:
        ray.shutdown()


def _run(ray: Any, task: dict[str, Any]) -> None:
    has = ray.cluster_resources()
    of_gpus = int(has.get("GPU", 0))
    needs = {"num_gpus": 1, "num_cpus": 0} if of_gpus else {"num_cpus": 1}
    # The command itself computes on one of the processors.
    count = min(of_gpus or max(int(has.get("CPU", 1)) - 1, 1), task["most"])
    program = ray.remote(**needs, max_retries=ALWAYS)(run_program)
    runs = [program.remote(task["command"], task["environment"]) for _ in range(count)]
    _say(nodes=len(ray.nodes()))
    try:
        # What a program has not done when it ends, however it ends, the command does.
        ray.wait(runs, num_returns=len(runs))
    finally:
        for one in runs:
            ray.cancel(one, force=True)


def _say(**answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
