"""k-center: real films that leave none of their class far from a chosen one.

Sener & Savarese, ICLR 2018, Algorithm 1 (greedy), arXiv:1708.00489.

Each film is the one farthest from those chosen. Ours: theirs begins with films that already have
labels; here there are none, and the first is the film nearest to the class mean.
"""

import torch
from torch import Tensor


def kcenter(vectors: Tensor, ipc: int) -> Tensor:
    """Returns ``ipc`` different row numbers of (n, D) in the order they are chosen, (ipc,)."""
    chosen = [int((vectors - vectors.mean(0)).norm(dim=1).argmin())]
    nearest = torch.full_like(vectors[:, 0], torch.inf)
    while len(chosen) < ipc:
        to_last = (vectors - vectors[chosen[-1]]).norm(dim=1)
        nearest = torch.minimum(nearest, to_last)
        # Below any distance, for a film may have a twin at distance zero.
        nearest[chosen] = -1
        chosen.append(int(nearest.argmax()))
    return torch.tensor(chosen, device=vectors.device)
