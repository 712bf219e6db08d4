"""Keeps S releasable: images that a screen can show, labels that are probabilities.

This is projected gradient descent. The projection follows each step of the optimizer and is part of
it, so a checkpoint between two steps holds a set that satisfies both constraints.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from medidd.data import SyntheticSet

Projection = Callable[[Tensor], Tensor]


def on_simplex(labels: Tensor) -> Tensor:
    """Returns the nearest rows (n, K) that are non-negative and sum to one.

    Duchi et al., ICML 2008, Figure 1.
    """
    falling = labels.sort(dim=1, descending=True).values
    excess = falling.cumsum(1) - 1
    rank = torch.arange(1, labels.shape[1] + 1, device=labels.device)
    kept = (falling - excess / rank > 0).sum(1, keepdim=True)
    return (labels - excess.gather(1, kept - 1) / kept).clamp(min=0)


def unconstrained(labels: Tensor) -> Tensor:
    """Returns the labels unchanged; they may be any real numbers."""
    return labels


CONSTRAINTS: dict[str, Projection] = {"simplex": on_simplex, "none": unconstrained}
"""Constraints on learned labels, by name."""


def projected(
    optimizer: torch.optim.Optimizer, synthetic: SyntheticSet, labels: Projection = on_simplex
) -> torch.optim.Optimizer:
    """Returns the optimizer, which now projects S after every step.

    Args:
        optimizer: over tensors of ``synthetic``.
        synthetic: S; its images are kept within the bounds of its normalisation.
        labels: the projection of the labels, used if they are learned.
    """

    def project(*_: object) -> None:
        with torch.no_grad():
            synthetic.images.copy_(synthetic.normalization.bounded(synthetic.images))
            if synthetic.labels.requires_grad:
                synthetic.labels.copy_(labels(synthetic.labels))

    optimizer.register_step_post_hook(project)
    return optimizer


def falling(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.Optimizer:
    """Returns the optimizer, whose learning rates now fall to 0 along half a cosine.

    Loshchilov & Hutter, ICLR 2017, arXiv:1608.03983, without restarts. After t steps a rate is
    (1 + cos(pi t / steps)) / 2 of what it was. The optimizer itself counts the steps, so a restored
    one goes on where it was.

    Args:
        optimizer: one of Adam's kind.
        steps: after so many steps they are 0.
    """
    first = [group["lr"] for group in optimizer.param_groups]

    def fall(*_: object) -> None:
        for group, lr in zip(optimizer.param_groups, first, strict=True):
            taken = float(optimizer.state[group["params"][0]].get("step", 0))
            group["lr"] = lr * (1 + math.cos(math.pi * min(taken / steps, 1))) / 2

    # Before the step, not after it: a checkpoint holds the count, not the rate.
    optimizer.register_step_pre_hook(fall)
    return optimizer


def adam_on(
    synthetic: SyntheticSet, lr_images: float, lr_labels: float, constraint: str
) -> torch.optim.Optimizer:
    """Returns the optimizer of KIP and RFAD: Adam on the images, and on labels if they are learned.

    Args:
        synthetic: S.
        lr_images: learning rate of the images.
        lr_labels: learning rate of the labels; 0 keeps them.
        constraint: what learned labels may be, one of ``CONSTRAINTS``.
    """
    groups = [{"params": [synthetic.images], "lr": lr_images}]
    if lr_labels:
        groups.append({"params": [synthetic.labels], "lr": lr_labels})
    return projected(torch.optim.Adam(groups), synthetic, CONSTRAINTS[constraint])


def sgd_on_images(synthetic: SyntheticSet, lr: float) -> torch.optim.Optimizer:
    """Returns the optimizer of DC and those that follow it: images alone, momentum 0.5."""
    return projected(torch.optim.SGD([synthetic.images], lr=lr, momentum=0.5), synthetic)
