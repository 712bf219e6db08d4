"""Noise: the default start, because it holds nothing of any patient."""

import torch
from torch import Tensor

SPREAD = 0.5
"""Standard deviation in standardised units: two of them reach an eighth short of black or white,
so that hardly a pixel begins outside what a screen can show."""


def noise(images: Tensor, ipc: int, rng: torch.Generator) -> Tensor:
    """Returns normal noise, (ipc, C, H, W); of ``images`` only the shape is used."""
    drawn = torch.randn(ipc, *images.shape[1:], generator=rng, dtype=images.dtype)
    return SPREAD * drawn.to(images.device)
