"""Noise: the default start, because it contains nothing of any patient."""

import torch
from torch import Tensor

SPREAD = 0.5
"""Standard deviation in standardised units. Two of them end an eighth short of black or white, so
hardly any pixel starts outside what a screen can show."""


def noise(images: Tensor, ipc: int, rng: torch.Generator) -> Tensor:
    """Returns normal noise, (ipc, C, H, W); uses only the shape of ``images``."""
    drawn = torch.randn(ipc, *images.shape[1:], generator=rng, dtype=images.dtype)
    return SPREAD * drawn.to(images.device)
