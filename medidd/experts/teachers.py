"""Soft labels: what networks that were trained on the real images say about each image of S.

A hard label says that an image of S is of one class and nothing else. A few networks that know all
real images say how much of each class it shows, and a student learns from that, too (Hinton,
Vinyals & Dean 2015, arXiv:1503.02531; for distilled images Yin, Xing & Shen, NeurIPS 2023,
arXiv:2306.13092). Teachers look at every real image, so their labels are a release about these:
audits must make their null releases with teachers as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from medidd.augment import draw
from medidd.data import SyntheticSet
from medidd.evaluate import Training, log_probabilities, one_cycle, train
from medidd.network import Network, Weights

TEACHING = Training(
    steps=250, batch=32, lr=3e-3, weight_decay=1e-2, descent=one_cycle, augment=draw
)
"""How a network is trained on all films. A few images need every step to see all of them; many
images need batches, and are learned in fewer updates by AdamW."""


@dataclass(frozen=True)
class Teachers:
    """Networks that were trained on the real images.

    Attributes:
        network: their architecture.
        thetas: weights of each.
    """

    network: Network
    thetas: Sequence[Weights]

    def taught(self, synthetic: SyntheticSet) -> SyntheticSet:
        """Returns S with the teachers' mean probabilities as labels; without teachers, S itself."""
        if not self.thetas:
            return synthetic
        images = synthetic.images.detach()
        seen = [log_probabilities(self.network, theta, images).exp() for theta in self.thetas]
        return replace(synthetic, images=images, labels=torch.stack(seen).mean(0))


def teachers(
    network: Network,
    images: Tensor,
    labels: Tensor,
    classes: int,
    count: int,
    rng: torch.Generator,
    how: Training = TEACHING,
) -> Teachers:
    """Trains teachers.

    Args:
        network: their architecture.
        images: standardised real images, (n, C, H, W).
        labels: their classes, (n,).
        classes: K.
        count: number of teachers.
        rng: draws all that is random.
        how: their training.
    """
    y = one_hot(labels, classes).to(images)
    return Teachers(network, [train(network, images, y, how, rng) for _ in range(count)])
