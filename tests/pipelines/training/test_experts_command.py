"""Experts are private, made once, and an audit trains others like them on other patients."""

import json
import shutil
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from invented_cohort import (
    MATCHING,
    Made,
    Source,
    copied,
    distill,
    files_of,
    public,
    train_experts,
    tree,
)

from pipelines.commands import audit
from pipelines.run.films import Studies
from pipelines.run.store import Run
from pipelines.training.experts import Experts, run

PUBLIC = ("experts.json", "expert-0000.npy", "expert-0001.npy", "run.json")


def record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "experts.json").read_text())
    return found


def matched(source: Source, experts: Path, run: Path, *more: object) -> None:
    ended = distill(source, run, "--method", "mtt", "--experts", experts, *MATCHING, *more)
    assert ended.code == 0, ended.err


def test_only_the_owner_can_read_experts_and_nothing_half_written_is_left(experts: Made) -> None:
    folders = [experts.path, *(path for path in experts.path.rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    files = files_of(experts.path)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}
    assert {name for name in files if not name.startswith("private/")} == set(PUBLIC)
    assert [name for name in files if ".part" in name or ".probe" in name] == []


def test_experts_are_as_many_and_as_long_as_was_asked(experts: Made) -> None:
    for number in (0, 1):
        assert len(np.load(experts.path / f"expert-000{number}.npy")) == 4
    training = record(experts.path)["training"]
    asked = {"count": 2, "epochs": 3, "epoch_steps": 2, "batch": 8, "seed": 0}
    assert {name: training[name] for name in asked} == asked
    assert "2 experts" in experts.ended.out
    assert "medidd distill --method mtt --experts" in experts.ended.out
    assert "train experts: 6/6" in experts.ended.err


def test_more_experts_can_be_added(experts: Made, source: Source, tmp_path: Path) -> None:
    copy = tmp_path / "experts"
    shutil.copytree(experts.path, copy)
    studies = Studies(source.folder, size=16)
    small = {"width": 4, "count": 3, "epochs": 3, "epoch_steps": 2, "batch": 8}
    for _ in run(Experts(studies, copy, **small, device="cpu", resume=True)):
        pass
    before, after = files_of(experts.path), files_of(copy)
    kept = "expert-0001.npy"
    assert after[kept].read_bytes() == before[kept].read_bytes()
    assert (copy / "expert-0002.npy").exists()
    assert record(copy)["training"]["count"] == 3


def test_experts_that_were_stopped_are_finished_to_the_same_bytes(
    experts: Made, source: Source, tmp_path: Path
) -> None:
    studies = Studies(source.folder, size=16)
    small = {"width": 4, "count": 2, "epochs": 3, "epoch_steps": 2, "batch": 8}
    job = Experts(studies, tmp_path / "experts", **small, device="cpu", resume=True)
    for stage, events in (("read films", 20), ("train experts", 3), ("train experts", 5)):
        progress = run(job)
        for event in progress:
            events -= event.stage == stage
            if not events:
                break
        progress.close()
        # Whoever is killed leaves what he was at.
        (job.out / ".expert-0001.npy.part").write_bytes(b"half")
    assert (job.out / "expert-0000.npy").exists()
    assert not (job.out / "expert-0001.npy").exists()
    for _ in run(job):
        pass
    assert public(job.out) == public(experts.path)


def test_experts_are_not_trained_again_unless_asked(experts: Made, source: Source) -> None:
    before = tree(experts.path)
    assert train_experts(source, experts.path).code == 2
    other = train_experts(source, experts.path, "--resume", "--lr", 0.02)
    assert other.code == 2
    assert "differs in lr;" in other.err
    assert train_experts(source, experts.path, "--resume").code == 0
    assert tree(experts.path) == before


@pytest.fixture(scope="module")
def run_on_experts(experts: Made, source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; not to be changed."""
    path = tmp_path_factory.mktemp("matched") / "run"
    matched(source, experts.path, path)
    return path


def test_two_runs_on_the_same_experts_are_equal(
    run_on_experts: Path, experts: Made, source: Source, tmp_path: Path
) -> None:
    before = tree(experts.path)
    matched(source, copied(experts.path, tmp_path / "copy"), tmp_path / "run")
    assert public(tmp_path / "run") == public(run_on_experts)
    assert tree(experts.path) == before


def test_a_run_says_nowhere_where_its_experts_are_or_whose(
    run_on_experts: Path, experts: Made
) -> None:
    films = record(experts.path)["about"]["films"]
    for name, path in files_of(run_on_experts).items():
        assert films.encode() not in path.read_bytes(), name
        assert str(experts.path).encode() not in path.read_bytes(), name


def test_a_run_does_not_go_on_with_other_experts(
    run_on_experts: Path, source: Source, tmp_path: Path
) -> None:
    assert train_experts(source, tmp_path / "other", "--lr", 0.02).code == 0
    options = ("--method", "mtt", "--experts", tmp_path / "other", *MATCHING, "--resume")
    ended = distill(source, run_on_experts, *options)
    assert ended.code == 2
    assert "differs in experts;" in ended.err


def test_a_standard_audit_trains_experts_of_its_own_for_each_null_release(
    everybody: Made, tmp_path: Path
) -> None:
    folder, place = tmp_path / "experts", tmp_path / "run"
    assert train_experts(everybody.source, folder).code == 0
    matched(everybody.source, folder, place, "--ipc", 1)
    of_members = record(folder)
    # What the members taught is out of reach of the audit.
    shutil.rmtree(folder)
    stages = {event.stage for event in audit.run(audit.Audit(place))}
    nulls = [record(path) for path in sorted((place / "private/nulls").glob("*-experts"))]
    assert len(nulls) > 1
    films = {one["about"]["films"] for one in [*nulls, of_members]}
    seeds = {one["training"]["seed"] for one in [*nulls, of_members]}
    assert len(films) == len(seeds) == len(nulls) + 1
    for null in nulls:
        assert null["about"] | {"films": 0} == of_members["about"] | {"films": 0}
        assert null["training"] | {"seed": 0} == of_members["training"] | {"seed": 0}
    assert "experts of null release 1" in stages
    said = json.loads(Run(place).audit.read_text())
    (membership,) = [finding for finding in said["findings"] if finding["audit"] == "A2"]
    assert membership["details"]["null releases"] is True
