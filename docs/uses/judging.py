"""AUCs on held-out patients, with the same bootstrap draws for all that is compared."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from docs.uses.cohorts import seen
from medidd.evaluate import log_probabilities
from medidd.network import Network, Weights
from medidd.scores.films import weighted_auc
from privacy.release import Films

REPLICATES = 1000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class HeldOut:
    """Held-out films of one cohort, and bootstrap weights of their patients.

    Attributes:
        images: as networks see them, (n, 1, H, W).
        truth: (n,).
        weights: (1 + replicates, n); the first row counts each film once, and the others draw
            patients with replacement, as ``medidd.evaluate.score`` does. The same draws serve every
            network, so differences between networks are paired.
    """

    images: Tensor
    truth: NDArray[np.bool_]
    weights: Floats

    @classmethod
    def of(cls, films: Films, seed: int) -> "HeldOut":
        """Draws the weights."""
        owner, many = films.patient.numpy(), len(films.ids)
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(many, np.full(many, 1 / many), size=REPLICATES)[:, owner]
        weights = np.concatenate([np.ones((1, len(owner))), drawn])
        return cls(seen(films)[0], films.labels.numpy() == 1, weights)

    @torch.no_grad()
    def auc(self, f: Network, theta: Weights) -> Floats:
        """Returns the AUC for each row of weights, (1 + replicates,)."""
        predicted = log_probabilities(f, theta, self.images)[:, 1].double().numpy()
        return weighted_auc(predicted, self.truth, self.weights)


def interval(values: Floats) -> list[float] | None:
    """Returns the mean with a 95 % bootstrap interval over patients and seeds, or None.

    Args:
        values: (seeds, 1 + replicates); the mean is None if a seed has none (NaN).
    """
    if np.isnan(values[:, 0]).any():
        return None
    drawn = np.random.default_rng(0).integers(len(values), size=(len(values), REPLICATES))
    sampled = values[drawn, np.arange(1, REPLICATES + 1)].mean(0)
    low, high = np.nanquantile(sampled, [0.025, 0.975])
    return [round(float(value), 4) for value in (values[:, 0].mean(), low, high)]
