"""Herding: real films whose mean embedding follows that of their class.

Welling, ICML 2009; as Rebuffi et al. (CVPR 2017, arXiv:1611.07725, Algorithm 4) choose exemplars.

Each film is the one that brings the mean of the chosen nearest to the mean of the class. From IDC's
code, where it differs from the text: features are not scaled to length one, and no film is chosen
twice.
"""

import torch
from torch import Tensor


def herding(vectors: Tensor, ipc: int) -> Tensor:
    """Returns ``ipc`` different row numbers of (n, D) in the order they are chosen, (ipc,)."""
    mean, total = vectors.mean(0), torch.zeros_like(vectors[0])
    chosen: list[int] = []
    for k in range(1, ipc + 1):
        gaps = (mean - (total + vectors) / k).norm(dim=1)
        gaps[chosen] = torch.inf
        chosen.append(int(gaps.argmin()))
        total = total + vectors[chosen[-1]]
    return torch.tensor(chosen, device=vectors.device)
