"""A trial of a step: a long refinement is tried in part, and counts as the whole."""

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import pipelines.learning.step_time
from medidd.fields import values
from pipelines.learning.recipe import Recipe, recipe
from pipelines.learning.step_time import TRIAL_REFINED, TRIAL_STEPS, seconds_per_step


def made(**settings: Any) -> Recipe:
    how = {"start": "noise", "ipc": 1, "classes": 2, "size": 16, "width": 4}
    return recipe("moments", settings=settings, **how)


@pytest.mark.parametrize("refined", [0, TRIAL_REFINED, 20 * TRIAL_REFINED])
def test_a_long_refinement_is_tried_in_part_and_counts_as_the_whole(
    refined: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    trial = pipelines.learning.step_time.distill

    def watched(method: Any, *arguments: Any, **how: Any) -> Any:
        tried.append(values(method)["refined"])
        return trial(method, *arguments, **how)

    ticks = itertools.count()  # a clock that counts how often it is read
    clock = SimpleNamespace(monotonic=lambda: float(next(ticks)))
    monkeypatch.setattr(pipelines.learning.step_time, "distill", watched)
    monkeypatch.setattr(pipelines.learning.step_time, "time", clock)
    seconds = seconds_per_step(made(refined=refined), 4, 16, torch.device("cpu"))
    assert tried == [min(refined, TRIAL_REFINED)]
    assert seconds * TRIAL_STEPS == pytest.approx(max(refined / TRIAL_REFINED, 1))
