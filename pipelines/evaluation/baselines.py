"""Trains networks on the baselines in a second process: they do not depend on S.

The process shares the networks with the command, which has S to learn first.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.evaluation.second import opened, second
from pipelines.run.store import Run


@contextmanager
def baselines_ahead(run: Run) -> Iterator[None]:
    """Works on the baselines of ``run`` while the body runs."""
    if run.metrics.exists():
        yield
        return
    with second(run, "pipelines.evaluation.baselines"):
        yield


def main(path: Path, parent: int) -> None:
    """Trains the networks that do not need the release, while the process ``parent`` lives."""
    run = opened(path, parent)
    if run is None:
        return
    from pipelines.evaluation.utility import utility

    for _ in utility(run, None, "convnet"):
        pass


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
