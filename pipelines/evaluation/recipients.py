"""The networks a recipient may train on a release, for the membership attack."""

from collections.abc import Callable

import torch
from torch import Tensor

from medidd.data import NORMALIZATION
from medidd.evaluate import RECIPIENT, log_probabilities, train
from medidd.network import Network
from pipelines.learning.recipe import Recipe
from pipelines.run.seeds import derived
from privacy.evidence import Fit
from privacy.release import Release

RECIPIENTS = ("convnet", "convnet", "convnet", "mlp", "mlp")
"""Three of the field's usual network, two of a network that is as different as possible."""


def recipients(recipe: Recipe, *, seed: int, device: torch.device) -> list[Fit]:
    """Returns the trainings; each starts from the same weights for every release."""
    return [
        fit(recipe.networks[name], derived(seed, "recipient", number), device)
        for number, name in enumerate(RECIPIENTS)
    ]


def fit(network: Network, seed: int, device: torch.device) -> Fit:
    """Returns a training as a recipient would do it; it always starts from the same weights."""

    def trained(release: Release) -> Callable[[Tensor], Tensor]:
        rng = torch.Generator().manual_seed(seed)
        images = NORMALIZATION.standardize(release.images).to(device)
        theta = train(network, images, release.labels.to(device), RECIPIENT, rng)

        def predict(display: Tensor) -> Tensor:
            seen = NORMALIZATION.standardize(display).to(device)
            return log_probabilities(network, theta, seen).cpu()

        return predict

    return trained
