"""A run that was stopped and continued is, byte for byte, one that was not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from invented_cohort import (
    SMALL,
    Made,
    Source,
    called,
    copied,
    distill,
    public,
    small_job,
    started,
    tree,
)

import pipelines.learning.learn
from pipelines.commands import audit
from pipelines.commands.distill import run
from pipelines.run.lock import held
from pipelines.run.progress import seconds_of
from pipelines.run.store import Run

PATHS = {
    "dc": {"inner_steps": 3, "net_epochs": 1, "batch": 8},
    "idc": {"inner_steps": 2, "net_steps": 1, "batch": 8},
}
"""Methods whose paths are longer than one step: the length is 3, and 2 rounds over 2 classes."""

SOFT = {"method": "soft-label", "settings": {"horizon": 4, "window": 2, "lr_labels": 0.05}}


def finish(job: Any) -> list[str]:
    """Runs a job to its end; returns the stage of each event."""
    return [event.stage for event in run(job)]


def stop_after(job: Any, events: int) -> None:
    """Runs a job until it has said so many things, and stops it there."""
    progress = run(job)
    for _ in range(events):
        next(progress)
    progress.close()


@pytest.fixture(scope="module")
def stages(source: Source, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a whole run says."""
    return finish(small_job(source, tmp_path_factory.mktemp("stages") / "run"))


@pytest.mark.parametrize(
    ("stage", "part", "every"),
    [
        ("read films", 0.5, 5.0),
        ("distil with dm", 0.0, 5.0),
        ("distil with dm", 0.5, 5.0),
        ("distil with dm", 0.5, 0.0),
        ("distil with dm", 1.0, 0.0),
        ("train networks", 0.6, 5.0),
        ("train for the audit", 0.6, 5.0),
        ("audit (screen)", 0.0, 5.0),
        ("audit (screen)", 1.0, 5.0),
    ],
)
def test_a_run_stopped_anywhere_ends_with_the_same_bytes(
    made: Made,
    source: Source,
    stages: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    part: float,
    every: float,
) -> None:
    monkeypatch.setattr(pipelines.learning.learn, "CHECKPOINT_EVERY", every)
    of_stage = [number for number, name in enumerate(stages, start=1) if name == stage]
    job = small_job(source, tmp_path / "run", resume=True)
    stop_after(job, of_stage[round(part * (len(of_stage) - 1))])
    assert not Run(tmp_path / "run").report.exists()
    finish(job)
    assert public(tmp_path / "run") == public(made.path)


def test_a_run_stopped_again_and_again_ends_with_the_same_bytes(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipelines.learning.learn, "CHECKPOINT_EVERY", 0.0)
    finish(small_job(source, tmp_path / "whole", **SOFT))
    job = small_job(source, tmp_path / "stopped", resume=True, **SOFT)
    for events in (30, 5, 5, 5, 5, 5, 5):
        stop_after(job, events)
    finish(job)
    assert public(tmp_path / "stopped") == public(tmp_path / "whole")


