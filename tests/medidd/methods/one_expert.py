"""What the tests of trajectory matching begin with: one expert, and S with its step size."""

from dataclasses import dataclass

import torch

from medidd.data import SyntheticSet
from medidd.network import Weights


@dataclass(frozen=True)
class Expert:
    """One that was at ``start`` and went to ``target``."""

    start: Weights
    target: Weights

    def draw(self, *_: object, **__: object) -> tuple[Weights, Weights]:
        return self.start, self.target


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def synthetic(ipc: int = 2, size: int = 8, lr: float = 0.1) -> SyntheticSet:
    x = torch.randn(2 * ipc, 1, size, size, generator=seeded(1), dtype=torch.double)
    y = torch.eye(2, dtype=torch.double).repeat_interleave(ipc, 0)
    s = SyntheticSet(x, y, torch.tensor(lr, dtype=torch.double).log())
    s.images.requires_grad_()
    s.log_lr.requires_grad_()
    return s
