"""Trains networks for the table of a run in processes beside the command, which shares them.

Those of the baselines do not depend on S, so they are trained while the command learns S.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.evaluation.joined import joined
from pipelines.run.store import Run
from pipelines.workers.helping import Workers

_AGAIN = 1.0
"""Seconds after which a process looks again whether S has been learned."""

MOST = 20
"""Networks of a table, about."""


@contextmanager
def networks_ahead(run: Run, workers: Workers, network: str = "convnet") -> Iterator[None]:
    """Trains the networks of the table while the body runs, first those that need no release.

    Args:
        run: the run.
        workers: who trains them beside the body.
        network: architecture of the table.
    """
    with workers.helping(run.path, "pipelines.evaluation.networks_ahead", network, most=MOST):
        yield


def main(path: Path, parent: int, network: str) -> None:
    """Trains what nobody else is training, while the process ``parent`` lives."""
    run = joined(path, parent)
    if run is None:
        return
    from pipelines.evaluation.utility import utility
    from pipelines.run.release_file import read_release

    for _ in utility(run, None, network, beside=True):
        pass
    while not run.run.release.exists():
        time.sleep(_AGAIN)
    for _ in utility(run, read_release(run.run), network, beside=True):
        pass


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
