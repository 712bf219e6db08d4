"""Judges a finished run with another architecture than the one it was made with."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from pipelines.frozen import thawed
from pipelines.installation import key
from pipelines.learn import Progress
from pipelines.patients import assigned, open_cohort
from pipelines.store import Json, require, write_json
from pipelines.synthetic import read_release
from pipelines.worth import worth


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
    """Trains and judges; the generator's value is the metrics, kept in ``metrics-NETWORK.json``.

    Raises:
        Stop: there is no finished run, or its films are gone.
    """
    found = require(job.run)
    frozen = thawed(found)
    patients = assigned(found, open_cohort(found), key=key(), seed=frozen.seed)
    rows = yield from worth(
        found,
        read_release(found),
        patients.members,
        patients.test,
        frozen.recipe(len(patients.cohort.classes)),
        name=job.network,
        seed=frozen.seed,
        device=frozen.device,
    )
    metrics = {row: value["metrics"] for row, value in rows.items()}
    write_json(found.path / f"metrics-{job.network}.json", metrics)
    return metrics
