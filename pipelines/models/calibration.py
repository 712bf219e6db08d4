"""Whether a classifier's probabilities are what they say: of films called 70 %, are 70 % so?

The expected calibration error and the reliability diagram of Guo et al. (ICML 2017,
arXiv:1706.04599) with bins of equally many films (Nixon et al., CVPR Workshops 2019), and the Brier
score. The unit of the intervals is the patient, as in ``medidd.scores.films``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medidd.scores.films import Interval

Floats = NDArray[np.float64]

_BINS = 10
_LEAST = 10
"""Fewest films of a bin."""


@dataclass(frozen=True)
class Bin:
    """Films with similar probabilities.

    Attributes:
        films: how many.
        said: their mean probability.
        happened: share of them for which it was so, with its interval.
    """

    films: int
    said: float
    happened: Interval


@dataclass(frozen=True)
class Calibration:
    """How probabilities fit what was so.

    Attributes:
        error: expected calibration error, 0 to 1.
        brier: mean squared error of the probability, 0 to 1.
        bins: the reliability diagram, from the least probability to the greatest.
    """

    error: Interval
    brier: Interval
    bins: tuple[Bin, ...]


def calibration(
    said: Floats,
    happened: NDArray[np.bool_],
    patients: NDArray[np.str_],
    *,
    seed: int,
    replicates: int = 1000,
) -> Calibration:
    """Compares probabilities with what was so.

    Args:
        said: probability for each film, (n,).
        happened: whether it was so, (n,).
        patients: the patient of each film, (n,).
        seed: of the bootstrap.
        replicates: bootstrap replicates; each draws patients with replacement.
    """
    rng = np.random.default_rng(seed)
    owner = np.unique(patients, return_inverse=True)[1]
    many = owner.max() + 1
    drawn = rng.multinomial(many, np.full(many, 1 / many), size=replicates)[:, owner]
    weights = np.concatenate([np.ones((1, len(said))), drawn]).astype(np.float64)
    count = int(np.clip(len(said) // _LEAST, 1, _BINS))
    order = np.argsort(said, kind="stable")
    parts = [part for part in np.array_split(order, count) if part.size]
    with np.errstate(invalid="ignore"):
        shares = [_means(happened[part].astype(float), weights[:, part]) for part in parts]
        means = [_means(said[part], weights[:, part]) for part in parts]
        total = weights.sum(1)
        error = sum(
            np.nan_to_num(np.abs(share - mean)) * weights[:, part].sum(1) / total
            for share, mean, part in zip(shares, means, parts, strict=True)
        )
    brier = _means((said - happened) ** 2, weights)
    bins = tuple(
        Bin(len(part), float(mean[0]), _interval(share))
        for share, mean, part in zip(shares, means, parts, strict=True)
    )
    return Calibration(_interval(np.asarray(error)), _interval(brier), bins)


def _means(values: Floats, weights: Floats) -> Floats:
    """Returns weighted means of values (n,) for each row of weights (B, n)."""
    means: Floats = (weights @ values) / weights.sum(1)
    return means


def _interval(found: Floats) -> Interval:
    """Returns the first value, and the 95 % interval of the others."""
    low, high = np.nanquantile(found[1:], [0.025, 0.975])
    return Interval(float(found[0]), float(low), float(high))
