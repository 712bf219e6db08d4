"""Makes null releases, or planted distillations, in a process beside an audit."""

import sys
from pathlib import Path

from pipelines.evaluation.joined import joined


def main(path: Path, parent: int, purpose: str) -> None:
    """Makes those that the audit is not making, from the last on, while ``parent`` lives."""
    run = joined(path, parent)
    if run is None:
        return
    from pipelines.auditing.canaries import canary_releases
    from pipelines.auditing.null_releases import null_releases

    made = {"null": null_releases, "canary run": canary_releases}
    for _ in made[purpose](run, beside=True):
        pass


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
