"""Evaluates a finished run with another architecture than the one it was made with."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from pipelines.evaluation.utility import utility
from pipelines.learning.opened_run import open_run
from pipelines.run.progress import Progress
from pipelines.run.release_file import read_release
from pipelines.run.store import Json, require, write_json


@dataclass(frozen=True)
class Evaluate:
    """Evaluate a finished run.

    Attributes:
        run: its folder.
        network: the architecture.
    """

    run: Path
    network: str


def run(job: Evaluate) -> Generator[Progress, None, Json]:
    """Trains and tests; the generator's value is the metrics, stored in ``metrics-NETWORK.json``.

    Raises:
        Stop: there is no finished run, or its films were deleted.
    """
    opened = open_run(require(job.run))
    opened.frozen.settle()
    rows = yield from utility(opened, read_release(opened.run), job.network)
    metrics = {row: value["metrics"] for row, value in rows.items()}
    write_json(opened.run.path / f"metrics-{job.network}.json", metrics)
    return metrics
