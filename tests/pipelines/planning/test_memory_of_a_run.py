"""What a run takes is announced before it starts; one that cannot fit is refused with a remedy."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from invented_cohort import ROOT, SMALL, Source, called, small_job

import pipelines.planning.memory
from medidd.machine.memory import at_hand, taken
from medidd.split import Role
from pipelines.evaluation.rehearsal import ALL_FILMS, Crowd, Need
from pipelines.learning.job import FrozenJob
from pipelines.planning.memory import least, needed, remedy, require_room, smaller
from pipelines.run.errors import Exit, Stop

MIB = 2**20

PEAKS = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from short_trainings import main
from medidd.machine.memory import taken
main(*sys.argv[2:])
Path(sys.argv[1]).write_text(str(taken()))
"""
"""Runs a command with short trainings, and writes down the most that it had."""


def large(**changed: object) -> FrozenJob:
    """A run on large images."""
    job = FrozenJob(
        source="",
        labelling={},
        unit="patient",
        method="dm",
        start="noise",
        ipc=10,
        size=256,
        steps=None,
        preset="default",
        settings={},
        experts=None,
        width=128,
        seed=0,
        device_name="cpu",
        threads=1,
        max_refused=0.2,
    )
    return replace(job, **changed)


def test_the_announced_peak_is_that_of_the_run(source: Source, tmp_path: Path) -> None:
    asked = ("distill", "--dicom-dir", source.folder, "--ipc", 3, *SMALL, "--size", 48)
    asked = (*asked, "--width", 32, "--out", tmp_path / "run")
    dry = called(*asked, "--dry-run", "--json")
    assert dry.code == 0, dry.err
    announced = json.loads(dry.out)["memory_bytes"]
    program = PEAKS.format(tests=str(ROOT / "tests" / "pipelines"))
    subprocess.run(
        [sys.executable, "-c", program, tmp_path / "peak", *map(str, asked)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    true = int((tmp_path / "peak").read_text())
    assert announced["command"] == pytest.approx(true, rel=0.25)
    assert announced["together"] > announced["second process"] > true / 2


def crowd(patients: int) -> Crowd:
    """As many patients of one film, two fifths of them held out."""
    roles: dict[int, Role] = {
        number: "control" if number % 5 < 2 else "member" for number in range(patients)
    }
    return Crowd([number // 5 % 2 for number in range(patients)], range(patients), roles)


def test_films_that_are_held_are_in_the_estimate_and_not_overrated_by_the_check() -> None:
    # A start takes no step and these networks are small: what grows is what is held.
    frozen = large(method="random", start="random", ipc=1, size=64, width=4)
    few, many = needed(frozen, crowd(20)), needed(frozen, crowd(4000))
    assert few is not None
    assert many is not None
    # Levels of all films and, of members and controls, display values and standardised ones.
    held = (4000 - 20) * 64 * 64 * (2 + 8)
    assert many.beside - few.beside > held * 0.75
    assert many.command - few.command > held * 0.75
    for need, films in ((few, 20), (many, 4000)):
        assert least(frozen, films) < need.beside


def test_both_processes_count_and_the_largest_stage_is_named() -> None:
    need = Need({"images are learned": 5, "judged": 20, ALL_FILMS: 20}, 9)
    assert (need.command, need.together, need.largest) == (20, 29, "judged")
    assert need.fits(29)
    assert not need.fits(28)
    assert not Need({"judged": 5}, 9, device=3).fits(14, 2)
    assert need.fits(None)


@pytest.mark.parametrize("films", [40, 400, 40_000])
def test_a_run_that_is_far_too_large_is_refused_with_an_option_that_makes_it_fit(
    films: int,
) -> None:
    frozen, more = large(), 100 * MIB
    room = least(frozen, films) // 2
    with pytest.raises(Stop) as stopped:
        require_room(frozen, films, room + taken("RssAnon"))
    line = str(stopped.value)
    assert stopped.value.code == Exit.USAGE
    assert "\n" not in line
    named = re.search(r"use (--\w+ \S+),", line)
    assert named is not None, line
    (job,) = (
        job
        for halvings in range(1, 5)
        for option, job in smaller(frozen, halvings)
        if option == named[1]
    )
    assert least(job, films) <= room + 50 * MIB < least(frozen, films)
    require_room(frozen, films, least(frozen, films, more) + 2**40)


def test_a_run_without_room_ends_before_its_films_are_read(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipelines.planning.memory, "at_hand", lambda: 10 * MIB)
    run = tmp_path / "run"
    ended = called("distill", "--dicom-dir", source.folder, "--ipc", 3, *SMALL, "--out", run)
    assert ended.code == Exit.USAGE
    assert len(ended.err.strip().splitlines()) == 1
    assert "of memory" in ended.err
    assert not run.exists()


def test_a_dry_run_without_room_names_an_option_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = large(method="random", start="random", ipc=1, size=128, width=64)
    need = needed(frozen, crowd(30), 3)
    assert need is not None
    assert need.together == need.command + 3 * need.beside
    fewer = need.together - need.beside
    monkeypatch.setattr(pipelines.planning.memory, "free", lambda: (fewer, None))
    assert remedy(frozen, crowd(30), need).startswith("--workers 3 would need about ")
    need = replace(need, others=0)
    tight = need.together - 50 * MIB
    monkeypatch.setattr(pipelines.planning.memory, "free", lambda: (tight, None))
    words = remedy(frozen, crowd(30), need)
    named = re.fullmatch(r"--(?:width 32|size 64) would need about (\S+) GiB", words)
    assert named is not None, words
    assert float(named[1]) * 1024 * MIB < tight + 60 * MIB


def test_this_computer_has_room_for_a_small_run(source: Source, tmp_path: Path) -> None:
    assert at_hand() is not None
    require_room(small_job(source, tmp_path).frozen(), 40)
