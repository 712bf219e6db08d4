"""``medidd audit --redo`` makes a release again from its frozen job, and compares every bit."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from invented_cohort import MATCHING, Made, Source, called, copied, distill

import pipelines.learning.learn
from pipelines.auditing.redo import STAGE, again, made_again
from pipelines.learning.making import machines
from pipelines.learning.opened_run import open_run
from pipelines.run.release_file import Release, read_release, write_release
from pipelines.run.results import read_metrics, write_metrics
from pipelines.run.store import Run, read_json, write_json
from privacy.release import BOUND


def redone(run: Run) -> Any:
    """Returns the audit of a screening that makes the release again, and its finding."""
    ended = called("audit", run.path, "--level", "screen", "--redo")
    assert ended.code == 0, ended.err
    assert f"{STAGE}: " in ended.err
    audit = read_json(run.audit)
    (finding,) = [one for one in audit["findings"] if one["audit"] == "G9"]
    return audit, finding


def edited(run: Run, edit: Callable[[Release], Release]) -> Run:
    """Changes a release as somebody inside could."""
    release, metrics = edit(read_release(run)), read_metrics(run)
    shutil.rmtree(run.previews)
    write_release(run, release)
    write_metrics(run, metrics)  # such a person has the key, too
    return run


def low_bits(release: Release) -> Release:
    levels = release.levels.clone()
    levels[0] = levels[0].to(int).bitwise_xor(1).to(levels.dtype)
    return replace(release, levels=levels)


def one_label(release: Release) -> Release:
    labels = release.labels.clone()
    labels[0] = labels[0].flip(0)
    return replace(release, labels=labels)


def elsewhere(run: Run) -> None:
    known = read_json(machines(run))
    write_json(machines(run), [one | {"torch": "1.0"} for one in known])


@pytest.fixture(scope="module")
def matched(source: Source, experts: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that matches experts and learns its step size; not to be changed."""
    path = tmp_path_factory.mktemp("matched") / "run"
    ended = distill(source, path, "--method", "mtt", "--experts", experts.path, *MATCHING)
    assert ended.code == 0, ended.err
    return path


def test_what_nobody_changed_comes_out_the_same(made: Made, tmp_path: Path) -> None:
    run = Run(copied(made.path, tmp_path / "run"))
    _, finding = redone(run)
    assert (finding["verdict"], finding["value"]) == ("PASS", 0)
    assert "sees hidden bits" in finding["text"]
    assert not again(run).exists()
    assert called("audit", run.path, "--level", "screen").code == 0
    assert "G9" not in [one["audit"] for one in read_json(run.audit)["findings"]]


@pytest.mark.parametrize(
    ("edit", "kind", "count"), [(low_bits, "intensities", 256), (one_label, "labels", 2)]
)
def test_hidden_bits_are_seen_and_refuse_the_release(
    made: Made, tmp_path: Path, edit: Callable[[Release], Release], kind: str, count: int
) -> None:
    run = edited(Run(copied(made.path, tmp_path / "run")), edit)
    audit, finding = redone(run)
    assert (finding["verdict"], audit["verdict"]) == ("FAIL", "FAIL")
    assert finding["details"][f"{kind} that differ"] == finding["value"] == count
    assert [reason for reason in audit["reasons"] if reason.startswith("G9: ")]


def test_on_another_computer_a_difference_decides_nothing(made: Made, tmp_path: Path) -> None:
    run = Run(copied(made.path, tmp_path / "run"))
    elsewhere(run)
    assert redone(run)[1]["verdict"] == "PASS"
    _, finding = redone(edited(run, low_bits))
    assert finding["verdict"] == "INCONCLUSIVE"
    assert "torch: 1.0 then" in finding["text"]
    machines(run).unlink()
    assert redone(run)[1]["verdict"] == "INCONCLUSIVE"


def test_experts_are_trained_again_and_step_sizes_compared(matched: Path, tmp_path: Path) -> None:
    run = Run(copied(matched, tmp_path / "run"))
    assert redone(run)[1]["verdict"] == "PASS"

    def step(release: Release) -> Release:
        facts = release.facts | {"step sizes": release.facts["step sizes"] + 1e-5}
        return replace(release, facts=facts)

    _, finding = redone(edited(run, step))
    assert (finding["verdict"], finding["details"]["step sizes that differ"]) == ("FAIL", 1)


def test_labels_without_a_constraint_leave_within_a_bound(source: Source, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    ended = distill(source, run.path, "--method", "label-solve", "--set", "constraint=none")
    assert ended.code == 0, ended.err
    labels = read_release(run).labels
    assert 1.0 < float(labels.abs().max()) <= BOUND
    audit, finding = redone(run)
    (digits,) = [one for one in audit["findings"] if one["audit"] == "G5"]
    assert (digits["verdict"], finding["verdict"]) == ("PASS", "PASS")


def test_a_redo_that_was_stopped_goes_on(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipelines.learning.learn, "CHECKPOINT_EVERY", 0.0)
    run = Run(copied(made.path, tmp_path / "run"))
    for event in (progress := made_again(open_run(run))):
        if (event.stage, event.done) == (STAGE, 4):
            break
    progress.close()
    continued = made_again(open_run(run))
    assert next(event.done for event in continued if event.stage == STAGE) >= 3
    continued.close()
    _, finding = redone(run)
    assert (finding["verdict"], finding["details"]["went on from a checkpoint"]) == ("PASS", True)
    assert "private/again" in finding["text"]
    assert not again(run).exists()
    assert redone(run)[1]["details"]["went on from a checkpoint"] is False


def test_a_set_made_elsewhere_cannot_be_made_again(made: Made) -> None:
    file = made.path / "synthetic.safetensors"
    films = made.source.folder
    ended = called("audit", "--release", file, "--members", films, "--controls", films, "--redo")
    assert (ended.code, "--redo: for a RUN" in ended.err) == (2, True)
