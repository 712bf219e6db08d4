"""A trial of a step: what is tried in part counts as the whole."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch

import pipelines.learning.step_time
from medidd.fields import values
from medidd.methods.frepo import Member
from pipelines.learning.recipe import Recipe, recipe
from pipelines.learning.step_time import (
    TRIAL_FILMS,
    TRIAL_REFINED,
    TRIAL_STEPS,
    denoiser_seconds,
    seconds_per_step,
)

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
    assert seconds == pytest.approx(2 * max(refined / TRIAL_REFINED, 1) + 1)


@pytest.mark.parametrize("steps", [2, 20, 40])
def test_one_question_and_one_refinement_count_once_however_many_steps(steps: int) -> None:
    of = made(refined=20 * TRIAL_REFINED, steps=steps)
    each = seconds_per_step(of, 4, 16, torch.device("cpu"), ticking())
    assert steps * each == pytest.approx(20 * 2 + 1 + steps - 1)


@pytest.mark.parametrize("steps", [20, 40])
def test_a_pool_of_networks_counts_as_often_as_it_is_made(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    updates, train = [0], Member.train

    def counted(member: Member, synthetic: Any, steps: int) -> None:
        updates.append(steps)
        train(member, synthetic, steps)

    monkeypatch.setattr(Member, "train", counted)
    of = recipe("frepo", settings={"online": 20, "pool": 10, "steps": steps}, **HOW)
    each = seconds_per_step(of, 4, 16, torch.device("cpu"), lambda: float(sum(updates)))
    pools = steps // 20
    assert steps * each == pytest.approx(pools * sum(range(0, 20, 2)) + steps - pools)


def test_only_an_answer_about_all_films_takes_longer_with_more_films() -> None:
    def steps(of: Recipe, per_class: int) -> float:
        clock = ticking()
        return TRIAL_STEPS * seconds_per_step(of, per_class, 16, torch.device("cpu"), clock)

    every, some = made(refined=0), recipe("dm", settings={"batch": 8}, **HOW)
    more = 3 * TRIAL_FILMS
    assert steps(every, more) - steps(every, TRIAL_FILMS) == pytest.approx(2 * TRIAL_STEPS)
    assert steps(some, more) == steps(some, TRIAL_FILMS)


def drawn(steps: int) -> Recipe:
    few = {"memory": 2, "batch": 2, "path": 4, "steps": steps}
    return recipe("minimax", settings=few, **HOW)


def test_a_method_that_only_draws_takes_no_time_for_steps() -> None:
    assert seconds_per_step(drawn(0), 4, 16, torch.device("cpu"), ticking()) == 0


def test_memories_count_as_often_as_a_path_fills_them() -> None:
    one, two = (
        steps * seconds_per_step(drawn(steps), 4, 16, torch.device("cpu"), ticking())
        for steps in (4, 8)
    )
    assert two == pytest.approx(2 * one)


def test_a_denoiser_takes_as_long_as_all_its_updates() -> None:
    of = drawn(0)
    # A tick for each update.
    assert denoiser_seconds(of, 16, torch.device("cpu"), ticking()) == pytest.approx(1000)
