"""k-center: real films such that no film of the class is far from a chosen one.

Sener & Savarese, ICLR 2018, Algorithm 1 (greedy), arXiv:1708.00489.

Each step chooses the film farthest from the chosen films. What is ours: the authors start with
films that already have labels; here there are none, so the first is the film nearest to the class
mean.
"""

import torch
from torch import Tensor


def kcenter(vectors: Tensor, ipc: int) -> Tensor:
    """Returns ``ipc`` different row numbers of (n, D) in the order of their choice, (ipc,)."""
    chosen = [int((vectors - vectors.mean(0)).norm(dim=1).argmin())]
    nearest = torch.full_like(vectors[:, 0], torch.inf)
    while len(chosen) < ipc:
        to_last = (vectors - vectors[chosen[-1]]).norm(dim=1)
        nearest = torch.minimum(nearest, to_last)
        # Less than any distance, because a film may have a twin at distance zero.
        nearest[chosen] = -1
        chosen.append(int(nearest.argmax()))
    return torch.tensor(chosen, device=vectors.device)