def test_steps_after_the_last_checkpoint_are_logged_once(
    made: Made, source: Source, stages: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = small_job(source, tmp_path / "run", resume=True)
    progress = run(job)
    monkeypatch.setattr(pipelines.learning.learn, "CHECKPOINT_EVERY", 0.0)
    for _ in range(stages.index("distil with dm") + 1 + 2):
        next(progress)
    monkeypatch.setattr(pipelines.learning.learn, "CHECKPOINT_EVERY", 1e9)
    for _ in range(2):
        next(progress)
    progress.close()
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 4
    finish(job)
    assert public(tmp_path / "run") == public(made.path)


def test_every_step_is_taken_from_the_last_checkpoint(
    source: Source, stages: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipelines.learning.learn, "CHECKPOINT_EVERY", 0.0)
    job = small_job(source, tmp_path / "run", resume=True)
    stop_after(job, stages.index("distil with dm") + 1 + 4)
    again = [event.done for event in run(job) if event.stage == "distil with dm"]
    assert again[0] >= 3
    assert again[-1] == 6


@pytest.mark.parametrize(("method", "stopped", "kept"), [("dc", 5, 3), ("idc", 6, 4)])
def test_a_run_stopped_within_a_path_takes_that_path_again_to_the_same_bytes(
    source: Source,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    stopped: int,
    kept: int,
) -> None:
    monkeypatch.setattr(pipelines.learning.learn, "CHECKPOINT_EVERY", 0.0)
    options = {"method": method, "settings": PATHS[method], "ipc": 1, "steps": 7}
    finish(small_job(source, tmp_path / "whole", **options))
    job = small_job(source, tmp_path / "stopped", resume=True, **options)
    progress = run(job)
    for event in progress:
        if (event.stage, event.done) == (f"distil with {method}", stopped):
            break
    progress.close()
    log = tmp_path / "stopped" / "log.jsonl"
    assert len(log.read_text().splitlines()) == stopped
    # Whoever is killed may leave half a line.
    log.write_text(log.read_text() + '{"step": ')
    again = [event.done for event in run(job) if event.stage == f"distil with {method}"]
    assert again == list(range(kept, 8))
    assert public(tmp_path / "stopped") == public(tmp_path / "whole")


def test_the_seconds_of_a_run_that_was_stopped_add_up(
    source: Source, stages: list[str], tmp_path: Path
) -> None:
    place, job = Run(tmp_path / "run"), small_job(source, tmp_path / "run", resume=True)
    stop_after(job, stages.index("distil with dm") + 3)
    before = seconds_of(place)
    assert list(before) == ["read films", "distil with dm"]
    finish(job)
    after = seconds_of(place)
    assert after["read films"] == before["read films"] > 0
    assert list(after) == [*before, "train networks", "train for the audit", "audit (screen)"]


def test_a_finished_run_is_told_of_again_and_not_changed(made: Made, source: Source) -> None:
    before = public(made.path)
    ended = distill(source, made.path, "--resume", "--json")
    assert ended.code == 0
    assert public(made.path) == before
    first, second = json.loads(made.ended.out), json.loads(ended.out)
    assert {**first, "seconds": 0} == {**second, "seconds": 0}


def test_resume_with_nothing_there_begins_a_run(made: Made, source: Source, tmp_path: Path) -> None:
    assert distill(source, tmp_path / "run", "--resume").code == 0
    assert public(tmp_path / "run") == public(made.path)


def test_a_run_that_is_there_is_not_overwritten(made: Made, source: Source) -> None:
    before = tree(made.path)
    ended = distill(source, made.path)
    assert ended.code == 2
    assert "--resume" in ended.err
    assert tree(made.path) == before


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (("--ipc", 2), "ipc"),
        (("--seed", 1), "seed"),
        (("--method", "soft-label"), "method"),
        (("--start", "random"), "start"),
        (("--size", 32), "size"),
        (("--width", 8), "width"),
        (("--steps", 7), "steps"),
        (("--set", "lr_images=0.5"), "settings"),
        (("--preset", "paper"), "preset"),
        (("--max-rejected", 0.3), "max_refused"),
    ],
)
def test_another_job_does_not_continue_a_run(
    made: Made, source: Source, change: tuple[object, ...], name: str
) -> None:
    before = tree(made.path)
    ended = distill(source, made.path, "--resume", *change)
    assert ended.code == 2
    assert f"differs in {name};" in ended.err
    assert tree(made.path) == before


def test_other_films_do_not_continue_a_run(made: Made, tmp_path: Path) -> None:
    before = tree(made.path)
    (tmp_path / "other").mkdir()
    arguments = ("--dicom-dir", tmp_path / "other", "--ipc", 3, *SMALL)
    ended = called("distill", *arguments, "--out", made.path, "--resume")
    assert ended.code == 2
    assert "differs in source;" in ended.err
    assert tree(made.path) == before


