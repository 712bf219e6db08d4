"""Herding: real films whose mean embedding follows that of their class.

Welling, ICML 2009; as Rebuffi et al. (CVPR 2017, arXiv:1611.07725, Algorithm 4) choose exemplars.

Each step chooses the film that brings the mean of the chosen films nearest to the class mean. Two
things follow IDC's code, not the text: features are not scaled to length one, and no film is chosen
twice.
"""

import torch
from torch import Tensor


def herding(vectors: Tensor, ipc: int) -> Tensor:
    """Returns ``ipc`` different row numbers of (n, D) in the order of their choice, (ipc,)."""
    mean, total = vectors.mean(0), torch.zeros_like(vectors[0])
    chosen: list[int] = []
    for k in range(1, ipc + 1):
        gaps = (mean - (total + vectors) / k).norm(dim=1)
        gaps[chosen] = torch.inf
        chosen.append(int(gaps.argmin()))
        total = total + vectors[chosen[-1]]
    return torch.tensor(chosen, device=vectors.device)
