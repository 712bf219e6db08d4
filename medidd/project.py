"""Keeps S among what can be released: pictures on a screen, labels that are probabilities.

Projected gradient descent: the projection follows each step of the optimizer and is part of it, so
that a checkpoint taken between two steps holds a set that satisfies both constraints.
"""

import torch
from torch import Tensor

from medidd.data import NORMALIZATION, SyntheticSet


def projected(optimizer: torch.optim.Optimizer, synthetic: SyntheticSet) -> torch.optim.Optimizer:
    """Returns the optimizer, which now projects S after every step."""

    def project(*_: object) -> None:
        with torch.no_grad():
            synthetic.images.copy_(on_screen(synthetic.images))
            if synthetic.labels.requires_grad:
                synthetic.labels.copy_(on_simplex(synthetic.labels))

    optimizer.register_step_post_hook(project)
    return optimizer


def on_screen(images: Tensor) -> Tensor:
    """Returns the nearest images whose display values lie in [0, 1]."""
    return NORMALIZATION.standardize(NORMALIZATION.display(images).clamp(0, 1))


def on_simplex(labels: Tensor) -> Tensor:
    """Returns the nearest rows (n, K) that are non-negative and sum to one.

    Duchi et al., ICML 2008, Figure 1.
    """
    falling = labels.sort(dim=1, descending=True).values
    excess = falling.cumsum(1) - 1
    rank = torch.arange(1, labels.shape[1] + 1, device=labels.device)
    kept = (falling - excess / rank > 0).sum(1, keepdim=True)
    return (labels - excess.gather(1, kept - 1) / kept).clamp(min=0)