@pytest.mark.slow
def test_a_run_killed_three_times_ends_with_the_same_bytes(
    made: Made, source: Source, tmp_path: Path
) -> None:
    place = tmp_path / "run"
    arguments = ("--dicom-dir", source.folder, "--ipc", 3, *SMALL, "--out", place, "--resume")
    for moment in ("private/cohort/*", "log.jsonl", "metrics.json"):
        process = started("distill", *arguments, short=True)
        wait_for(process, place, moment)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, moment
        assert not (place / "report.html").exists()
    assert distill(source, place, "--resume").code == 0
    # ``made`` judged its baselines itself; here a process ahead of the run did.
    assert public(place) == public(made.path)
    assert [name for name in public(place) if name.endswith(".part")] == []


def wait_for(process: "subprocess.Popen[str]", place: Path, pattern: str) -> None:
    """Waits until a file of that name appears."""
    before = set(place.glob(pattern))
    while process.poll() is None and set(place.glob(pattern)) == before:
        time.sleep(0.001)


@pytest.fixture(scope="module")
def ready_for_nulls(tmp_path_factory: pytest.TempPathFactory, everybody: Made) -> Path:
    """A run with controls enough for null releases, audited at standard level."""
    return copied(everybody.path, tmp_path_factory.mktemp("nulls") / "run")


@pytest.mark.parametrize("events", [4, 9, 20])
def test_an_audit_stopped_between_null_releases_continues_to_the_same_bytes(
    ready_for_nulls: Path,
    everybody: Made,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    events: int,
) -> None:
    monkeypatch.setattr(pipelines.learning.learn, "CHECKPOINT_EVERY", 0.0)
    place = copied(everybody.path, tmp_path / "run")
    progress = audit.run(audit.Audit(place))
    for _ in range(events):
        assert next(progress).stage.startswith("null release")
    progress.close()
    assert public(place) == public(everybody.path)
    for _ in audit.run(audit.Audit(place)):
        pass
    if not Run(ready_for_nulls).private.joinpath("nulls").exists():
        for _ in audit.run(audit.Audit(ready_for_nulls)):
            pass
    assert public(place) == public(ready_for_nulls)
    said = json.loads((place / "audit.json").read_text())
    (membership,) = [f for f in said["findings"] if f["audit"] == "A2"]
    assert membership["details"]["null releases"] is True


def test_null_releases_of_a_second_process_are_those_of_the_audit(
    ready_for_nulls: Path, everybody: Made, tmp_path: Path
) -> None:
    place = copied(everybody.path, tmp_path / "run")
    program = [sys.executable, "-P", "-m", "pipelines.auditing.beside"]
    folder = Run(place).private / "nulls"
    with held(folder / "1.lock", wait=False):  # as the audit does that is at the second one
        process = subprocess.Popen([*program, str(place), str(os.getpid()), "null"])
        while process.poll() is None and not (folder / "0.safetensors").exists():
            time.sleep(0.01)
        assert {path.stem for path in folder.glob("*.safetensors")} == {"0", "2", "3", "4"}
        assert process.poll() is None
    assert process.wait() == 0
    made = {path: path.stat().st_mtime_ns for path in folder.glob("*.safetensors")}
    assert len(made) == 5
    for _ in audit.run(audit.Audit(place)):
        pass
    assert made == {path: path.stat().st_mtime_ns for path in made}
    if not Run(ready_for_nulls).private.joinpath("nulls").exists():
        for _ in audit.run(audit.Audit(ready_for_nulls)):
            pass
    assert public(place) == public(ready_for_nulls)


def test_films_that_changed_since_do_not_change_the_cohort_under_a_release(
    source: Source, tmp_path: Path
) -> None:
    studies = copied(source.folder, tmp_path / "studies")
    table = tmp_path / "labels.csv"
    table.write_bytes(source.labels.read_bytes())
    moved = Source(studies, source.patient_of, source.instances)
    assert distill(moved, tmp_path / "run").code == 0
    before = tree(tmp_path / "run")
    film = next(studies.rglob("*.dcm"))
    film.unlink()
    assert distill(moved, tmp_path / "run", "--resume").code == 0
    assert tree(tmp_path / "run") == before


def test_a_run_killed_before_it_wrote_anything_down_begins_again(tmp_path: Path) -> None:
    place = Run(tmp_path / "run")
    place.create()
    (place.path / ".run.json.part").touch()
    assert not place.is_taken()
    (place.path / "thesis.txt").touch()
    assert place.is_taken()
