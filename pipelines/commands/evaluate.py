"""Evaluates a finished run with another architecture than the one it was made with."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from pipelines.evaluation.networks_ahead import networks_ahead
from pipelines.evaluation.utility import utility
from pipelines.learning.opened_run import open_run
from pipelines.run.progress import Progress
from pipelines.run.release_file import read_release
from pipelines.run.store import Json, require, write_json
from pipelines.workers.helping import TWO, Workers


@dataclass(frozen=True)
class Evaluate:
    """Evaluate a finished run.

    Attributes:
        run: its folder.
        network: the architecture.
        workers: who trains the networks.
    """

    run: Path
    network: str
    workers: Workers = TWO


def run(job: Evaluate) -> Generator[Progress, None, Json]:
    """Trains and tests; the generator's value is the metrics, stored in ``metrics-NETWORK.json``.

    Raises:
        Stop: there is no finished run, or its films were deleted.
    """
    opened = open_run(require(job.run))
    opened.frozen.settle()
    with networks_ahead(opened.run, job.workers, job.network):
        rows = yield from utility(opened, read_release(opened.run), job.network)
    metrics = {row: value["metrics"] for row, value in rows.items()}
    write_json(opened.run.path / f"metrics-{job.network}.json", metrics)
    return metrics
