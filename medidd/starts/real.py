"""What a start may look at: the real images of all classes, and an embedding of them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from medidd.evaluate import Training, train
from medidd.network import Network

TRAINING = Training(steps=100, batch=64)
"""How the network that embeds T is trained: long enough for its embedding to tell classes apart,
about a minute on a CPU."""

CHUNK = 64
"""Images embedded at once."""


@dataclass(frozen=True)
class Real:
    """T, as a start sees it.

    Attributes:
        images: standardised intensities, (n, C, H, W).
        labels: hard labels, (n,).
        classes: K.
        network: psi, an architecture for embedding or judging images.
    """

    images: Tensor
    labels: Tensor
    classes: int
    network: Network

    def rows(self, label: int) -> Tensor:
        """Returns the row numbers of one class."""
        return (self.labels == label).nonzero().squeeze(1)

    def one_hot(self) -> Tensor:
        """Returns the labels, (n, K)."""
        return torch.eye(self.classes).to(self.images)[self.labels]

    def embedding(self, rng: torch.Generator) -> Tensor:
        """Returns psi(T), (n, D), of one network trained on T.

        The papers of herding and k-center both use features of a trained network.
        """
        theta = train(self.network, self.images, self.one_hot(), TRAINING, rng)
        with torch.no_grad():
            chunks = torch.split(self.images, CHUNK)
            return torch.cat([self.network.embed(theta, x) for x in chunks])


OfClass = Callable[[Tensor, int, torch.Generator], Tensor]
"""Takes images of one class (n, C, H, W), ipc and a generator; returns (ipc, C, H, W)."""

Draw = Callable[[Real, int, torch.Generator], Tensor]
"""Takes T, ipc and a generator; returns (K * ipc, C, H, W), class after class."""


def each_class(draw: OfClass) -> Draw:
    """Returns the start that draws from one class after another and sees only that class."""

    def drawn(real: Real, ipc: int, rng: torch.Generator) -> Tensor:
        classes = range(real.classes)
        return torch.cat([draw(real.images[real.rows(label)], ipc, rng) for label in classes])

    return drawn


Choose = Callable[[Tensor, int], Tensor]
"""Takes vectors of one class (n, D) and how many to choose; returns row numbers, (ipc,)."""


def in_embedding(choose: Choose) -> Draw:
    """Returns the start that chooses films of each class by their embedding."""

    def drawn(real: Real, ipc: int, rng: torch.Generator) -> Tensor:
        vectors = real.embedding(rng)
        of_classes = [real.rows(label) for label in range(real.classes)]
        return real.images[torch.cat([rows[choose(vectors[rows], ipc)] for rows in of_classes])]

    return drawn
