"""A diffusion model: what adds noise to latents, and a network without weights that takes it away.

Ho, Jain & Abbeel, NeurIPS 2020, arXiv:2006.11239. The noise follows a cosine (Nichol & Dhariwal,
ICML 2021, arXiv:2102.09672), and the network predicts the velocity v = a_t epsilon - s_t z_0
(Salimans & Ho, ICLR 2022, arXiv:2202.00512), from which the clean latent follows at every moment,
z_0 = a_t z_t - s_t v. Labels are hidden at times, so that one network predicts with and without
them (classifier-free guidance, Ho & Salimans 2021, arXiv:2207.12598).

Networks, schedules and the loop of sampling are MONAI's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from medidd.denoisers.shapes import Shape
from medidd.network import Architecture, Weights

MOMENTS = 1000
"""T, moments of the noising."""

GROUPS = 8
"""Groups of the U-Net's normalisation, and channels of an attention's head."""


@dataclass(frozen=True)
class Diffusion:
    """A diffusion model of latents in K classes.

    Attributes:
        classes: K; label K stands for a hidden one.
        channels: c of a latent.
        shape: size of the network.
        bounded: whether latents lie between -1 and 1; predictions are then kept there.
    """

    classes: int
    channels: int
    shape: Shape
    bounded: bool = True

    def init(self, rng: torch.Generator, like: Tensor | None = None) -> Weights:
        """Draws fresh weights; see ``medidd.network.Network``."""
        return self._network.init(rng, like)

    def clean(
        self, theta: Weights, latents: Tensor, noise: Tensor, moments: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Adds noise and predicts the latents.

        Args:
            theta: weights.
            latents: z_0, (n, c, h, w).
            noise: epsilon, (n, c, h, w).
            moments: t, (n,).
            labels: classes, (n,); K for a hidden one.

        Returns:
            The predicted latents (n, c, h, w), and the mean squared error of the velocity of each,
            (n,).
        """
        v = self._inferer(latents, self._model(theta), noise, moments, condition=labels)
        wanted = self._schedule.get_velocity(latents, noise, moments)
        error = (v - wanted).square().flatten(1).mean(1)
        noisy = self._schedule.add_noise(latents, noise, moments)
        kept = self._schedule.alphas_cumprod[moments][:, None, None, None]
        predicted = kept.sqrt() * noisy - (1 - kept).sqrt() * v
        return predicted, error

    def sample(
        self, theta: Weights, noise: Tensor, labels: Tensor, *, guidance: float, steps: int
    ) -> Tensor:
        """Returns latents drawn from noise, (n, c, h, w): the same noise gives the same latents.

        DDIM with eta 0 (Song, Meng & Ermon, ICLR 2021, arXiv:2010.02502).

        Args:
            theta: weights.
            noise: standard normal, (n, c, h, w).
            labels: classes, (n,).
            guidance: w, of what the label adds to a prediction; 1 adds just what the network says.
            steps: network calls; a divisor of ``MOMENTS``, or noise is left.
        """
        schedule = self._monai.DDIMScheduler(**self._how, clip_sample=self.bounded)
        schedule.set_timesteps(steps, noise.device)
        # The inferer joins these to a tensor of the processor's.
        schedule.timesteps = schedule.timesteps.cpu()
        found: Tensor = self._inferer.sample(
            noise,
            self._model(theta),
            schedule,
            conditioning=labels,
            verbose=False,
            cfg=guidance,
            cfg_fill_value=self.classes,
        )
        return found

    def _model(self, theta: Weights) -> Callable[..., Tensor]:
        """Returns the network with weights, as the inferer calls it."""
        network = self._network

        def model(x: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
            found: Tensor = network.call(theta, x, timesteps.expand(len(x)), class_labels=context)
            return found

        return model

    @property
    def _how(self) -> dict[str, Any]:
        return {
            "num_train_timesteps": MOMENTS,
            "schedule": "cosine",
            "prediction_type": "v_prediction",
        }

    @cached_property
    def _monai(self) -> Any:
        from monai.networks import schedulers  # heavy, and only needed here

        return schedulers

    @cached_property
    def _schedule(self) -> Any:
        return self._monai.DDPMScheduler(**self._how)

    @cached_property
    def _inferer(self) -> Any:
        from monai.inferers import DiffusionInferer

        return DiffusionInferer(self._schedule)

    @cached_property
    def _network(self) -> Architecture:
        from monai.networks.nets import DiffusionModelUNet

        filters, attended = self.shape.filters, self.shape.attention
        plain = len(filters) - attended

        def make() -> Any:
            return DiffusionModelUNet(
                spatial_dims=2,
                in_channels=self.channels,
                out_channels=self.channels,
                num_res_blocks=self.shape.blocks,
                channels=filters,
                attention_levels=[level >= plain for level in range(len(filters))],
                norm_num_groups=GROUPS,
                num_head_channels=GROUPS,
                num_class_embeds=self.classes + 1,
            )

        return Architecture(make)
