"""How much memory graphs hold for their backward pass, and how much there is for them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from medidd.machine.memory import at_hand

GRAPHS = 2**31
"""Bytes of graphs that are kept at most on a CPU. Those of 50 steps on six images of 64 px take 0.9
GiB at width 32."""


@contextmanager
def holding() -> Iterator[dict[int, int]]:
    """Yields the bytes that graphs which are made in the body hold, by where they are.

    A tensor that several operations hold counts once.
    """
    held: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda packed: packed):
        yield held


def spare(device: torch.device) -> int:
    """Returns the bytes that graphs may take: on a GPU half of what is free.

    On a CPU these are ``GRAPHS``, or a quarter of what is at hand if that is less.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // 2
    here = at_hand()
    return GRAPHS if here is None else min(GRAPHS, here // 4)
