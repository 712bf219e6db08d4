"""Where S comes from. A baseline is a start without a method.

A start is a function of ``Real``, and may look at nothing else. Most starts draw class by class.
Starts that choose films by a network's features train the network first. Each start says what its
images contain, because the export gate refuses a release that started from patients' films.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from medidd.data import SyntheticSet
from medidd.network import Network
from medidd.starts.average import average
from medidd.starts.closed_form import closed_form
from medidd.starts.herding import herding
from medidd.starts.kcenter import kcenter
from medidd.starts.kmeans import kmeans
from medidd.starts.noise import noise
from medidd.starts.optimized_random import optimized_random
from medidd.starts.random import random
from medidd.starts.real import Draw, Real, each_class, in_embedding

LR = 0.01
"""The step size that S starts with; a method that learns it sets its own in ``prepare``."""


@dataclass(frozen=True)
class Start:
    """A way to make the first S.

    Attributes:
        draw: takes the real images, how many images to return per class, and a generator; returns
            (K * ipc, C, H, W).
        holds: what these images contain: nothing of a patient, means of films, or films.
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
        optimized_random,
        "films",
        "the random set of films that trains networks best; publishes films",
    ),
    "herding": Start(
        in_embedding(herding),
        "films",
        "films whose mean is near the class mean; publishes films",
    ),
    "kcenter": Start(
        in_embedding(kcenter),
        "films",
        "films spread so that no other is far from one; publishes films",
    ),
    "average": Start(each_class(average), "means", "means of random equal parts of a class"),
    "kmeans": Start(each_class(kmeans), "means", "centroids of k-means in pixel space"),
    "closed-form": Start(
        closed_form, "means", "the images of the method moments, made of means over all films"
    ),
}
"""All starts by name."""

BASELINES = ("random", "kmeans", "average")
"""The starts that methods are compared with."""


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
        network: for starts that embed or judge images.

    Raises:
        ValueError: a class has fewer images than ``ipc``, and the start selects or groups them.
    """
    counts = torch.bincount(labels, minlength=classes).tolist()
    for label, count in enumerate(counts):
        if start.holds != "noise" and count < ipc:
            raise ValueError(f"class number {label} has {count} images; lower ipc to {count}")
    drawn = start.draw(Real(images, labels, classes, network), ipc, rng)
    one_hot = torch.eye(classes, dtype=images.dtype, device=images.device)
    log_lr = torch.tensor(LR, dtype=images.dtype, device=images.device).log()
    return SyntheticSet(drawn, one_hot.repeat_interleave(ipc, 0), log_lr)
