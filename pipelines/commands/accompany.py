"""What the processes do that learn a run together with the one that makes it (``torchrun``)."""

import torch

from medidd.machine.ranks import Ranks
from pipelines.learning.job import FrozenJob
from pipelines.learning.learn import follow
from pipelines.learning.opened_run import open_run
from pipelines.run.errors import Exit, Stop
from pipelines.run.store import Run


def accompany(frozen: FrozenJob, place: Run, ranks: Ranks) -> None:
    """Takes part in the learning of a run that another process makes, and writes nothing.

    Args:
        frozen: what that process was asked.
        place: the folder of the run.
        ranks: this process and the others.

    Raises:
        ConnectionError: another process has ended.
        Stop: the run cannot be read.
    """
    frozen.settle()
    if frozen.device.type == "cuda":
        torch.cuda.set_device(ranks.rank)  # the first process has the first one anyway
    opened = open_run(place)
    try:
        follow(
            opened.recipe,
            opened.patients.members,
            device=frozen.device,
            checkpoint=place.checkpoint,
            ranks=ranks,
        )
    except (FloatingPointError, ValueError):
        return  # the same happens in the first process, which says so


def require_sharing(frozen: FrozenJob, ranks: Ranks) -> None:
    """Checks that several processes can make the run.

    Raises:
        Stop: they cannot.
    """
    if ranks.count == 1:
        return
    if frozen.budget is not None:
        raise Stop(
            "a guarantee needs one process, which draws the noise and keeps the account; start "
            "medidd without torchrun, or use --epsilon none",
            Exit.USAGE,
        )
    if frozen.device.type == "cuda" and ranks.count > (there := torch.cuda.device_count()):
        raise Stop(
            f"{ranks.count} processes need as many GPUs, and {there} can be used here; use "
            f"torchrun --nproc-per-node {there}, or --device cpu",
            Exit.USAGE,
        )
