"""DSA: Dataset Condensation with Differentiable Siamese Augmentation.

Zhao & Bilen, ICML 2021, Algorithm 1, arXiv:2102.08259.

Learns: images.
Costs: the same as DC.

DC, with real and synthetic images seen through the same random augmentation, so that S learns to
serve a network that is trained with augmentation.

From the authors' code: one omega is drawn per class and step, for all images on both sides; while
the network is trained on S each image has a parameter of its own. Ours: no flip or rotation for
radiographs, and images are kept within the display range.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from medidd.augment import PHOTOGRAPH, RADIOGRAPH, Augmentation, Operations, draw
from medidd.data import Source, SyntheticSet
from medidd.distill import Preset
from medidd.methods.dc import DC


@dataclass(frozen=True)
class DSA:
    """Gradient matching under siamese augmentation.

    Attributes:
        dc: what is matched, and how; its fields are set like these.
        augment: operations of the siamese augmentation A.
    """

    paper: ClassVar[Preset] = {
        ipc: {**values, "augment": PHOTOGRAPH} for ipc, values in DC.paper.items()
    }
    private: ClassVar[Mapping[str, Any]] = DC.private

    dc: DC
    augment: Operations = RADIOGRAPH

    @property
    def steps(self) -> int:
        """Updates of S by default."""
        return self.dc.steps

    def releases(self, classes: int) -> int:
        """Returns that of DC."""
        return self.dc.releases(classes)

    def optimizer(self, synthetic: SyntheticSet) -> torch.optim.Optimizer:
        """Returns that of DC."""
        return self.dc.optimizer(synthetic)

    def losses(
        self, synthetic: SyntheticSet, real: Source, rng: torch.Generator
    ) -> Iterator[Tensor]:
        """Yields the distance between gradients of augmented images, summed over classes."""

        def siamese() -> Augmentation:
            return draw(rng, self.augment)

        def each(images: int) -> Augmentation:
            return draw(rng, self.augment, images=images)

        return self.dc.path(synthetic, real, rng, siamese=siamese, each=each)
