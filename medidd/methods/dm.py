"""DM: Dataset Condensation with Distribution Matching.

Zhao & Bilen, WACV 2023, Algorithm 1, arXiv:2110.04181.

Learns: images.
Costs: each step takes the features of ``batch`` real images per class, and no gradient of them.

Networks that were never trained already tell classes apart. Draw a fresh one at every step and move
the synthetic images so that the mean embedding of each class meets that of the real images, both
seen through the same augmentation. There is no inner loop, which makes DM the cheapest method here.

From the authors: the sum over features and classes (not the mean), a fresh network at every step,
learning rate 1 with momentum 0.5, one siamese augmentation per class and step. Ours: images are
kept within the display range after every step, no flip or rotation, and 300 steps, not 20,000;
docs/measurements.md has the figures.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from medidd.augment import PHOTOGRAPH, RADIOGRAPH, Omega, Operations, draw
from medidd.data import Question, Source, SyntheticSet
from medidd.distill import Preset
from medidd.network import Network, Weights
from medidd.project import sgd_on_images


@dataclass(frozen=True)
class DM:
    """Distribution matching.

    Attributes:
        network: psi_theta, whose features are matched.
        steps: K, updates of S.
        lr_images: eta, learning rate of the synthetic images.
        batch: |B_c^T|, real images per class and step.
        augment: operations of the siamese augmentation A; empty for none.
        bank: networks that are drawn once and asked once, for the whole run; 0 draws a fresh one at
            every step.
    """

    paper: ClassVar[Preset] = {
        1: {"steps": 20_000, "augment": PHOTOGRAPH},
        100: {"steps": 20_000, "augment": PHOTOGRAPH, "lr_images": 10.0},
    }
    private: ClassVar[Mapping[str, Any]] = {"bank": 20, "augment": ()}

    network: Network
    steps: int = 300
    lr_images: float = 1.0
    batch: int = 256
    augment: Operations = RADIOGRAPH
    bank: int = 0

    def releases(self, classes: int) -> int:  # noqa: ARG002
        """Returns the calls of ``means`` in a run: one for each update, or one for the bank."""
        return 1 if self.bank else self.steps

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        """Returns SGD over the images alone; labels stay hard."""
        return sgd_on_images(synthetic, self.lr_images)

    def losses(
        self, synthetic: SyntheticSet, real: Source, rng: torch.Generator
    ) -> Iterator[Tensor]:
        """Yields the squared distance between mean embeddings, summed over classes."""
        # theta ~ P_theta
        thetas = [self.network.init(rng, like=synthetic.images) for _ in range(self.bank or 1)]
        omegas = [[draw(rng, self.augment) for _ in thetas] for _ in range(real.classes)]
        questions = [
            Question(partial(self._embedding, thetas, omega), (label,))
            for label, omega in enumerate(omegas)
        ]
        targets = torch.stack(real.means(questions, size=self.batch))
        for _ in range(self.steps if self.bank else 1):
            embedded = self._embeddings(thetas, omegas, synthetic)
            yield (targets - embedded).square().sum()  # the caller steps S here

    def _embedding(
        self, thetas: Sequence[Weights], omegas: Sequence[Omega], x: Tensor, _: Tensor
    ) -> Tensor:
        """Returns the mean embeddings of all networks (R * D,), scaled so that distances are means.

        Squared distances of the whole are then the mean over networks of those of each.
        """
        seen_by = zip(thetas, omegas, strict=True)
        embedded = [self.network.embed(theta, omega(x)).mean(0) for theta, omega in seen_by]
        return torch.cat(embedded) / math.sqrt(len(embedded))

    def _embeddings(
        self, thetas: Sequence[Weights], omegas: Sequence[Sequence[Omega]], synthetic: SyntheticSet
    ) -> Tensor:
        """Returns the same of each class of S, (K, R * D); all pass a network together."""
        embedded = []
        for theta, siamese in zip(thetas, zip(*omegas, strict=True), strict=True):
            parts = [omega(synthetic.of_class(c)[0]) for c, omega in enumerate(siamese)]
            features = self.network.embed(theta, torch.cat(parts))
            embedded.append(features.view(len(parts), -1, features.shape[1]).mean(1))
        return torch.cat(embedded, 1) / math.sqrt(len(embedded))
