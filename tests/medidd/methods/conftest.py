"""S as the methods begin with it, and a network that tells what it was shown."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from medidd.architectures import convnet
from medidd.data import SyntheticSet
from medidd.network import Architecture, Network


@pytest.fixture
def started() -> Callable[..., SyntheticSet]:
    """Makes S of noise, hard labels and a step size of 0.05, beside films of the same shape."""

    def make(films: Tensor, *, classes: int = 2, ipc: int = 1, seed: int = 0) -> SyntheticSet:
        rng = torch.Generator().manual_seed(seed)
        drawn = torch.randn(classes * ipc, *films.shape[1:], generator=rng, dtype=films.dtype)
        labels = torch.eye(classes, dtype=films.dtype).repeat_interleave(ipc, 0)
        return SyntheticSet(drawn / 2, labels, torch.tensor(0.05, dtype=films.dtype).log())

    return make


class Watch(nn.Module):
    """Lets images through, and keeps a copy."""

    def __init__(self, seen: list[Tensor]) -> None:
        super().__init__()
        self.seen = seen

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach().clone())
        return x


@pytest.fixture
def watched() -> Callable[..., tuple[Network, list[Tensor]]]:
    """Makes a small ConvNet, and the list that every batch it is shown is added to."""

    def make(classes: int = 2, channels: int = 1, size: int = 16) -> tuple[Network, list[Tensor]]:
        seen: list[Tensor] = []
        plain = convnet(classes, channels, size, width=4)

        def build() -> nn.Module:
            module = plain.make()
            module.features = nn.Sequential(Watch(seen), *module.features)
            return module

        return Architecture(build), seen

    return make
