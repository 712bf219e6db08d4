"""What a recipe must fulfil before any film is read."""

import torch

from medidd.data import SyntheticSet
from medidd.distill import Method, Prepares
from medidd.starts import STARTS
from pipelines.run.errors import Exit, Stop


def require_no_film(name: str, start: str, preset: str, teachers: int) -> None:
    """Checks that nothing but a private source looks at the films.

    Raises:
        Stop: something does.
    """
    without = "or use --epsilon none for a release without a guarantee"
    if name in STARTS:
        raise Stop(
            f"'{name}' is a start and asks nothing that a guarantee could cover; choose a method, "
            f"such as moments or class-mean, {without}",
            Exit.USAGE,
        )
    if start in STARTS and start != "noise":
        raise Stop(
            f"--start {start} shows films or their means; a guarantee needs --start noise; use "
            f"that, {without}",
            Exit.USAGE,
        )
    if teachers:
        raise Stop(
            "--teachers trains networks on the films, and no guarantee covers them; leave it out, "
            + without,
            Exit.USAGE,
        )
    if preset == "paper":
        raise Stop(
            "--preset paper asks the films far too often for a guarantee; leave it out, " + without,
            Exit.USAGE,
        )


def require_prepared(method: Method, classes: int, ipc: int) -> None:
    """Checks, before any film is read, that a method can begin with so many images per class.

    Raises:
        Stop: it cannot.
    """
    if not isinstance(method, Prepares):
        return
    n = classes * ipc
    try:
        method.prepare(
            SyntheticSet(torch.zeros(n, 1, 1, 1), torch.zeros(n, classes), torch.zeros(()))
        )
    except ValueError as error:
        raise Stop(f"--set: {error}", Exit.USAGE) from None
