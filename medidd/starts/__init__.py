"""Where S comes from. A baseline is a start without a method.

A start is a function of the real images of one class; ``begin`` calls it class by class. Each says
what its images hold, because the export gate refuses a release that began as somebody's film.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from medidd.data import SyntheticSet
from medidd.starts.average import average
from medidd.starts.kmeans import kmeans
from medidd.starts.noise import noise
from medidd.starts.random import random

Draw = Callable[[Tensor, int, torch.Generator], Tensor]


@dataclass(frozen=True)
class Start:
    """A way to begin S.

    Attributes:
        draw: takes the real images of one class (n, C, H, W), how many to give, and a generator;
            gives (ipc, C, H, W).
        holds: what is in these images: nothing of a patient, means of films, or films.
        text: one line for people.
    """

    draw: Draw
    holds: Literal["noise", "means", "films"]
    text: str


STARTS = {
    "noise": Start(noise, "noise", "standard normal noise, scaled to the range of a film"),
    "random": Start(random, "films", "real films drawn at random; publishes patients' pixels"),
    "average": Start(average, "means", "means of random equal parts of a class"),
    "kmeans": Start(kmeans, "means", "centroids of k-means in pixel space"),
}
"""Every start by its name."""

BASELINES = ("random", "kmeans", "average")
"""The starts that a method is compared with."""


def begin(
    start: Start,
    images: Tensor,
    labels: Tensor,
    *,
    classes: int,
    ipc: int,
    rng: torch.Generator,
    lr: float = 0.01,
) -> SyntheticSet:
    """Makes S with hard labels.

    Args:
        start: an entry of ``STARTS``.
        images: standardised real images, (n, C, H, W).
        labels: their classes, (n,).
        classes: K.
        ipc: images per class.
        rng: the run's generator.
        lr: the step size that S begins with.

    Raises:
        ValueError: a class has fewer images than ``ipc`` and the start selects or groups them.
    """
    drawn = []
    for label in range(classes):
        of_class = images[labels == label]
        if start.holds != "noise" and len(of_class) < ipc:
            raise ValueError(f"class number {label} has {len(of_class)} images; lower ipc to that")
        drawn.append(start.draw(of_class, ipc, rng))
    one_hot = torch.eye(classes, dtype=images.dtype, device=images.device)
    log_lr = torch.tensor(lr, dtype=images.dtype, device=images.device).log()
    return SyntheticSet(torch.cat(drawn), one_hot.repeat_interleave(ipc, 0), log_lr)
