"""Many runs and their table: each is a run like others, and a sweep that was stopped goes on."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from invented_cohort import PLAIN, Source, called

import pipelines.commands.sweep
from pipelines.run.errors import Exit, Stop
from pipelines.run.store import read_json

TINY = (*("--size", "16", "--width", "4", "--steps", "6", "--device", "cpu"), *PLAIN)
SHORT = Path(__file__).parents[1] / "short_trainings.py"


def asked(source: Source, out: Path, *more: str) -> tuple[str, ...]:
    films = ("--dicom-dir", str(source.folder), "--ipc", "1", "--out", str(out))
    return "sweep", *films, "--method", "dm", "--method", "random", *TINY, *more


@pytest.mark.slow
def test_a_sweep_makes_the_runs_that_distill_makes_and_goes_on_after_it_was_killed(
    source: Source, tmp_path: Path
) -> None:
    out = tmp_path / "sweep"
    command = [sys.executable, str(SHORT), *asked(source, out, "--seeds", "2", "--workers", "1")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        while not (out / "dm-ipc1-seed0" / "report.html").exists():
            assert first.poll() is None
            time.sleep(0.05)
        first.send_signal(signal.SIGKILL)
    kept = (out / "dm-ipc1-seed0" / "run.json").stat().st_mtime_ns
    assert not (out / "sweep.json").exists()

    refused = called(*asked(source, out, "--seeds", "2"))
    assert (refused.code, "continue it with --resume" in refused.err) == (Exit.USAGE, True)
    ended = called(*asked(source, out, "--seeds", "2", "--resume", "--workers", "1"))
    assert ended.code == 0, ended.err
    assert (out / "dm-ipc1-seed0" / "run.json").stat().st_mtime_ns == kept
    names = [f"{method}-ipc1-seed{seed}" for method in ("dm", "random") for seed in range(2)]
    table = read_json(out / "sweep.json")["runs"]
    assert [row["run"] for row in table] == names
    assert [line.split()[0] for line in ended.out.splitlines()[1:5]] == names
    for row in table:
        metrics = read_json(out / row["run"] / "metrics.json")
        assert row["metrics"] == {k: v for k, v in metrics.items() if k in row["metrics"]}

    films = {(out / name / "private/cohort/images.npy").stat().st_ino for name in names}
    assert len(films) == 1  # no film is on disk twice
    alone = called(
        *("distill", "--dicom-dir", str(source.folder), "--ipc", "1", "--method", "dm", *TINY),
        *("--seed", "1", "--out", str(tmp_path / "alone")),
    )
    assert alone.code == 0, alone.err
    release = "synthetic.safetensors"
    assert (tmp_path / "alone" / release).read_bytes() == (out / names[1] / release).read_bytes()


@pytest.mark.slow
def test_a_run_that_fails_is_tried_again_and_named_and_the_others_are_made(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []
    make = pipelines.commands.sweep.finished

    def failing(frozen, place, *films, **how):  # type: ignore[no-untyped-def]
        tries.append(place.path.name)
        if frozen.method == "dm":
            raise Stop("the disk is full", Exit.DATA)
        return make(frozen, place, *films, **how)

    monkeypatch.setattr(pipelines.commands.sweep, "finished", failing)
    ended = called(*asked(source, tmp_path / "sweep", "--workers", "1"))
    assert ended.code == Exit.DATA
    assert "failed: dm-ipc1-seed0: the disk is full" in ended.out
    assert "1 of 2 runs failed: dm-ipc1-seed0; mend what" in ended.err
    assert tries == ["dm-ipc1-seed0", "dm-ipc1-seed0", "random-ipc1-seed0"]
    rows = json.loads((tmp_path / "sweep" / "sweep.json").read_text())["runs"]
    assert [row["run"] for row in rows] == ["random-ipc1-seed0"]


def test_an_unknown_method_is_refused_before_anything_is_made(
    source: Source, tmp_path: Path
) -> None:
    ended = called(*asked(source, tmp_path / "sweep", "--method", "magic"))
    assert ended.code == Exit.USAGE
    assert "magic" in ended.err
    assert not (tmp_path / "sweep").exists()
    assert not list(tmp_path.iterdir())
