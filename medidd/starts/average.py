"""Average: class means (the baseline "average real" of Wang et al. 2018, arXiv:1811.10959).

For more than one image per class, the class is divided at random into equal parts, and each image
is the mean of one part. Copies of one mean would teach nothing more.
"""

import torch
from torch import Tensor


def average(images: Tensor, ipc: int, rng: torch.Generator) -> Tensor:
    """Returns the means of ``ipc`` random parts of (n, C, H, W), (ipc, C, H, W)."""
    order = torch.randperm(len(images), generator=rng).to(images.device)
    return torch.stack([images[part].mean(0) for part in order.tensor_split(ipc)])
