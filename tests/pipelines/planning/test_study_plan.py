"""What a whole study takes is estimated before anything runs."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from invented_cohort import Source, called

from pipelines.auditing.canaries import RUNS
from pipelines.auditing.null_releases import COUNT
from pipelines.evaluation.utility import NETWORKS
from pipelines.planning.attacks import Straight
from pipelines.planning.disk import disk
from pipelines.planning.jobs import AUDIT, DISTIL, EXPERTS, NULLS, PLANTED, READ, Job, jobs, wall
from pipelines.planning.study import Numbers, Study, invented
from pipelines.planning.trial import Speeds
from pipelines.run.errors import Exit, Stop

NUMBERS = Numbers(
    films=300, patients=100, classes=2, members=180, controls=120, test=120, largest=90
)
SPEEDS = Speeds(
    distil=100,
    null=50,
    expert=0,
    null_expert=0,
    rows={"full": 3, "random": 1, "synthetic": 1},
    attack=10,
    against=4,
)
TINY = ("--size", 16, "--width", 4, "--epsilon", "none", "--method", "dm", "--steps", 2)


def counted(todo: list[Job], kind: str) -> int:
    return sum(job.kind == kind for job in todo)


def test_equal_jobs_share_the_processes_and_a_chain_does_not() -> None:
    equal = [Job(DISTIL, 3.0) for _ in range(10)]
    assert wall(equal, 2) == 15
    assert wall(equal, 3) == 12
    assert wall(equal, 100) == 3
    chain = [Job(DISTIL, 2.0), *(Job(DISTIL, 2.0, (before,)) for before in range(4))]
    assert wall(chain, 8) == 10
    assert wall([], 2) == 0


def test_the_longest_job_comes_first() -> None:
    # In the order of this list two processes would need 8.
    assert wall([Job(DISTIL, 1.0), Job(DISTIL, 1.0), Job(DISTIL, 6.0)], 2) == 6


def test_every_job_stands_behind_what_it_waits_for() -> None:
    matching = replace(SPEEDS, expert=7, null_expert=5)
    todo = jobs(
        [SPEEDS, matching, matching],
        NUMBERS,
        seeds=2,
        audit="full",
        experts=4,
        read=1,
        workers=3,
    )
    runs = 6
    assert all(before < place for place, job in enumerate(todo) for before in job.after)
    assert counted(todo, READ) == 3
    assert sum(job.seconds for job in todo if job.kind == READ) == NUMBERS.films
    assert counted(todo, EXPERTS) == 2 * 4  # once for a seed
    assert counted(todo, NULLS) == runs * COUNT
    assert counted(todo, PLANTED) == runs * RUNS
    assert {job.seconds for job in todo if job.kind == NULLS} == {50, 50 + 4 * 5}
    assert {job.seconds for job in todo if job.kind == AUDIT} == {10 + COUNT * 4}
    alone = wall(todo, 1)
    assert alone == pytest.approx(sum(job.seconds for job in todo))
    assert all(wall(todo, n) >= alone / n for n in (2, 3, 5))


def test_an_audit_adds_what_it_needs() -> None:
    todo = {
        level: jobs([SPEEDS], NUMBERS, seeds=1, audit=level, experts=1, read=1, workers=1)
        for level in ("none", "screen", "standard", "full")
    }
    for less, more in pairwise(todo.values()):
        assert wall(less, 1) < wall(more, 1)
    assert len(todo["none"]) == 1 + 1 + 3 * NETWORKS


def test_a_line_through_two_points_never_falls() -> None:
    assert Straight.through((10, 3.0), (20, 5.0)) == Straight(1.0, 0.2)
    assert Straight.through((10, 3.0), (20, 5.0)).of(100) == pytest.approx(21)
    assert Straight.through((10, 3.0), (20, 2.0)) == Straight(3.0, 0.0)


def test_films_weigh_two_bytes_a_pixel_and_experts_four_a_weight() -> None:
    kinds = Study((1,), methods=("dm", "mtt"), size=16, width=4, experts_count=3).kinds()
    found = disk(kinds, NUMBERS, seeds=2, audit="screen", experts=3)
    assert found["while reading"] == NUMBERS.films * 16 * 16 * 2
    assert found["films"] > found["while reading"]
    network = kinds[1].recipe(2).networks["convnet"]
    weights = sum(w.numel() for w in network.init(torch.Generator()).values())
    assert found["experts"] == 2 * 3 * 21 * weights * 4
    audited = disk(kinds, NUMBERS, seeds=2, audit="standard", experts=3)
    assert audited["experts"] == found["experts"] * (1 + COUNT)


@pytest.mark.parametrize("patients", [8, 30, 200])
def test_an_invented_crowd_has_members_and_controls_of_each_class(patients: int) -> None:
    crowd = invented(NUMBERS, patients)
    seen = {(crowd.labels[at], crowd.roles[one]) for at, one in enumerate(crowd.patients)}
    assert seen == {(label, role) for label in (0, 1) for role in ("member", "control")}


def test_numbers_that_do_not_fit_each_other_are_refused() -> None:
    for study, word in (
        (Study((1,), films=5, patients=9), "--films"),
        (Study((1,), films=9, patients=3, classes=2), "--patients"),
        (Study((1,), films=9), "--dicom-dir"),
    ):
        with pytest.raises(Stop, match=word) as stopped:
            Numbers.told(study)
        assert stopped.value.code == Exit.USAGE


@pytest.mark.slow
def test_a_plan_is_told_in_eighty_columns_and_as_one_object() -> None:
    asked = ("plan", "--films", 90, "--patients", 30, *TINY, "--ipc", 1, "--ipc", 2, "--seeds", 2)
    told = called(*asked, "--workers", 4, "--json")
    assert told.code == 0, told.err
    said = json.loads(told.out)
    assert said["runs"] == 4
    assert said["members"] == 90 - 36
    assert said["jobs"]["null releases"]["count"] == 4 * COUNT
    assert 0 < said["core seconds"] / 4 <= said["wall seconds"] < said["core seconds"]
    assert said["memory_bytes"]["dm"]["command"] > 50_000_000
    assert said["read"]["films tried"] == 0


@pytest.mark.slow
def test_a_folder_is_counted_and_some_of_its_films_are_read(source: Source) -> None:
    told = called("plan", "--dicom-dir", source.folder, *TINY, "--ipc", 1, "--audit", "none")
    assert told.code == 0, told.err
    assert f"of {len(source.instances)} films of 40 patients" in " ".join(told.out.split())
    assert "12 films that were read" in " ".join(told.out.split())
    assert max(map(len, told.out.splitlines())) <= 80
    assert "screen" not in told.out


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        (("--ipc", 1), "--films"),
        (("--ipc", 1, "--films", 10, "--patients", 50), "--films"),
        (("--ipc", 1, "--films", 90, "--patients", 50, "--method", "nothing"), "nothing"),
        (("--ipc", 400, "--films", 90, "--patients", 50), "--ipc"),
        (("--ipc", 1, "--films", 90, "--patients", 50, "--set", "nothing=1"), "nothing"),
    ],
)
def test_a_study_that_cannot_be_is_refused_in_one_line(
    asked: tuple[str | int, ...], word: str
) -> None:
    ended = called("plan", *TINY, *asked)
    assert ended.code == Exit.USAGE
    assert len(ended.err.strip().splitlines()) == 1
    assert word in ended.err
