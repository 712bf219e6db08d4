"""Whether a method can work under a guarantee with so many patients: said before any film is read.

What a patient adds to an answer has at most the length of the clip. The noise has the length sigma
times the clip times the square root of how many numbers the answer has, and there are T answers. A
difference between classes is about a third of a patient's length, so the noise on a mean over n
patients is smaller than that from n = sigma sqrt(d) / 0.3 on, where sigma grows with sqrt(T).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from medidd.data import NORMALIZATION, Question
from pipelines.learning.recipe import Recipe
from pipelines.run.budget import Budget
from pipelines.run.errors import Exit, Stop
from pipelines.run.seeds import generator
from pipelines.run.store import Json

DIFFERENCE = 0.3
"""Length of the difference between two classes, as a share of a patient's length: measured on
radiographs with embeddings and gradients, a rule of thumb."""

HOPELESS = 10.0
"""A method that needs so many times the patients there are is refused."""


class _Asked(Exception):  # noqa: N818 - it is no error
    """Ends a trial at its first question."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.numbers = numbers


@dataclass(frozen=True)
class _Trial:
    """A source that only counts how many numbers it is asked for, on gray pictures."""

    classes: int
    size: int

    def means(self, questions: Sequence[Question[Any]], *, size: int) -> list[Any]:  # noqa: ARG002
        gray = NORMALIZATION.standardize(torch.full((1, 1, self.size, self.size), 0.5))
        numbers = self.classes  # how many patients each class has
        for question in questions:
            label = torch.eye(self.classes)[list(question.classes[:1])]
            numbers += sum(leaf.numel() for leaf in tree_leaves(question.f(gray, label)))
        raise _Asked(numbers)


@dataclass(frozen=True)
class Plan:
    """What a method asks of its patients.

    Attributes:
        releases: T, how often it asks.
        numbers: d, how many numbers an answer has.
        sigma: noise of each, in units of the clip.
    """

    releases: int
    numbers: int
    sigma: float

    @property
    def least_patients(self) -> int:
        """Patients from which on the noise on a mean is smaller than what tells classes apart."""
        return math.ceil(self.sigma * math.sqrt(self.numbers) / DIFFERENCE)

    def signal_to_noise(self, patients: int) -> float:
        """Returns how much larger that difference is than the noise on a mean over patients."""
        return DIFFERENCE * patients / (self.sigma * math.sqrt(max(self.numbers, 1)))

    def can_work(self, patients: int) -> bool:
        """Tells whether there are patients enough."""
        return patients >= self.least_patients

    def sentence(self, patients: int) -> str:
        """Returns in plain words whether it can work with so many patients to learn from."""
        if self.can_work(patients):
            return "It can work: what tells the classes apart is larger than the noise."
        if self.least_patients <= HOPELESS * patients:
            return (
                f"It will work badly: it needs about {self.least_patients} patients to learn from; "
                "more patients or a larger --epsilon would help."
            )
        return (
            f"It cannot work: it needs about {self.least_patients} patients to learn from; use "
            "moments, or a larger --epsilon."
        )

    def require(self, patients: int) -> None:
        """Checks that there is any hope.

        Raises:
            Stop: there are far too few patients.
        """
        if self.least_patients > HOPELESS * patients:
            raise Stop(
                f"under this guarantee the method needs about {self.least_patients} patients, and "
                f"--patients says {patients}: its images would be noise. Use --method moments, a "
                "larger --epsilon, or --epsilon none for a release without a guarantee",
                Exit.USAGE,
            )


def too_few(guarantee: Json, members: int) -> str:
    """Returns what is wrong if a release with a guarantee was learned from few patients, else ''.

    Args:
        guarantee: as the release states it.
        members: patients that it was learned from.
    """
    plan = Plan(guarantee["releases"], guarantee["numbers"], guarantee["sigma"])
    if plan.can_work(members):
        return ""
    return (
        f"{members} patients are few: under this guarantee about {plan.least_patients} would do. "
        "With so few, noise outweighs what tells the classes apart, so the images may train a "
        "network no better than as many random films; more patients or a larger --epsilon would "
        "help"
    )


def planned(recipe: Recipe, budget: Budget, size: int) -> Plan:
    """Returns what a recipe asks under a guarantee."""
    releases = recipe.releases
    sigma = budget.series(max(releases, 1)).sigma
    return Plan(releases, numbers_asked(recipe, size), sigma)


def numbers_asked(recipe: Recipe, size: int) -> int:
    """Returns how many numbers the first answer to a method has; 0 if it asks nothing."""
    if recipe.method is None or not recipe.releases:
        return 0  # what is matched by trajectories has asked, and is not known yet
    rng = generator(0)
    gray = torch.zeros(recipe.classes, 1, size, size)
    synthetic = recipe.begun(gray, torch.arange(recipe.classes), rng)
    try:
        next(iter(recipe.method.losses(synthetic, _Trial(recipe.classes, size), rng)))
    except _Asked as asked:
        return asked.numbers
    return 0
