"""A denoiser of films: a diffusion model, what it works on, and what it is asked about images."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from medidd.denoisers.diffusion import MOMENTS, Diffusion
from medidd.denoisers.draws import Draws
from medidd.denoisers.latents import OF_LATENTS, Latents, noise_of
from medidd.descent import leaves
from medidd.network import Weights

Penalty = Callable[[Tensor, Tensor], Tensor]
"""Takes predicted latents (n, c, h, w) and their classes (n,), and returns what is added to the
loss of each, (n,). It must look at each image alone."""


@dataclass(frozen=True)
class Denoiser:
    """A diffusion model of images.

    Attributes:
        diffusion: the model of latents.
        latents: from images to latents and back.
        pixels: C * H * W of an image.
    """

    diffusion: Diffusion
    latents: Latents
    pixels: int

    def table(
        self, rows: int, rng: torch.Generator, *, like: Weights, hidden: float = 0.0
    ) -> Draws:
        """Returns a table of draws; see ``Draws.drawn``."""
        of = next(iter(like.values()))  # all weights are alike in this
        return Draws.drawn(
            rows, self.latents.shape, MOMENTS, rng, pixels=self.pixels, hidden=hidden, like=of
        )

    def seen(
        self, theta: Weights, table: Draws, x: Tensor, y: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Adds noise to images and predicts them.

        Args:
            theta: weights.
            table: draws for the images.
            x: standardised images, (n, C, H, W).
            y: their one-hot labels, (n, K).

        Returns:
            The latents z_0 and the predicted ones, (n, c, h, w), and the error of each, (n,).
        """
        rows, latents = table.rows(x), self.latents.encode(theta, x)
        labels = torch.where(table.blind[rows], self.diffusion.classes, y.argmax(1))
        predicted, error = self.diffusion.clean(
            learned(theta), latents, table.noise[rows], table.moments[rows], labels
        )
        return latents, predicted, error

    def gradient(
        self,
        theta: Weights,
        table: Draws,
        x: Tensor,
        y: Tensor,
        penalty: Penalty | None = None,
    ) -> tuple[Tensor, Weights]:
        """Returns the mean loss of images, (), and its gradient by the weights that are learned.

        Args:
            theta: weights.
            table: draws for the images.
            x: standardised images, (n, C, H, W).
            y: their one-hot labels, (n, K).
            penalty: what is added to the loss.
        """
        held = leaves(learned(theta))
        with torch.enable_grad():
            _, predicted, loss = self.seen(theta | held, table, x, y)
            if penalty is not None:
                loss = loss + penalty(predicted, y.argmax(1))
            mean = loss.mean()
            found = torch.autograd.grad(mean, list(held.values()))
        return mean.detach(), dict(zip(held, found, strict=True))

    def sample(
        self, theta: Weights, noise: Tensor, labels: Tensor, *, guidance: float, steps: int
    ) -> Tensor:
        """Returns images drawn from noise, standardised, (n, C, H, W).

        Args:
            theta: weights.
            noise: standard normal pixels, (n, C, H, W); the same ones give the same images.
            labels: classes, (n,).
            guidance: see ``Diffusion.sample``.
            steps: see there.
        """
        start = noise_of(noise, self.latents.shape)
        drawn = self.diffusion.sample(learned(theta), start, labels, guidance=guidance, steps=steps)
        return self.latents.decode(theta, drawn)


def learned(theta: Weights) -> Weights:
    """Returns the weights of the diffusion model; those that make latents stay as they are."""
    return {name: w for name, w in theta.items() if not name.startswith(OF_LATENTS)}
