"""DSA: Dataset Condensation with Differentiable Siamese Augmentation.

Zhao & Bilen, ICML 2021, Algorithm 1, arXiv:2102.08259.

Learns: images.
Costs: as DC.

DC, with real and synthetic images seen through the same random augmentation, so that S learns to
serve a network that is trained with augmentation.

From the authors' code: one omega is drawn per class and step, for all images on both sides; while
the network is trained on S each image has a parameter of its own. Ours: no flip or rotation for
radiographs, and images are kept within the display range.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from medidd.augment import PHOTOGRAPH, RADIOGRAPH, Augmentation, Operations, draw
from medidd.data import Source, SyntheticSet
from medidd.distill import Preset
from medidd.methods.dc import DC, matching, trained
from medidd.network import Network
from medidd.project import sgd_on_images


@dataclass(frozen=True)
class DSA:
    """Gradient matching under siamese augmentation.

    Attributes:
        network: phi_theta, the network whose gradients are matched.
        steps: updates of S in all, K * T.
        inner_steps: T, updates of S along the path of one network.
        net_epochs: varsigma_theta, epochs on S between two updates of S.
        lr_images: eta_S, learning rate of the synthetic images.
        lr_net: eta_theta, learning rate of the network.
        batch: |B_c^T|, real images per class and step.
        augment: operations of the siamese augmentation A.
    """

    paper: ClassVar[Preset] = {
        ipc: {**values, "augment": PHOTOGRAPH} for ipc, values in DC.paper.items()
    }

    network: Network
    steps: int = 100
    inner_steps: int = 10
    net_epochs: int = 10
    lr_images: float = 1.0
    lr_net: float = 0.01
    batch: int = 128
    augment: Operations = RADIOGRAPH

    def __post_init__(self) -> None:
        if self.inner_steps < 1:
            raise ValueError(f"inner_steps must be 1 or more, not {self.inner_steps}")

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        """Returns SGD over the images alone; labels stay hard."""
        return sgd_on_images(synthetic, self.lr_images)

    def losses(
        self, synthetic: SyntheticSet, real: Source, rng: torch.Generator
    ) -> Iterator[Tensor]:
        """Yields the distance between gradients of augmented images, summed over classes."""
        f = self.network

        def siamese() -> Augmentation:
            return draw(rng, self.augment)

        def each(images: int) -> Augmentation:
            return draw(rng, self.augment, images=images)

        theta = f.init(rng, like=synthetic.images)
        for t in range(self.inner_steps):
            if t:
                theta = trained(
                    f, theta, synthetic, rng, lr=self.lr_net, epochs=self.net_epochs, augment=each
                )
            yield matching(f, theta, synthetic, real, self.batch, siamese)
