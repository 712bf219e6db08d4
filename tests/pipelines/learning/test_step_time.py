"""A trial of a step: what is tried in part counts as the whole."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch

import pipelines.learning.step_time
from medidd.fields import values
from pipelines.learning.recipe import Recipe, recipe
from pipelines.learning.step_time import TRIAL_FILMS, TRIAL_REFINED, TRIAL_STEPS, seconds_per_step

HOW: dict[str, Any] = {"start": "noise", "ipc": 1, "classes": 2, "size": 16, "width": 4}


def made(**settings: Any) -> Recipe:
    return recipe("moments", settings=settings, **HOW)


def ticking() -> Callable[[], float]:
    """A clock that counts how often it is read."""
    ticks = itertools.count()
    return lambda: float(next(ticks))


@pytest.mark.parametrize("refined", [0, TRIAL_REFINED, 20 * TRIAL_REFINED])
def test_a_long_refinement_is_tried_in_part_and_counts_as_the_whole(
    refined: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    trial = pipelines.learning.step_time.distill

    def watched(method: Any, *arguments: Any, **how: Any) -> Any:
        tried.append(values(method)["refined"])
        return trial(method, *arguments, **how)

    monkeypatch.setattr(pipelines.learning.step_time, "distill", watched)
    seconds = seconds_per_step(made(refined=refined), 4, 16, torch.device("cpu"), ticking())
    assert tried == [min(refined, TRIAL_REFINED)]
    # Each step asks about all films, which is no part of the refinement: one tick of three.
    own, asked = TRIAL_STEPS + 1, TRIAL_STEPS
    assert seconds * TRIAL_STEPS == pytest.approx(own * max(refined / TRIAL_REFINED, 1) + asked)


def test_only_an_answer_about_all_films_takes_longer_with_more_films() -> None:
    def steps(of: Recipe, per_class: int) -> float:
        clock = ticking()
        return TRIAL_STEPS * seconds_per_step(of, per_class, 16, torch.device("cpu"), clock)

    every, some = made(refined=0), recipe("dm", settings={"batch": 8}, **HOW)
    more = 3 * TRIAL_FILMS
    assert steps(every, more) - steps(every, TRIAL_FILMS) == pytest.approx(2 * TRIAL_STEPS)
    assert steps(some, more) == steps(some, TRIAL_FILMS)
