"""Closed form: the images of the method ``moments``, before any refinement.

Class means and the directions in which films differ most, so that regression from them is the best
that few images allow. They are made from averages over all films of all classes, as the method's
releases are, and hold no film.
"""

import torch
from torch import Tensor

from medidd.data import RealSet, SyntheticSet
from medidd.distill import distill
from medidd.features import LowFrequencies
from medidd.methods.moments import Moments
from medidd.starts.real import Real


def closed_form(real: Real, ipc: int, rng: torch.Generator) -> Tensor:
    """Returns the images, (K * ipc, C, H, W)."""
    empty = real.images.new_zeros(real.classes * ipc, *real.images.shape[1:])
    labels = torch.eye(real.classes).to(empty).repeat_interleave(ipc, 0)
    synthetic = SyntheticSet(empty, labels, torch.zeros(()).to(empty))
    method = Moments(LowFrequencies(), real.network, refined=0)
    source = RealSet(real.images, real.labels, real.classes, rng)
    for _ in distill(method, synthetic, source, steps=1, rng=rng):
        pass
    return synthetic.images.detach()
