"""What TensorBoard reads of runs: numbers and synthetic images, and nothing else."""

import json
import socket
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from invented_cohort import Made, Source, called, copied, files_of, found_in, traces, tree

from pipelines.comparison.events import EVENTS
from pipelines.run.errors import Exit
from pipelines.run.results import read_metrics
from pipelines.run.store import Run


def read(folder: Path) -> Any:
    """What TensorBoard itself makes of a run's events."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        found = EventAccumulator(str(folder), {"scalars": 0, "images": 0})
        return found.Reload()


def test_tensorboard_reads_the_losses_the_figures_and_the_images(
    sweep: Path, made: Made, source: Source, tmp_path: Path
) -> None:
    ended = called("compare", sweep, made.path, "--tensorboard", tmp_path / "events")
    assert ended.code == 0, ended.err
    names = [
        *("1-dm-ipc3-16px-epsilon-none-seed0", "2.1-random-ipc1-16px-epsilon-none-seed0"),
        "2.2-random-ipc1-16px-epsilon-none-seed1",
    ]
    files = files_of(tmp_path / "events")
    assert sorted(files) == [f"{name}/{EVENTS}" for name in names]
    assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o600}
    assert (tmp_path / "events").stat().st_mode & 0o777 == 0o700
    texts = [(name, path.read_bytes()) for name, path in files.items()]
    hidden = [*traces(source), str(sweep).encode(), socket.gethostname().encode()]
    assert found_in(texts, hidden) == []

    learned, baseline = (read(tmp_path / "events" / name) for name in names[:2])
    lines = (made.path / "log.jsonl").read_text().splitlines()
    losses = [(one["step"], one["loss"]) for one in map(json.loads, lines)]
    assert len(losses) == 6
    got = [(one.step, one.value) for one in learned.Scalars("loss")]
    assert got == [(step, pytest.approx(loss)) for step, loss in losses]
    auc = read_metrics(Run(made.path))["synthetic"]["auc"]["mean"]
    (shown,) = learned.Scalars("metrics/synthetic/auc")
    assert (shown.step, shown.value) == (6, pytest.approx(auc))
    assert len(learned.Tags()["images"]) == 6
    assert baseline.Tags()["images"] == []  # they are films
    assert baseline.Scalars("metrics/full/auc")


def test_a_damaged_log_is_one_line(sweep: Path, made: Made, tmp_path: Path) -> None:
    again = copied(made.path, tmp_path / "run")
    (again / "log.jsonl").write_text('{"step": 1}\n')
    before = tree(tmp_path)
    ended = called("compare", sweep, again, "--tensorboard", tmp_path / "events")
    assert ended.code == Exit.DATA
    assert f"{again / 'log.jsonl'}: damaged" in ended.err
    assert tree(tmp_path) == before


def test_without_tensorboard_one_line_says_what_to_install(
    sweep: Path, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [one for one in sys.modules if one.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    before = tree(tmp_path)
    folders = ("--out", tmp_path / "out", "--tensorboard", tmp_path / "events")
    ended = called("compare", sweep, made.path, *folders)
    assert (ended.code, ended.out) == (Exit.USAGE, "")
    assert ended.err == (
        "medidd: --tensorboard: TensorBoard is not installed; pip install 'medidd[tensorboard]'\n"
    )
    assert tree(tmp_path) == before
