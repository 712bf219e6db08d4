"""The two scores of DD-Ranking, by which a synthetic set is compared with films drawn at random.

Li et al., DD-Ranking: Rethinking the Evaluation of Dataset Distillation, 2025, arXiv:2505.13300;
github.com/NUS-HPC-AI-Lab/DD-Ranking. Soft labels of a teacher and augmentation raise the accuracy
of whatever images a network is trained on. So a set is worth what it adds to films drawn at random
that are trained on in the same way, and what it lacks to all films.

Both scores are between 0 and 1, and both are .269 where a set is neither better nor worse.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def label_robust(
    real_hard: Floats, syn_hard: Floats, syn_any: Floats, random_any: Floats, w: float = 0.5
) -> Floats:
    """Returns the label-robust score (LRS) of accuracies in [0, 1], all of one shape.

    Args:
        real_hard: of networks trained on all films with hard labels.
        syn_hard: on the synthetic set with hard labels. ``real_hard - syn_hard`` is HLR, hard label
            recovery; the smaller, the better.
        syn_any: on the synthetic set with the labels that the score is about.
        random_any: on as many random films with such labels. ``syn_any - random_any`` is IOR, the
            improvement over random.
        w: weight of IOR; HLR has the rest.
    """
    return _normalised(w * (syn_any - random_any) - (1 - w) * (real_hard - syn_hard))


def augmentation_robust(
    syn: Floats, random: Floats, syn_plain: Floats, random_plain: Floats, gamma: float = 0.5
) -> Floats:
    """Returns the augmentation-robust score (ARS) of accuracies in [0, 1], all of one shape.

    Args:
        syn: of networks trained on the synthetic set, with augmentation.
        random: on as many random films with such labels, with augmentation.
        syn_plain: as ``syn``, without augmentation.
        random_plain: as ``random``, without augmentation.
        gamma: weight of the difference with augmentation; that without has the rest.
    """
    return _normalised(gamma * (syn - random) + (1 - gamma) * (syn_plain - random_plain))


def _normalised(weighted: Floats) -> Floats:
    """Maps [-1, 1] to [0, 1]: (e^x - 1/e) / (e - 1/e)."""
    found: Floats = (np.exp(weighted) - np.exp(-1)) / (np.e - np.exp(-1))
    return found
