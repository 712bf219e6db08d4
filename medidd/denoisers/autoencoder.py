"""An autoencoder of films: latents of a quarter of the height and width, and less.

Kingma & Welling, ICLR 2014, arXiv:1312.6114, as in latent diffusion (Rombach et al., CVPR 2022,
arXiv:2112.10752), with the mean absolute error of pixels alone: neither the perceptual nor the
adversarial loss, for the former needs a network from elsewhere. The network is MONAI's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from medidd.data import Question, Source
from medidd.denoisers.draws import Draws
from medidd.denoisers.latents import OF_LATENTS, RANGE
from medidd.denoisers.shapes import Shape
from medidd.descent import leaves
from medidd.network import Architecture, Weights

SCALE = "scale"
"""Name of what latents are multiplied by, so that they vary by 1."""

KL = 1e-6
"""Weight of the divergence of latents from a standard normal."""


class _Coder(nn.Module):
    """MONAI's autoencoder with all it does in one call, as ``functional_call`` needs it."""

    def __init__(self, kl: Any) -> None:
        super().__init__()
        self.kl = kl

    def forward(self, images: Tensor, noise: Tensor | None = None) -> tuple[Tensor, ...]:
        """Returns latents of images; with noise also the images that come back, and sigma."""
        mean, sigma = self.kl.encode(images)
        if noise is None:
            return (mean,)
        return mean, self.kl.decode(mean + sigma * noise), sigma


class _Decoder(nn.Module):
    """The same network, the other way."""

    def __init__(self, kl: Any) -> None:
        super().__init__()
        self.kl = kl

    def forward(self, latents: Tensor) -> Any:
        """Returns images of latents."""
        return self.kl.decode(latents)


@dataclass(frozen=True)
class Autoencoder:
    """An autoencoder without weights.

    Attributes:
        channels: C of an image.
        size: its height and width in pixels.
        shape: size of the network.
    """

    channels: int
    size: int
    shape: Shape

    @property
    def latent(self) -> tuple[int, int, int]:
        """(c, h, w) of a latent."""
        side = self.size // 2 ** (len(self.shape.encoder) - 1)
        return self.shape.latent, side, side

    def init(self, rng: torch.Generator, like: Tensor | None = None) -> Weights:
        """Draws fresh weights."""
        return self._coder.init(rng, like)

    def encode(self, theta: Weights, images: Tensor) -> Tensor:
        """Returns latents of standardised images (n, C, H, W), (n, c, h, w)."""
        found: Tensor = self._coder.call(theta, images / RANGE)[0]
        return found

    def decode(self, theta: Weights, latents: Tensor) -> Tensor:
        """Returns standardised images of latents."""
        found: Tensor = self._decoder.call(theta, latents)
        return found * RANGE

    def losses(
        self, theta: Weights, real: Source, rng: torch.Generator, *, batch: int
    ) -> Iterator[tuple[Tensor, Weights]]:
        """Yields the loss and its gradient on one batch after another; ``theta`` may be changed.

        Args:
            theta: weights.
            real: T.
            rng: draws all that is random.
            batch: real images.
        """
        like, everybody = next(iter(theta.values())), tuple(range(real.classes))
        pixels = self.channels * self.size**2
        while True:
            table = Draws.drawn(batch, self.latent, 1, rng, pixels=pixels, like=like)
            seen = partial(self._gradient, theta, table)
            yield real.means([Question(seen, everybody)], size=batch)[0]

    def _gradient(
        self,
        theta: Weights,
        table: Draws,
        x: Tensor,
        y: Tensor,  # noqa: ARG002 - a question is about images with their labels
    ) -> tuple[Tensor, Weights]:
        """Returns the loss on images, and its gradient."""
        held = leaves(theta)
        with torch.enable_grad():
            mean, back, sigma = self._coder.call(held, x / RANGE, table.noise[table.rows(x)])
            kl = 0.5 * (mean.square() + sigma.square() - sigma.square().log() - 1)
            loss = (back - x / RANGE).abs().mean() + KL * kl.flatten(1).sum(1).mean()
            found = torch.autograd.grad(loss, list(held.values()))
        return loss.detach(), dict(zip(held, found, strict=True))

    @cached_property
    def _coder(self) -> Architecture:
        return Architecture(lambda: _Coder(self._made()))

    @cached_property
    def _decoder(self) -> Architecture:
        return Architecture(lambda: _Decoder(self._made()))

    def _made(self) -> Any:
        from monai.networks.nets import AutoencoderKL  # heavy, and only needed here

        filters = self.shape.encoder
        return AutoencoderKL(
            spatial_dims=2,
            in_channels=self.channels,
            out_channels=self.channels,
            num_res_blocks=self.shape.blocks,
            channels=filters,
            attention_levels=[False] * len(filters),
            latent_channels=self.shape.latent,
            norm_num_groups=8,
            with_encoder_nonlocal_attn=False,
            with_decoder_nonlocal_attn=False,
        )


@dataclass(frozen=True)
class Encoded:
    """Latents of an autoencoder; its weights and the scale are among those of the denoiser.

    Attributes:
        autoencoder: the network.
    """

    autoencoder: Autoencoder

    @property
    def bounded(self) -> bool:
        """False."""
        return False

    @property
    def shape(self) -> tuple[int, int, int]:
        """(c, h, w) of a latent."""
        return self.autoencoder.latent

    def encode(self, theta: Weights, images: Tensor) -> Tensor:
        """Returns the latents of images, about as wide as 1."""
        weights, scale = _own(theta)
        with torch.no_grad():
            return self.autoencoder.encode(weights, images) * scale

    def decode(self, theta: Weights, latents: Tensor) -> Tensor:
        """Returns the images of latents."""
        weights, scale = _own(theta)
        with torch.no_grad():
            return self.autoencoder.decode(weights, latents / scale)


def held(weights: Weights, scale: Tensor) -> Weights:
    """Returns the weights of an autoencoder by their names in a denoiser, and their scale, ()."""
    return {f"{OF_LATENTS}{name}": w for name, w in {**weights, SCALE: scale}.items()}


def _own(theta: Weights) -> tuple[Weights, Tensor]:
    """Returns the weights of the autoencoder of a denoiser, and their scale."""
    named = {
        name.removeprefix(OF_LATENTS): weight
        for name, weight in theta.items()
        if name.startswith(OF_LATENTS)
    }
    scale = named.pop(SCALE)
    return named, scale
