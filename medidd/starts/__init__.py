"""Where S comes from. A baseline is a start without a method.

A start is a function of ``Real``, all that it may look at. Most draw class by class; those that
choose films by what a network sees in them train it first. Each says what its images hold, because
the export gate refuses a release that began as somebody's film.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from medidd.data import SyntheticSet
from medidd.network import Network
from medidd.starts.average import average
from medidd.starts.herding import herding
from medidd.starts.kcenter import kcenter
from medidd.starts.kmeans import kmeans
from medidd.starts.noise import noise
from medidd.starts.optimized_random import optimized_random
from medidd.starts.random import random
from medidd.starts.real import Draw, Real, each_class, in_embedding

LR = 0.01
"""The step size that S begins with; a method that learns its own sets it by ``prepare``."""


@dataclass(frozen=True)
class Start:
    """A way to begin S.

    Attributes:
        draw: takes the real images, how many to give per class, and a generator; gives
            (K * ipc, C, H, W).
        holds: what is in these images: nothing of a patient, means of films, or films.
        text: one line for people.
    """

    draw: Draw
    holds: Literal["noise", "means", "films"]
    text: str


STARTS = {
    "noise": Start(
        each_class(noise), "noise", "standard normal noise, scaled to the range of a film"
    ),
    "random": Start(
        each_class(random), "films", "real films drawn at random; publishes patients' pixels"
    ),
    "optimized-random": Start(
        optimized_random, "films", "the random set that trains networks best; publishes films"
    ),
    "herding": Start(
        in_embedding(herding), "films", "films whose mean follows their class's; publishes films"
    ),
    "kcenter": Start(
        in_embedding(kcenter), "films", "films that leave none far from them; publishes films"
    ),
    "average": Start(each_class(average), "means", "means of random equal parts of a class"),
    "kmeans": Start(each_class(kmeans), "means", "centroids of k-means in pixel space"),
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
    network: Network,
) -> SyntheticSet:
    """Makes S with hard labels.

    Args:
        start: an entry of ``STARTS``.
        images: standardised real images, (n, C, H, W).
        labels: their classes, (n,).
        classes: K.
        ipc: images per class.
        rng: the run's generator.
        network: what a start embeds or judges images with, if it does.

    Raises:
        ValueError: a class has fewer images than ``ipc`` and the start selects or groups them.
    """
    counts = torch.bincount(labels, minlength=classes).tolist()
    for label, count in enumerate(counts):
        if start.holds != "noise" and count < ipc:
            raise ValueError(f"class number {label} has {count} images; lower ipc to that")
    drawn = start.draw(Real(images, labels, classes, network), ipc, rng)
    one_hot = torch.eye(classes, dtype=images.dtype, device=images.device)
    log_lr = torch.tensor(LR, dtype=images.dtype, device=images.device).log()
    return SyntheticSet(drawn, one_hot.repeat_interleave(ipc, 0), log_lr)
