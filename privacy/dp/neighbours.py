"""Small cohorts that differ by one patient, chosen to show each known way to get privacy wrong.

A film is a picture of two pixels, and a method asks for the mean picture of each class. The
pictures are far brighter than the public bound says, so that only the clip stands between a patient
and the answer.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

BRIGHT = 1e3
"""Norm of the films, where the question's bound is 1."""


@dataclass(frozen=True)
class Cohort:
    """Films with their patients.

    Attributes:
        images: (n, 1, 1, 2).
        labels: (n,).
        patients: whose film each is, (n,).
        classes: K.
    """

    images: Tensor
    labels: Tensor
    patients: tuple[str, ...]
    classes: int


@dataclass(frozen=True)
class PixelQuestion:
    """The mean picture of a class."""

    classes: tuple[int, ...]
    bound: float | None = 1.0
    weight: float = 1.0

    @property
    def f(self) -> Callable[[Tensor, Tensor], Tensor]:
        """The mean picture, (2,)."""
        return lambda images, _: images.flatten(1).mean(0)


@dataclass(frozen=True)
class Pair:
    """Two cohorts, with and without one patient.

    Attributes:
        name: what the patient is like.
        with_patient: the cohort that has him.
        without: the cohort that does not.
        asks: how often the attacker asks the same question; an honest source repeats its answer.
        restarts: whether the run is killed and resumed before each question.
    """

    name: str
    with_patient: Cohort
    without: Cohort
    asks: int = 1
    restarts: bool = False

    @property
    def questions(self) -> list[PixelQuestion]:
        """One for each class."""
        return [PixelQuestion((label,)) for label in range(self.without.classes)]


def _pair(
    name: str,
    films: list[tuple[int, float, float]],
    others: int = 2,
    classes: int = 2,
    asks: int = 1,
    restarts: bool = False,
) -> Pair:
    """Makes a pair from the patient's films (class, angle in turns, norm).

    Every other patient has one film of class 0, of angle 0 and norm ``BRIGHT``.
    """
    rows = [(f"other {i}", 0, 0.0, BRIGHT) for i in range(others)]
    return Pair(
        name,
        _cohort([*rows, *(("patient", *film) for film in films)], classes),
        _cohort(rows, classes),
        asks,
        restarts,
    )


def _cohort(rows: list[tuple[str, int, float, float]], classes: int) -> Cohort:
    turns = torch.tensor([row[2] for row in rows]) * (2 * torch.pi)
    norms = torch.tensor([row[3] for row in rows])
    pixels = torch.stack([turns.cos(), turns.sin()], 1) * norms[:, None]
    labels = torch.tensor([row[1] for row in rows], dtype=torch.int64)
    return Cohort(pixels[:, None, None, :], labels, tuple(row[0] for row in rows), classes)


PAIRS = (
    _pair("a patient with one film", [(0, 0.25, BRIGHT)]),
    _pair("a patient with two films", [(0, 0.25, BRIGHT), (0, 0.25, BRIGHT)]),
    _pair("a patient with twenty films", [(0, 0.25, BRIGHT)] * 20),
    _pair("a patient with films of two classes", [(0, 0.25, BRIGHT), (1, 0.25, BRIGHT)]),
    _pair("a patient with films of four classes", [(c, 0.25, BRIGHT) for c in range(4)], classes=4),
    _pair("a film of extreme values", [(1, 0.25, BRIGHT**3)]),
    _pair("the only patient of a class, and of all", [(1, 0.25, BRIGHT)], others=0),
    _pair("a patient who adds nothing but a count", [(0, 0.0, 0.0)], others=1),
    _pair("a patient who is against all others", [(0, 0.5, BRIGHT)], others=6),
    _pair("a question asked twenty times", [(0, 0.25, BRIGHT)], asks=20),
    _pair("a run resumed twenty times", [(0, 0.25, BRIGHT)], asks=20, restarts=True),
)
"""What they show: the clip and the noise; a clip film by film; a clip class by class; no clip; a
class that comes and goes with a patient; a divisor that is counted and not declared, twice, since
the noise is divided by it, and since one more patient moves the mean by his distance from the
others, up to twice the clip; and noise that is drawn again."""
