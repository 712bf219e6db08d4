"""How well a model classifies films whose classes are known, in all and by group."""

from dataclasses import asdict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medidd.evaluate import score
from pipelines.evaluation.utility import roc
from pipelines.models.calibration import calibration
from pipelines.run.seeds import derived
from pipelines.run.store import Json
from privacy.release import Films

LEAST_PATIENTS = 10
"""Fewest patients of each class in a group about which figures are given."""

_SEED = derived(0, "test") % 2**32


def tested(probabilities: Tensor, films: Films, classes: tuple[str, ...]) -> Json:
    """Returns all figures, each with a 95 % interval over patients.

    Args:
        probabilities: (n, K).
        films: the films, with labels and patients.
        classes: names of the K classes.
    """
    patients = np.array(films.patients, np.str_)
    return {
        "films": len(films),
        "patients": len(films.ids),
        "by class": {
            name: int((films.labels == number).sum()) for number, name in enumerate(classes)
        },
        "positive": classes[1] if len(classes) == 2 else None,
        "metrics": _metrics(probabilities, films.labels, patients),
        "calibration": _calibration(probabilities, films.labels, patients),
        "roc": roc(probabilities, films.labels),
        "groups": [
            _group(trait, word, probabilities, films, patients)
            for trait, words in films.traits.items()
            for word in sorted(set(words))
            if len(set(words)) > 1
        ],
    }


def _metrics(probabilities: Tensor, labels: Tensor, patients: NDArray[np.str_]) -> Json:
    found = score([probabilities], labels, patients, seed=_SEED)
    return {name: asdict(interval) for name, interval in found.items()}


def _calibration(probabilities: Tensor, labels: Tensor, patients: NDArray[np.str_]) -> Json:
    if probabilities.shape[1] == 2:
        said, happened = probabilities[:, 1], labels == 1
    else:
        said, called = probabilities.max(1)
        happened = called == labels
    found = calibration(said.double().numpy(), happened.numpy(), patients, seed=_SEED)
    return asdict(found)


def _group(
    trait: str, word: str, probabilities: Tensor, films: Films, patients: NDArray[np.str_]
) -> Json:
    """Returns the figures of one group, or how many patients it has if they are too few."""
    rows = np.array([one == word for one in films.traits[trait]])
    labels, of = films.labels[torch.from_numpy(rows)], patients[rows]
    counts = [len(set(of[(labels == number).numpy()])) for number in range(probabilities.shape[1])]
    about = {"trait": trait, "group": word, "films": len(labels), "patients": len(set(of))}
    if min(counts) < LEAST_PATIENTS:
        return about | {"metrics": None}
    return about | {"metrics": _metrics(probabilities[torch.from_numpy(rows)], labels, of)}
