"""How a process that helps a command opens the run that both work on."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.run.store import Run
from pipelines.workers.helping import begun

if TYPE_CHECKING:
    from pipelines.learning.opened_run import OpenedRun


def joined(path: Path, parent: int) -> "OpenedRun | None":
    """Returns the run, ready to work on it; None if the process ``parent`` has ended.

    From here on this process ends with its parent.
    """
    if not begun(parent):
        return None
    # Only now: while they load, which takes seconds, the parent may end.
    from pipelines.learning.opened_run import open_run

    run = open_run(Run(path))
    run.frozen.settle()
    return run
