"""What is drawn for each image of a batch: its moment of the noising, its noise, its label or none.

A source is asked for means over images, so what is drawn for an image may depend on this image and
on public numbers alone, never on its place in a batch (``medidd.data``). So a number is computed
from the image, and this number says which entry of a table of draws it gets. The table is drawn
anew for every step.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Draws:
    """A table of draws.

    Attributes:
        direction: what an image is projected on to find its row, (C * H * W,), float64.
        moments: t, from 0 to ``steps`` - 1, (m,), spread evenly.
        noise: epsilon, standard normal, (m, c, h, w).
        blind: whether the label is hidden, (m,), bool.
    """

    direction: Tensor
    moments: Tensor
    noise: Tensor
    blind: Tensor

    @classmethod
    def drawn(
        cls,
        rows: int,
        shape: tuple[int, int, int],
        steps: int,
        rng: torch.Generator,
        *,
        pixels: int,
        hidden: float = 0.0,
        like: Tensor,
    ) -> "Draws":
        """Draws a table.

        Args:
            rows: m, entries; about as many as a batch has images.
            shape: (c, h, w) of a latent.
            steps: T, moments of the noising.
            rng: draws all of it.
            pixels: C * H * W of an image.
            hidden: chance that a label is hidden.
            like: a tensor whose device and dtype the noise takes.
        """
        noise = torch.randn(rows, *shape, generator=rng)
        direction = torch.randn(pixels, generator=rng, dtype=torch.float64)
        spread = torch.randperm(rows, generator=rng) + torch.rand(rows, generator=rng)
        moments = (spread / rows * steps).long().clamp(max=steps - 1)
        blind = torch.rand(rows, generator=rng) < hidden
        return cls(direction, moments, noise, blind).on(like)

    def on(self, like: Tensor) -> "Draws":
        """Returns the table on the device of a tensor, and the noise in its dtype."""
        device = like.device
        return Draws(
            self.direction.to(device),
            self.moments.to(device),
            self.noise.to(like),
            self.blind.to(device),
        )

    def rows(self, images: Tensor) -> Tensor:
        """Returns the row of each standardised image (n, C, H, W), (n,).

        Standardised pixels are about 1, so a projection is many times 1 wide, and what is left of
        it when whole numbers are taken off is as good as uniform.
        """
        along = images.detach().flatten(1).double() @ self.direction
        part = along - along.floor()
        return (part * len(self.moments)).long().clamp(max=len(self.moments) - 1)
