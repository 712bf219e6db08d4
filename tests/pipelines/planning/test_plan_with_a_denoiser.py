"""What a method takes that draws from a denoiser: its training counts, and what A1 asks of it."""

import json
from dataclasses import replace

import pytest
from invented_cohort import Made, called
from test_study_plan import NUMBERS, SPEEDS, counted

from pipelines.auditing.null_releases import COUNT
from pipelines.learning.opened_run import open_run
from pipelines.planning import attacks, memory
from pipelines.planning.disk import disk
from pipelines.planning.jobs import DENOISER, EXPERTS, NULLS, jobs
from pipelines.planning.study import Numbers, Study
from pipelines.planning.trial import clock_of, speeds
from pipelines.run.errors import Stop
from pipelines.run.store import Run

SMALL = Numbers(films=30, patients=30, classes=2, members=16, controls=14, test=14, largest=8)


def study(**changed: object) -> Study:
    how = {"methods": ("minimax",), "size": 16, "width": 4, "steps": 2}
    settings = {"path": 2, "memory": 2, "batch": 2, "sampling_steps": 2}
    return Study((1,), **how | {"settings": settings} | changed)  # type: ignore[arg-type]


def test_a_denoiser_is_trained_once_for_a_seed_and_again_for_each_null_release() -> None:
    drawing = replace(SPEEDS, expert=7, null_expert=5, pieces=1)
    matching = replace(SPEEDS, expert=3, null_expert=2)
    todo = jobs(
        [drawing, matching, drawing],
        NUMBERS,
        seeds=2,
        audit="standard",
        experts=4,
        read=1,
        workers=3,
    )
    assert counted(todo, DENOISER) == 2
    assert counted(todo, EXPERTS) == 2 * 4
    assert {job.seconds for job in todo if job.kind == DENOISER} == {7}
    assert {job.seconds for job in todo if job.kind == NULLS} == {50 + 5, 50 + 4 * 2}


def test_denoisers_weigh_four_bytes_a_weight_and_are_in_each_checkpoint() -> None:
    kinds = study(methods=("minimax", "dm"), settings={}).kinds()
    found = disk(kinds, NUMBERS, seeds=2, audit="screen", experts=3)
    theta = kinds[0].recipe(2).method.denoiser.theta  # type: ignore[union-attr]
    weights = 4 * sum(weight.numel() for weight in theta.values())
    assert (found["denoisers"], found["experts"]) == (2 * weights, 0)
    assert found["checkpoints"] > 2 * 3 * weights
    audited = disk(kinds, NUMBERS, seeds=2, audit="standard", experts=3)
    assert audited["denoisers"] == found["denoisers"] * (1 + COUNT)


def test_its_training_and_what_a1_asks_are_measured() -> None:
    (kind,) = study().kinds()
    found = speeds(kind, SMALL, attacked=False)
    assert found.pieces == 1
    assert min(found.expert, found.null_expert) > found.distil > 0
    once, more = attacks.attacks(kind, kind.recipe(2), SMALL, clock_of(kind))
    assert once > 0
    assert more > 0


def test_a1_is_rehearsed_on_the_model(drawn: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, asked = open_run(Run(drawn.path)), list[int]()
    found = memory.explanations

    def watched(explained: object, releases: tuple[object, ...], films: object) -> object:
        asked.append(len(releases))
        return found(explained, releases, films)  # type: ignore[arg-type]

    monkeypatch.setattr(memory, "explanations", watched)
    memory._screened(opened, opened.recipe)
    assert asked == [1]


def test_a_size_that_no_denoiser_has_is_refused_by_the_plan_too() -> None:
    with pytest.raises(Stop, match="--size: a denoiser draws images of a multiple of 16 px"):
        study(size=50).kinds()
    ended = called(
        *("plan", "--films", 90, "--patients", 50, "--ipc", 1, "--epsilon", "none"),
        *("--method", "minimax", "--size", 50),
    )
    (line,) = ended.err.splitlines()
    assert (ended.code, "multiple of 16 px" in line) == (2, True)


@pytest.mark.usefixtures("no_rehearsal")
def test_a_plan_of_it_counts_a_denoiser() -> None:
    tiny = ("--size", 16, "--width", 4, "--epsilon", "none", "--steps", 2, "--ipc", 1)
    of = ("plan", "--films", 60, "--patients", 30, "--audit", "standard")
    told = called(*of, *tiny, "--method", "minimax", "--json")
    assert told.code == 0, told.err
    said = json.loads(told.out)
    assert said["jobs"]["denoiser"]["count"] == 1
    assert said["jobs"]["denoiser"]["seconds each"] > said["jobs"]["distil"]["seconds each"]
    assert said["disk_bytes"]["denoisers"] > 0
