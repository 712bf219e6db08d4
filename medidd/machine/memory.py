"""How much memory a graph holds, and how much there is for graphs."""

import os
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

GRAPHS = 2**29
"""Bytes of graphs that are kept at most on a CPU."""


class Held:
    """Counts what graphs that are made in its body hold for their backward pass.

    Attributes:
        bytes: so far; a tensor that is held by several operations counts once.
    """

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda held: held)

    @property
    def bytes(self) -> int:
        """Bytes so far."""
        return sum(self._seen.values())

    def __enter__(self) -> Self:
        self._hooks.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hooks.__exit__(kind, error, trace)

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        self._seen[storage.data_ptr()] = storage.nbytes()
        return tensor


def spare(device: torch.device) -> int:
    """Returns the bytes that graphs may take: on a GPU half of what is free.

    On a CPU these are ``GRAPHS``, or a quarter of what is free if that is less.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // 2
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(GRAPHS, free // 4)
