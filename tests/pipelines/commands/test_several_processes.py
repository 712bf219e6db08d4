"""``torchrun ... medidd distill``: several processes make one run; other commands are refused."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from invented_cohort import ROOT, SMALL, Made, Source, copied, distill, files_of, small_job

from medidd.machine.ranks import Ranks
from pipelines.cli.main import medidd
from pipelines.commands.distill import run as distilled
from pipelines.learning.making import elsewhere, machines, note_machine
from pipelines.learning.opened_run import open_run
from pipelines.run.budget import Budget
from pipelines.run.errors import Exit, Stop
from pipelines.run.release_file import read_release
from pipelines.run.store import Run, read_json

LONGEST = 300
"""Seconds that a test waits for what should come soon, on a busy computer too."""

TOGETHER = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
TWO = Ranks(0, 2)


def started(*arguments: object) -> "subprocess.Popen[str]":
    """Starts a command with short trainings as two processes."""
    program = Path(__file__).parents[1] / "short_trainings.py"
    return subprocess.Popen(
        [sys.executable, *TOGETHER, str(program), *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def of_rank(rank: int, parent: int) -> int:
    """The process of that number which torchrun has started."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    (found,) = [
        int(child)
        for child in children
        if f"RANK={rank}".encode() in Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
    ]
    return found


@pytest.mark.slow
def test_two_processes_make_the_run_of_one_also_after_one_was_killed(
    source: Source, tmp_path: Path
) -> None:
    place = tmp_path / "two"
    steps = ("--steps", 60)  # hundreds would make differences of rounding visible
    arguments = ["--dicom-dir", source.folder, "--ipc", 3, *SMALL, *steps, "--out", place]
    first = started("distill", *arguments)
    log = place / "log.jsonl"
    while first.poll() is None and not (log.exists() and log.stat().st_size):
        time.sleep(0.001)
    os.kill(of_rank(1, first.pid), signal.SIGKILL)
    _, err = first.communicate(timeout=LONGEST)
    assert first.returncode == 1
    said = [line for line in err.splitlines() if line.startswith("medidd: ")]
    assert len(said) == 1
    assert "--resume" in said[0]
    assert not (place / "synthetic.safetensors").exists()

    second = started("distill", *arguments, "--resume")
    out, err = second.communicate(timeout=LONGEST)
    assert second.returncode == 0, err
    assert out.count("3 for each of") == 1
    assert err.count("distil with dm: 60/60") == 1
    assert len(log.read_text().splitlines()) == 60

    assert distill(source, tmp_path / "one", *steps).code == 0
    one, two = (Run(tmp_path / name) for name in ("one", "two"))
    assert files_of(one.path).keys() == files_of(two.path).keys()
    levels = [read_release(made).levels.int() for made in (one, two)]
    assert (levels[0] - levels[1]).abs().max() <= 1
    assert [entry["processes"] for entry in read_json(machines(two))] == ["2"]
    assert elsewhere(open_run(one)) == []
    assert elsewhere(open_run(two)) == ["processes: 2 then, 1 now"]


@pytest.mark.parametrize("command", ["audit", "experts", "export", "cache"])
def test_other_commands_are_refused_in_several_processes(command: str, made: Made) -> None:
    with pytest.raises(Stop, match=f"{command} is the work of one process") as stop:
        medidd.main([command, str(made.path)], standalone_mode=False, obj=TWO)
    assert stop.value.code == Exit.USAGE


def test_processes_of_several_computers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"TORCHELASTIC_RUN_ID": "1", "RANK": "0", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Stop, match="start all of them on one computer"):
        medidd.main(["distill"], standalone_mode=False, obj=Ranks(0, 4))


def test_a_guarantee_is_refused_before_anything_is_written(source: Source, tmp_path: Path) -> None:
    budget = Budget(2.0, 1e-6, 10_000)
    with pytest.raises(Stop, match="one process, which draws the noise") as stop:
        next(distilled(small_job(source, tmp_path / "run", budget=budget), TWO))
    assert stop.value.code == Exit.USAGE
    assert not (tmp_path / "run").exists()


def test_a_method_that_asks_nothing_learns_in_one_process(
    source: Source, experts: Made, tmp_path: Path
) -> None:
    matching = {"inner_steps": 2, "expert_epochs": 1, "last_start": 2}
    changed = {"method": "mtt", "experts": experts.path, "settings": matching}
    job = small_job(source, tmp_path / "run", steps=2, **changed)
    notes = [event.note for event in distilled(job, TWO)]
    assert "mtt asks no films; one process learns" in notes
    assert "processes" not in read_json(machines(Run(tmp_path / "run")))[0]


def test_an_audit_knows_that_shares_of_several_processes_round_differently(
    made: Made, tmp_path: Path
) -> None:
    run = Run(copied(made.path, tmp_path / "run"))
    assert elsewhere(open_run(run)) == []
    note_machine(open_run(run), None, processes=2)
    assert len(read_json(machines(run))) == 2
    assert elsewhere(open_run(run)) == ["processes: 2 then, 1 now"]
