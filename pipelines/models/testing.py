"""How well a model classifies films whose classes are known, in all and by group.

If films are cut, it is patients who are classified, by the votes of their patches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medidd.scores.films import score
from pipelines.evaluation.utility import roc
from pipelines.models.calibration import calibration
from pipelines.run.seeds import derived
from pipelines.run.store import Json

LEAST_PATIENTS = 10
"""Fewest patients of each class in a group about which figures are given."""

_SEED = derived(0, "test") % 2**32


@dataclass(frozen=True, eq=False)
class Judged:
    """Films, or patients, and what a model says of them.

    Attributes:
        probabilities: (n, K); of patients, shares of votes whose greatest is the call.
        labels: what is true of them, (n,).
        patients: whose films they are, (n,).
        traits: what else is known, words by name, (n,).
        classes: names of the K classes.
    """

    probabilities: Tensor
    labels: Tensor
    patients: NDArray[np.str_]
    traits: Mapping[str, Sequence[str]]
    classes: tuple[str, ...]


def tested(judged: Judged, *, calibrated: bool) -> Json:
    """Returns all figures, each with a 95 % interval over patients.

    Args:
        judged: the films, or the patients.
        calibrated: whether what the model says are probabilities; shares of votes are none.
    """
    of = judged.probabilities, judged.labels, judged.patients
    return {
        "films": len(judged.labels),
        "patients": len(set(judged.patients.tolist())),
        "by class": {
            name: int((judged.labels == number).sum()) for number, name in enumerate(judged.classes)
        },
        "positive": judged.classes[1] if len(judged.classes) == 2 else None,
        "metrics": _metrics(*of),
        "calibration": _calibration(*of) if calibrated else None,
        "roc": roc(judged.probabilities, judged.labels),
        "groups": [
            _group(trait, word, judged)
            for trait, words in judged.traits.items()
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


def _group(trait: str, word: str, judged: Judged) -> Json:
    """Returns the figures of one group, or how many patients it has if they are too few."""
    rows = np.array([one == word for one in judged.traits[trait]])
    probabilities = judged.probabilities
    labels, of = judged.labels[torch.from_numpy(rows)], judged.patients[rows]
    counts = [len(set(of[(labels == number).numpy()])) for number in range(probabilities.shape[1])]
    about = {"trait": trait, "group": word, "films": len(labels), "patients": len(set(of))}
    if min(counts) < LEAST_PATIENTS:
        return about | {"metrics": None}
    return about | {"metrics": _metrics(probabilities[torch.from_numpy(rows)], labels, of)}
