"""Films that are cut: a model classifies their patches, and these vote about films and patients.

The sender's threshold is not in a bundle, because it is chosen on the sender's patients. So a film
is positive if more than half of its votes are, or as many as the recipient says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from medidd.dicom.folder.cohort import Cohort
from medidd.dicom.patches import Patches
from medidd.scores.patient_vote import Ballot, called
from pipelines.models.films import Levels
from pipelines.models.model import Model
from pipelines.models.model_card import cutting
from pipelines.models.testing import Judged
from pipelines.run.errors import Exit, Stop
from pipelines.run.store import Json

HALF = 0.5
"""Share of votes above which a film is positive, if nobody says another."""

NOT_COMPARED = (
    "patches have no common layout, so medidd cannot tell whether these films look like those of "
    "the sender; compare how both were read, and test on films whose classes are known"
)

_ROWS = 1024  # patches classified at once

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Voting:
    """How the films of a model of patches are called.

    Attributes:
        model: the model.
        patches: how films are cut.
        device: where networks compute.
        threshold: share of votes above which a film of two classes is positive.
    """

    model: Model
    patches: Patches
    device: torch.device
    threshold: float

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that films have; their patches have a vote."""
        return self.model.film_classes

    @property
    def counted(self) -> list[int]:
        """Numbers of these classes among those of the model."""
        return [self.model.classes.index(name) for name in self.classes]

    def probabilities(self, levels: Levels) -> Floats:
        """Returns the class probabilities (n, K) of patches (n, size, size)."""
        parts = [
            self.model.probabilities(_display(levels[first : first + _ROWS]), self.device)
            for first in range(0, len(levels), _ROWS)
        ]
        return torch.cat(parts).double().numpy()

    def ballot(self, whose: Sequence[str], whole: npt.NDArray[np.int64]) -> Ballot:
        """Returns who has a vote, for the film or patient of each patch, and its class."""
        return Ballot(whose, whole, self.counted)

    def moved(self, shares: Floats) -> Floats:
        """Returns shares of votes whose greatest is the call; see ``patient_vote.called``."""
        return called(shares, self.threshold) if len(self.classes) == 2 else shares

    def json(self) -> Json:
        """Returns the same for programs."""
        about = {name: getattr(self.patches, name) for name in ("size", "stride", "frame")}
        two = len(self.classes) == 2
        return {"patches": about, "threshold": self.threshold if two else None}

    def rule(self, unit: str) -> str:
        """Returns how a film or patient is called."""
        most = (
            f"{self.classes[1]} if more than {self.threshold:g} of them are"
            if len(self.classes) == 2
            else "what most of them are"
        )
        others = [name for name in self.model.classes if name not in self.classes]
        silent = f"; patches called {' or '.join(others)} have no vote" if others else ""
        return f"each patch votes for its most probable class, and a {unit} is {most}{silent}"


def voting(model: Model, device: torch.device, threshold: float | None) -> Voting | None:
    """Returns how films of a model of patches are called; None for a model of whole films.

    Raises:
        Stop: a threshold is given and none applies, or films have a single class.
    """
    patches, many = model.reading.patches, len(model.film_classes)
    if patches is not None and many < 2:
        raise Stop(
            f"the films of the model are all {' and '.join(model.film_classes)}, so patches cannot "
            "tell films apart; classify patches by model.onnx",
            Exit.USAGE,
        )
    if threshold is not None and many != 2:
        raise Stop(
            "--threshold: is for models of patches whose films have two classes; leave it out",
            Exit.USAGE,
        )
    return None if patches is None else Voting(model, patches, device, threshold or HALF)


def notes(voting: Voting, unit: str) -> list[str]:
    """Returns what a person must know about films or patients that are called by votes."""
    return [
        f"note: {text}"
        for text in (cutting(voting.patches, voting.model.size), voting.rule(unit), NOT_COMPARED)
    ]


def judged(voting: Voting, cohort: Cohort) -> tuple[Judged, Floats]:
    """Returns the patients of a cohort whose films were cut, and the probabilities of patches.

    Args:
        voting: how films are called.
        cohort: the patches, with labels numbered as the classes of films.
    """
    whose = [str(patient) for patient in cohort.patients]
    whole = np.array(voting.counted)[cohort.of_films]
    ballot, each = voting.ballot(whose, whole), voting.probabilities(cohort.images)
    shares = voting.moved(ballot.shares(each))
    names = ballot.names
    place = {name: number for number, name in enumerate(names.tolist())}
    traits = {
        name: _alike([place[one] for one in whose], words, len(names))
        for name, words in cohort.traits.items()
    }
    truth = torch.from_numpy(ballot.truth)
    of_patients = Judged(torch.from_numpy(shares), truth, names, traits, voting.classes)
    return of_patients, each


def looks(voting: Voting, levels: Levels, probabilities: Floats) -> Iterator[tuple[str, Tensor]]:
    """Yields the name of each class and the mean of the patches (1, size, size) called so."""
    said = probabilities.argmax(1)
    for number, name in enumerate(voting.model.classes):
        rows = np.flatnonzero(said == number)
        if len(rows):
            mean = levels[rows].mean(0, dtype=np.float64) / 65535
            yield name, torch.from_numpy(mean).float()[None]


def _display(levels: Levels) -> Tensor:
    return torch.from_numpy(levels.astype("float32"))[:, None] / 65535


def _alike(owner: Sequence[int], words: Sequence[str], many: int) -> list[str]:
    """Returns each patient's word; '' if the films of a patient say different ones."""
    said: list[set[str]] = [set() for _ in range(many)]
    for one, word in zip(owner, words, strict=True):
        said[one].add(word)
    return [next(iter(one)) if len(one) == 1 else "" for one in said]
