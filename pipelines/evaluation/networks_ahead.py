"""Trains networks for the table of a run in processes beside the command, which shares them.

Those of the baselines do not depend on S, so they are trained while the command learns S. Those of
the audit that follows are trained last.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipelines.evaluation.joined import joined
from pipelines.run.store import Run
from pipelines.workers.helping import Workers

_AGAIN = 1.0
"""Seconds after which a process looks again whether S has been learned."""

MOST = 20
"""Networks of a table, about."""

RANKING = "ranking"
"""Says that networks are trained for the ranking, too."""


@contextmanager
def networks_ahead(
    run: Run,
    workers: Workers,
    networks: Sequence[str] = ("convnet",),
    *,
    elsewhere: str = "",
    ranking: bool = False,
) -> Iterator[None]:
    """Trains the networks of the tables while the body runs, first those that need no release.

    Args:
        run: the run.
        workers: who trains them beside the body.
        networks: architectures, each with a table of its own.
        elsewhere: name of the other cohort that the tables are about, too; "" for none.
        ranking: whether the release is ranked, too.
    """
    asked = (",".join(networks), elsewhere, RANKING if ranking else "")
    most = MOST * len(networks)
    with workers.helping(run.path, "pipelines.evaluation.networks_ahead", *asked, most=most):
        yield


def main(path: Path, parent: int, networks: str, other: str = "", ranked: str = "") -> None:
    """Trains what nobody else is training, while the process ``parent`` lives."""
    run = joined(path, parent)
    if run is None:
        return
    from pipelines.evaluation.answering_recipients import answering
    from pipelines.evaluation.elsewhere import elsewhere
    from pipelines.evaluation.ranking import ranking
    from pipelines.evaluation.utility import utility
    from pipelines.run.release_file import read_release
    from privacy.release import Release

    there = elsewhere(run, other) if other else None
    for name in networks.split(","):
        for _ in utility(run, None, name, beside=True, elsewhere=there):
            pass
    while not run.run.release.exists():
        time.sleep(_AGAIN)
    release = read_release(run.run)
    for name in networks.split(","):
        for _ in utility(run, release, name, beside=True, elsewhere=there):
            pass
    if not run.run.audit.exists():
        for _ in answering(run, [Release(release.display, release.labels)], beside=True):
            pass
    if ranked == RANKING:
        for name in networks.split(","):
            for _ in ranking(run, release, name, beside=True):
                pass


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
