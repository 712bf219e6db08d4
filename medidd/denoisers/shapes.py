"""How large a denoiser is, by the size of its images and the machine it is trained on."""

from dataclasses import asdict, dataclass
from typing import Any

SIZES = (32, 64, 128, 224)
"""Sizes of images in pixels that there are shapes for."""


@dataclass(frozen=True)
class Shape:
    """The size of a denoiser's networks.

    Attributes:
        filters: of the U-Net at each resolution, the finest first; multiples of 8, and more than 8,
            because a normalisation of single channels forgets the moment and the label.
        blocks: residual blocks at each resolution.
        attention: how many of the coarsest resolutions have attention.
        block: height and width in pixels of a block that is one place; 1 for single pixels.
        encoder: filters of the autoencoder at each resolution; () for none. Each resolution but
            the last halves height and width.
        latent: channels of the autoencoder's latents.
    """

    filters: tuple[int, ...]
    blocks: int = 1
    attention: int = 1
    block: int = 1
    encoder: tuple[int, ...] = ()
    latent: int = 3

    @property
    def least(self) -> int:
        """What the size of an image must be a multiple of: it is halved between resolutions."""
        halved = len(self.filters) - 1 + max(len(self.encoder) - 1, 0)
        return self.block << halved

    def to_json(self) -> dict[str, Any]:
        """Returns a plain dict."""
        return {n: list(v) if isinstance(v, tuple) else v for n, v in asdict(self).items()}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "Shape":
        """Returns the shape that ``to_json`` wrote."""
        held: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in plain.items()}
        return cls(**held)


SHAPES: dict[str, dict[int, Shape]] = {
    "cpu": {
        32: Shape((32, 48, 64), block=2),
        64: Shape((32, 48, 64), block=4),
        128: Shape((32, 64, 96), encoder=(16, 32, 64)),
        224: Shape((32, 64, 96), encoder=(16, 32, 64)),
    },
    "gpu": {
        32: Shape((128, 256, 256), blocks=2, attention=2),
        64: Shape((128, 256, 256), blocks=2, attention=2, block=2),
        128: Shape((128, 256, 384), blocks=2, attention=2, encoder=(64, 128, 256)),
        224: Shape((128, 256, 384), blocks=2, attention=2, encoder=(64, 128, 256)),
    },
}
"""Shapes by preset and by size in pixels."""
