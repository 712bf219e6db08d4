"""How long an audit attacks a release, measured on noise and carried on to all films.

The networks that a recipient trains (A2) are timed elsewhere. What the others take grows with the
films: each compares a release, and at most 200 films of strangers, with all of them.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch

from medidd.distill import DrawsImages
from medidd.fields import values
from pipelines.auditing.explained_films import explains
from pipelines.auditing.matched_statistics import matched
from pipelines.learning.job import FrozenJob
from pipelines.learning.recipe import Recipe
from pipelines.learning.step_time import Clock
from pipelines.planning.study import Numbers
from pipelines.run.seeds import generator
from privacy.attacks.tracing import explanations, leanings
from privacy.evidence import Evidence
from privacy.policy import Level, load_policy
from privacy.release import Films, Release
from privacy.suite import AUDITS

CONTROLS = 150
"""Held-out films of a trial at most; as many strangers are looked for, so more do not matter."""

MEMBERS = (60, 180)
"""Films to learn from, of two trials; with the controls they are more than the 200 strangers."""

APART = ("A1", "A2", "A7")
"""Timed apart; and A7, which only looks at what A1 and A2 found."""

TRACED = (30, 60)
"""Films of two trials of what a method matches, or of what its model makes of them."""


@dataclass(frozen=True)
class Straight:
    """Seconds that grow by a straight line with the number of films.

    Attributes:
        fixed: seconds without films.
        each: seconds per film.
    """

    fixed: float
    each: float

    @classmethod
    def through(cls, few: tuple[int, float], many: tuple[int, float]) -> "Straight":
        """Returns the line through two points (films, seconds); it never falls."""
        each = max((many[1] - few[1]) / (many[0] - few[0]), 0.0)
        return cls(max(few[1] - each * few[0], 0.0), each)

    def of(self, films: int) -> float:
        """Returns the seconds for so many films."""
        return self.fixed + self.each * films


def timed(clock: Clock, work: Callable[[], object]) -> float:
    """Returns the seconds that ``work`` takes."""
    begun = clock()
    work()
    return clock() - begun


def attacks(
    frozen: FrozenJob, recipe: Recipe, numbers: Numbers, clock: Clock
) -> tuple[float, float]:
    """Returns the seconds of all attacks on a release but A2, and more for each null release."""
    classes, size, shown = recipe.classes, frozen.size, recipe.shown
    films = numbers.members + numbers.controls
    kept = min(numbers.controls, CONTROLS)
    own = clock if frozen.device.type == "cpu" else time.monotonic
    if numbers.members <= MEMBERS[1]:
        compared = _compared(size, classes, shown, numbers.members, kept, own)
    else:
        few, many = ((n + kept, _compared(size, classes, shown, n, kept, own)) for n in MEMBERS)
        compared = Straight.through(few, many).of(films)
    count, lean = _tracing(frozen, recipe)

    def traced(number: int, releases: int) -> float:
        several = [_release(recipe.classes, shown, size) for _ in range(releases)]
        people = _films(range(number), classes, size)
        return timed(clock, lambda: lean(several, people))

    traced(TRACED[0], 1)  # what is made once is not counted
    alone, beside = (
        Straight.through(*((number, traced(number, releases)) for number in TRACED)).of(films)
        for releases in (1, 2)
    )
    return compared + count * alone, count * max(beside - alone, 0.0)


def _tracing(
    frozen: FrozenJob, recipe: Recipe
) -> tuple[int, Callable[[Sequence[Release], Films], object]]:
    """Returns how often A1 looks at all films, and what it does each time."""
    method: Any = recipe.method
    if isinstance(method, DrawsImages):
        denoiser = values(method)["denoiser"]
        theta = {name: weight.to(frozen.device) for name, weight in denoiser.theta.items()}
        explained = explains(denoiser.denoiser, theta, 0)
        return 1, partial(explanations, lambda _: explained)
    networks = matched(recipe, seed=0, device=frozen.device)
    return len(networks), partial(leanings, networks[:1])


@cache
def _compared(
    size: int, classes: int, shown: int, members: int, controls: int, clock: Clock
) -> float:
    """Returns the seconds of the attacks that only look at images; no method changes them."""
    policy = load_policy()
    names = [n for n in policy.required[Level.SCREEN] if n[0] == "A" and n not in APART]
    evidence = Evidence(
        release=_release(classes, shown, size),
        members=_films(range(members), classes, size),
        controls=_films(range(members, members + controls), classes, size),
        unit="patient",
    )
    return timed(clock, lambda: [AUDITS[name](evidence, policy, generator(0)) for name in names])


def _release(classes: int, shown: int, size: int) -> Release:
    images = torch.rand(classes * shown, 1, size, size, generator=generator(0))
    return Release(images, torch.eye(classes).repeat_interleave(shown, 0))


def _films(people: range, classes: int, size: int) -> Films:
    """Returns a film of noise for each of some people."""
    images = torch.rand(len(people), 1, size, size, generator=generator(1, people.start))
    return Films(images, torch.arange(len(people)) % classes, [str(one) for one in people])
