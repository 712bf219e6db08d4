"""How well networks do on films that they never saw, with intervals.

The unit of the intervals is the patient, because two films of one patient are not two observations.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean over networks with a 95 % bootstrap interval over patients and networks."""

    mean: float
    low: float
    high: float


METRICS = ("auc", "balanced_accuracy", "sensitivity", "specificity", "hm")
"""Area under the ROC curve, mean of sensitivity and specificity, both alone, and their harmonic
mean. With two classes the second is the positive one. With more, each class is judged against the
rest and the values are averaged."""


def score(
    probabilities: Sequence[Tensor],
    labels: Tensor,
    patients: NDArray[np.str_],
    *,
    seed: int,
    replicates: int = 1000,
) -> dict[str, Interval]:
    """Judges the predictions of several networks on the same test films; see ``replicated``."""
    means, sampled = replicated(probabilities, labels, patients, seed=seed, replicates=replicates)
    low, high = np.nanquantile(sampled, [0.025, 0.975], axis=0)
    return {
        name: Interval(float(means[i]), float(low[i]), float(high[i]))
        for i, name in enumerate(METRICS)
    }


def replicated(
    probabilities: Sequence[Tensor],
    labels: Tensor,
    patients: NDArray[np.str_],
    *,
    seed: int,
    replicates: int = 1000,
) -> tuple[Floats, Floats]:
    """Judges predictions as ``score`` does, and returns all bootstrap replicates.

    Args:
        probabilities: one (n, K) per network.
        labels: hard labels of the films, (n,).
        patients: the patient of each film, (n,).
        seed: of the bootstrap. With one seed, the draws of as many networks on the same films are
            the same, so replicates can be subtracted.
        replicates: B; each draws patients and networks with replacement.

    Returns:
        ``METRICS``, means over the networks (metrics,), and their replicates (B, metrics).
    """
    predicted = np.stack([p.cpu().double().numpy() for p in probabilities])
    truth = labels.cpu().numpy()
    rng = np.random.default_rng(seed)
    owner = np.unique(patients, return_inverse=True)[1]
    many = owner.max() + 1
    drawn = rng.multinomial(many, np.full(many, 1 / many), size=replicates)[:, owner]
    weights = np.concatenate([np.ones((1, len(truth))), drawn]).astype(np.float64)
    table = np.stack([_metrics(p, truth, weights) for p in predicted])  # (nets, metrics, 1 + B)
    nets = rng.integers(len(table), size=(len(table), replicates))
    sampled = table[nets, :, np.arange(1, replicates + 1)].mean(0)  # (B, metrics)
    means: Floats = table[:, :, 0].mean(0)
    return means, sampled


def _metrics(predicted: Floats, truth: NDArray[np.int64], weights: Floats) -> Floats:
    """Returns (metrics, B) for predictions (n, K) under weights of the films (B, n)."""
    hard = predicted.argmax(1)
    classes = predicted.shape[1]
    positives = [1] if classes == 2 else range(classes)
    rows = []
    for label in positives:
        is_positive, called = truth == label, hard == label
        auc = weighted_auc(predicted[:, label], is_positive, weights)
        # A replicate may hold no film of a class; its value is NaN, which quantiles leave out.
        with np.errstate(invalid="ignore"):
            sensitivity = weights @ (is_positive & called) / (weights @ is_positive)
            specificity = weights @ (~is_positive & ~called) / (weights @ ~is_positive)
            total = np.maximum(sensitivity + specificity, np.finfo(float).tiny)
            hm = 2 * sensitivity * specificity / total
        rows.append([auc, (sensitivity + specificity) / 2, sensitivity, specificity, hm])
    averaged: Floats = np.asarray(rows).mean(0)
    return averaged


def weighted_auc(scores: Floats, positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """Returns the area under the ROC curve for each row of weights.

    This is the probability that a positive film scores above a negative one, if films are drawn by
    weight. Ties count half.

    Args:
        scores: (n,).
        positive: (n,).
        weights: (B, n); a bootstrap replicate is a row of counts.
    """
    order = np.argsort(scores, kind="stable")
    ties = np.unique(scores[order], return_index=True)[1]
    up = np.add.reduceat((weights * positive)[:, order], ties, axis=1)
    down = np.add.reduceat((weights * ~positive)[:, order], ties, axis=1)
    below = np.cumsum(down, axis=1) - down / 2
    with np.errstate(invalid="ignore"):
        area: Floats = (up * below).sum(1) / (up.sum(1) * down.sum(1))
    return area
