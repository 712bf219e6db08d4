"""Makes null releases, planted distillations or networks in a process beside an audit."""

import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.evaluation.joined import joined

if TYPE_CHECKING:
    from pipelines.learning.opened_run import OpenedRun
    from pipelines.run.progress import Progress


def main(path: Path, parent: int, purpose: str) -> None:
    """Makes those that the audit is not making, from the last on, while ``parent`` lives."""
    run = joined(path, parent)
    if run is None:
        return
    from pipelines.auditing.canaries import canary_releases
    from pipelines.auditing.null_releases import null_releases
    from pipelines.evaluation.answering_recipients import PURPOSE

    made: dict[str, Callable[..., Generator[Progress, None, object]]] = {
        "null": null_releases,
        "canary run": canary_releases,
        PURPOSE: _recipients,
    }
    for _ in made[purpose](run, beside=True):
        pass


def _recipients(run: "OpenedRun", *, beside: bool) -> "Generator[Progress, None, None]":
    from pipelines.auditing.null_releases import null_releases
    from pipelines.evaluation.answering_recipients import answering
    from pipelines.run.release_file import read_release
    from privacy.release import Release

    nulls = yield from null_releases(run, beside=beside)  # they are there, and are only read
    own = read_release(run.run)
    releases = [Release(own.display, own.labels), *nulls.releases]
    yield from answering(run, releases, beside=beside)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
