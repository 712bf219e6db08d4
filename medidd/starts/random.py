"""Random: real films, the baseline that every method must beat and no hospital may publish."""

import torch
from torch import Tensor


def random(images: Tensor, ipc: int, rng: torch.Generator) -> Tensor:
    """Returns ``ipc`` different films of (n, C, H, W), drawn without replacement."""
    return images[torch.randperm(len(images), generator=rng)[:ipc].to(images.device)].clone()
