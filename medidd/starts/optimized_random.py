"""Optimized random: of many random sets of films, the one that trains networks best.

A baseline of Wang, Zhu, Torralba & Efros 2018, arXiv:1811.10959.

As in the authors' code, networks are trained on each set and judged on training images, never on
test images. Three things are ours: fewer sets and networks (theirs are 50 and 20, and they keep
several sets); the same networks for every set, so that the best set does not win by luck; and
balanced accuracy, because classes differ in size. The judging films may include those of the set.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from medidd.evaluate import Training, log_probabilities, train
from medidd.starts.random import random
from medidd.starts.real import Real, each_class

SETS = 10
"""Random sets to choose from. With the numbers below, ipc 10 takes minutes on a CPU."""

NETWORKS = 2
"""Networks that judge each set."""

TRAINING = Training(steps=50)
"""How these networks are trained on the set."""

JUDGES = 128
"""Films per class on which these networks are judged."""


def optimized_random(real: Real, ipc: int, rng: torch.Generator) -> Tensor:
    """Returns the best of ``SETS`` random sets, (K * ipc, C, H, W)."""
    candidates = [each_class(random)(real, ipc, rng) for _ in range(SETS)]
    return best(candidates, real, rng)


def best(candidates: Sequence[Tensor], real: Real, rng: torch.Generator) -> Tensor:
    """Returns the set from which networks learn most about T.

    Args:
        candidates: sets of images, each (K * ipc, C, H, W), class after class.
        real: T.
        rng: draws the judging films and the networks, the same for every set.
    """
    of_classes = [real.rows(label) for label in range(real.classes)]
    judges = [rows[torch.randperm(len(rows), generator=rng)[:JUDGES]] for rows in of_classes]
    films, truth = real.images[torch.cat(judges)], real.labels[torch.cat(judges)]
    seeds = torch.randint(2**62, (NETWORKS,), generator=rng).tolist()
    one_hot = torch.eye(real.classes).to(films)
    labels = one_hot.repeat_interleave(len(candidates[0]) // real.classes, 0)

    def predicted(images: Tensor, seed: int) -> Tensor:
        own = torch.Generator().manual_seed(seed)
        theta = train(real.network, images, labels, TRAINING, own)
        return log_probabilities(real.network, theta, films).argmax(1)

    def worth(images: Tensor) -> float:
        right = (torch.stack([predicted(images, seed) for seed in seeds]) == truth).double()
        recalls = [right[:, truth == label].mean() for label in range(real.classes)]
        return float(torch.stack(recalls).mean())

    return max(candidates, key=worth)
