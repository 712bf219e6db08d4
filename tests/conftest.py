"""What every test shares: one thread, one generator."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
import torch

# On a busy two-core machine two threads can be many times slower than one on tensors this small.
torch.set_num_threads(1)


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)
