"""What a denoiser works on: blocks of pixels, or what an autoencoder makes of an image.

Up to 64 px each block of pixels becomes the channels of one place. Nothing is lost, and a network
that sees a quarter of the places is four times as fast. Larger images go through an autoencoder
that was trained on the films, as in latent diffusion (Rombach, Blattmann, Lorenz, Esser & Ommer,
CVPR 2022, arXiv:2112.10752).
"""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from medidd.network import Weights

OF_LATENTS = "latents."
"""What the names of the weights begin with that make latents."""

RANGE = 2.0
"""Standardised value of white; divided by it, images lie between -1 and 1 (NORMALIZATION)."""


class Latents(Protocol):
    """From images to latents and back."""

    @property
    def bounded(self) -> bool:
        """Whether every latent of an image lies between -1 and 1."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(c, h, w) of a latent."""

    def encode(self, theta: Weights, images: Tensor) -> Tensor:
        """Returns the latents of standardised images (n, C, H, W), (n, c, h, w).

        Args:
            theta: weights of the whole denoiser, among them those that this takes, if any.
            images: standardised.
        """

    def decode(self, theta: Weights, latents: Tensor) -> Tensor:
        """Returns the standardised images of latents (n, c, h, w), (n, C, H, W)."""


@dataclass(frozen=True)
class Blocks:
    """Each block of pixels is one place.

    Attributes:
        channels: C of an image.
        size: its height and width in pixels.
        block: height and width of a block.
    """

    channels: int
    size: int
    block: int

    @property
    def bounded(self) -> bool:
        """True, as pixels are."""
        return True

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C block^2, H / block, W / block)."""
        side = self.size // self.block
        return self.channels * self.block**2, side, side

    def encode(self, theta: Weights, images: Tensor) -> Tensor:  # noqa: ARG002 - it has none
        """Returns images as blocks."""
        return pixel_unshuffle(images / RANGE, self.block)

    def decode(self, theta: Weights, latents: Tensor) -> Tensor:  # noqa: ARG002
        """Returns blocks as images."""
        return pixel_shuffle(latents, self.block) * RANGE


def noise_of(images: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Returns standard normal latents (n, c, h, w) made of independent standard normal pixels.

    Pixels are only moved, so that the noise stays what it is.

    Args:
        images: noise, (n, C, H, W).
        shape: (c, h, w); h must divide H.

    Raises:
        ValueError: there are too few pixels.
    """
    channels, height, width = shape
    block = images.shape[2] // height
    whole = images.shape[2:] == (block * height, block * width)
    if not whole or images.shape[1] * block**2 < channels:
        raise ValueError(f"noise of shape {tuple(images.shape[1:])} is not enough for {shape}")
    return pixel_unshuffle(images, block)[:, :channels].contiguous()
