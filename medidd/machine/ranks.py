"""Several processes that share one distillation, as torchrun starts them on one computer.

The first process leads: it reads, judges and writes. The others wait until it begins to learn, take
the same steps on the same S, and end. torch is imported only where it is needed, so that
``medidd --help`` is there at once.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch
    from torch.distributed.distributed_c10d import Store

Statistic = TypeVar("Statistic")

PATIENCE = timedelta(hours=1)
"""How long a process waits for the others at most; torchrun ends all of them if one has failed."""

_EVERY = 0.2
"""Seconds between two looks at whether the first process has begun to learn."""

_CALL, _LEARN, _END = "call", "learn", "end"


@dataclass(frozen=True)
class Ranks:
    """The processes of a distillation, as one of them sees them.

    Attributes:
        rank: number of this process; the first one is 0.
        count: of all of them.
        store: where they find each other; None where there is one.
    """

    rank: int = 0
    count: int = 1
    store: Store | None = None

    @property
    def leads(self) -> bool:
        """Whether this is the process that reads, judges and writes."""
        return self.rank == 0

    def called(self) -> bool:
        """Waits until the first process begins to learn; False if it ended before that."""
        if self.store is None:
            return True
        try:
            while not self.store.check([_CALL]):
                time.sleep(_EVERY)
            return self.store.get(_CALL).decode() == _LEARN
        except RuntimeError:  # whoever kept the store has ended
            return False

    def dismiss(self) -> None:
        """Tells processes that still wait that there is nothing to share."""
        if self.store is not None and self.leads:
            try:
                if not self.store.check([_CALL]):
                    self.store.set(_CALL, _END)
            except RuntimeError:  # torchrun has ended, and so do they
                return

    @contextmanager
    def together(self, device: torch.device) -> Iterator[None]:
        """Connects the processes for the body; the first process calls the others.

        Args:
            device: where they compute; of several GPUs, a process has set its own as the current
                one.

        Raises:
            ConnectionError: another process has ended or does not come.
        """
        if self.store is None:
            yield
            return
        import torch
        from torch import distributed
        from torch.distributed.distributed_c10d import PrefixStore

        if self.leads:
            self.store.set(_CALL, _LEARN)
        # All are on this computer, and nothing that is computed from films shall leave it.
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
        os.environ.setdefault("NCCL_SOCKET_IFNAME", "lo")
        with _lost():
            distributed.init_process_group(
                "nccl" if device.type == "cuda" else "gloo",
                store=PrefixStore("together", self.store),
                rank=self.rank,
                world_size=self.count,
                timeout=PATIENCE,
            )
            # NCCL connects only when it is first used.
            distributed.all_reduce(meeting := torch.zeros(1, device=device))
            meeting.item()
        yield
        distributed.destroy_process_group()

    def summed(self, parts: Sequence[Statistic]) -> list[Statistic]:
        """Returns the sum of what every process gives, the same for all of them.

        Args:
            parts: tensors, alone or in tuples, lists or dicts, which must be alike everywhere.

        Raises:
            ConnectionError: another process has ended.
        """
        from torch import distributed
        from torch.utils._pytree import tree_flatten, tree_unflatten

        leaves, spec = tree_flatten(list(parts))
        with _packed(leaves) as flat, _lost():
            for one in flat:
                distributed.all_reduce(one)
        return tree_unflatten(leaves, spec)  # type: ignore[no-any-return]

    def align(self, tensors: Iterable[torch.Tensor]) -> None:
        """Gives tensors the values they have in the first process, in place.

        Processors of one kind round alike; GPUs do not always, and differences would grow.

        Raises:
            ConnectionError: another process has ended.
        """
        if self.store is None:
            return
        import torch
        from torch import distributed

        held = list(tensors)
        leaves = [tensor.detach() for tensor in held]
        with _packed(leaves) as flat, _lost():
            for one in flat:
                distributed.broadcast(one, 0)
        with torch.no_grad():
            for tensor, value in zip(held, leaves, strict=True):
                tensor.copy_(value)


ALONE = Ranks()
"""One process."""


def number(environment: Mapping[str, str]) -> int:
    """Returns the number of this process among those that torchrun started; 0 without it."""
    return int(environment["RANK"]) if _several(environment) else 0


@contextmanager
def launched(environment: Mapping[str, str]) -> Iterator[Ranks]:
    """Yields this process and those that torchrun started with it; ``ALONE`` without torchrun.

    At the end of the body, the first process dismisses those that still wait.
    """
    if not _several(environment):
        yield ALONE
        return
    from torch.distributed.rendezvous import rendezvous

    ranks = Ranks(
        number(environment), int(environment["WORLD_SIZE"]), next(rendezvous("env://"))[0]
    )
    try:
        yield ranks
    finally:
        ranks.dismiss()


def scattered(environment: Mapping[str, str]) -> bool:
    """Tells whether torchrun has started some of the processes on another computer."""
    there = environment.get("WORLD_SIZE")
    return _several(environment) and environment.get("LOCAL_WORLD_SIZE") != there


def _several(environment: Mapping[str, str]) -> bool:
    # Other launchers and clusters leave a WORLD_SIZE in the environment of what is no part of it.
    launcher = "TORCHELASTIC_RUN_ID" in environment
    return launcher and int(environment.get("WORLD_SIZE", "1")) > 1


@contextmanager
def _packed(leaves: list[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Yields one vector for each type of number in ``leaves``, and puts its values back there.

    A network's gradient is many small tensors, and each message takes time of its own.
    """
    import torch

    alike: dict[torch.dtype, list[int]] = {}
    for place, leaf in enumerate(leaves):
        alike.setdefault(leaf.dtype, []).append(place)
    flat = [torch.cat([leaves[n].flatten() for n in places]) for places in alike.values()]
    yield flat
    for places, vector in zip(alike.values(), flat, strict=True):
        sizes = [leaves[n].numel() for n in places]
        for n, part in zip(places, torch.split(vector, sizes), strict=True):
            leaves[n] = part.view_as(leaves[n])


@contextmanager
def _lost() -> Iterator[None]:
    """Says in words what a library says of a connection that broke."""
    try:
        yield
    except RuntimeError as error:
        raise ConnectionError(
            errno.ECONNRESET, "another process of this distillation has ended"
        ) from error
