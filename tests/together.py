"""Work that two real processes do together; for tests of what is shared."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch.distributed import FileStore

from medidd.machine.ranks import Ranks

CPU = torch.device("cpu")

Work = Callable[..., Any]
"""Takes ``Ranks`` and more; a function of a module."""


@contextmanager
def two_processes() -> Iterator[Callable[..., list[Any]]]:
    """Yields what does some work in two processes, and returns what each of them made."""
    number = count()
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:

        def both(folder: Path, work: Work, *more: Any) -> list[Any]:
            place = str(folder / f"store-{next(number)}")
            # Each waits for the other, so neither can get the work of both.
            futures = [pool.submit(_one, rank, place, work, *more) for rank in range(2)]
            return [future.result(timeout=300) for future in futures]

        yield both


def _one(rank: int, place: str, work: Work, *more: Any) -> Any:
    torch.set_num_threads(1)
    return work(Ranks(rank, 2, FileStore(place, 2)), *more)
