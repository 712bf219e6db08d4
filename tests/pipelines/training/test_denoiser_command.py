"""A denoiser is private, made once, and a training that was stopped ends with the same bytes."""

import json
import shutil
import stat
from pathlib import Path

import pytest
import torch
from invented_cohort import Made, Source, called, files_of, public, train_denoiser, tree
from safetensors.torch import load_file, save_file

import medidd.denoisers.making
from pipelines.learning.beforehand.denoisers import PUBLIC
from pipelines.run.films import Studies
from pipelines.run.store import Run
from pipelines.training.denoiser import BEARS, Denoiser, run, too_long

WEIGHTS, STATE = "denoiser.safetensors", ".denoiser.safetensors.state"


def job(source: Source, folder: Path, **changed: object) -> Denoiser:
    """What ``train_denoiser`` runs."""
    how = {"steps": 3, "batch": 8, "device": "cpu", "resume": True}
    return Denoiser(Studies(source.folder, size=16), folder, **how | changed)  # type: ignore[arg-type]


def stopped(job: Denoiser, stage: str, events: int) -> None:
    """Runs a job and stops it at an event of a stage."""
    progress = run(job)
    for event in progress:
        events -= event.stage == stage
        if not events:
            break
    progress.close()


def test_only_the_owner_can_read_a_denoiser_and_nothing_half_written_is_left(
    denoiser: Made,
) -> None:
    folders = [denoiser.path, *(path for path in denoiser.path.rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    files = files_of(denoiser.path)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}
    outside = {name for name in files if not name.startswith("private/")}
    assert outside == {"denoiser.json", WEIGHTS, "run.json"}


def test_it_is_said_that_it_must_not_leave_and_what_comes_next(denoiser: Made) -> None:
    assert "a denoiser of 3 updates; it holds information from the films" in denoiser.ended.out
    assert "must not leave" in denoiser.ended.out
    next_one = f"medidd distill --method minimax --denoiser {denoiser.path}"
    assert f"{next_one}, with the same films, size and seed" in denoiser.ended.out
    assert "train the denoiser: 3/3, loss " in denoiser.ended.err


def test_a_denoiser_that_was_stopped_is_finished_to_the_same_bytes(
    denoiser: Made, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(medidd.denoisers.making, "SAVED_EVERY", -1.0)
    whole = job(source, tmp_path / "denoiser")
    for stage, events in (("read films", 20), ("train the denoiser", 3), ("train the denoiser", 2)):
        stopped(whole, stage, events)
        # Whoever is killed leaves what he was at.
        (whole.out / f".{WEIGHTS}.part").write_bytes(b"half")
    assert (whole.out / STATE).stat().st_mode & 0o777 == 0o600
    assert not (whole.out / WEIGHTS).exists()
    for _ in run(whole):
        pass
    assert public(whole.out) == public(denoiser.path)


def test_a_denoiser_is_not_trained_again_unless_asked(denoiser: Made, source: Source) -> None:
    before = tree(denoiser.path)
    assert train_denoiser(source, denoiser.path).code == 2
    other = train_denoiser(source, denoiser.path, "--resume", "--lr", 0.01, "--steps", 4)
    assert other.code == 2
    assert "differs in lr, steps;" in other.err
    ended = train_denoiser(source, denoiser.path, "--resume", "--json")
    assert (ended.code, json.loads(ended.out)["denoiser"]) == (0, str(denoiser.path))
    assert tree(denoiser.path) == before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--size", 50), "--size: a denoiser draws images of a multiple of 16 px, not 50"),
        (("--size", 256), "--size: a denoiser draws images of at most 224 px, not 256"),
        (("--steps", 0), "--steps"),
        (("--lr", "nan"), "--lr"),
        (("--preset", "small"), "--preset"),
        (("--weights", "nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_trained_is_said_in_one_line_before_films_are_read(
    source: Source, tmp_path: Path, options: tuple[object, ...], told: str
) -> None:
    ended = train_denoiser(source, tmp_path / "denoiser", *options)
    assert ended.code == 2
    assert told in ended.err
    assert "read films" not in ended.err
    assert len(ended.err.splitlines()) == 1
    assert not (tmp_path / "denoiser").exists()


def test_public_weights_are_where_the_training_begins_and_are_kept_with_it(
    denoiser: Made, source: Source, tmp_path: Path
) -> None:
    begun = denoiser.path / WEIGHTS
    ended = train_denoiser(
        source, tmp_path / "denoiser", "--weights", begun, "--steps", 1, "--lr", 1e-9
    )
    assert ended.code == 0, ended.err
    one, other = load_file(begun), load_file(tmp_path / "denoiser" / WEIGHTS)
    assert all(torch.allclose(one[name], other[name], atol=1e-6) for name in one)
    kept = Run(tmp_path / "denoiser").private / PUBLIC
    assert kept.read_bytes() == begun.read_bytes()
    assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["damaged", "of another network"])
def test_public_weights_that_do_not_fit_are_refused_and_leave_nothing(
    source: Source, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "weights.safetensors"
    if kind == "damaged":
        path.write_bytes(b"no weights")
    else:
        save_file({"conv_in.conv.weight": torch.zeros(3, 3)}, path)
    ended = train_denoiser(source, tmp_path / "denoiser", "--weights", path)
    assert ended.code == 2
    *_, line = ended.err.splitlines()
    assert "weights.safetensors: " in line
    assert "--weights" in line
    assert not (tmp_path / "denoiser").exists()


def test_so_many_epochs_that_samples_lean_to_members_are_warned_of_before_training(
    source: Source, tmp_path: Path
) -> None:
    progress = run(job(source, tmp_path / "denoiser", steps=1000, batch=64))
    event = next(event for event in progress if event.stage.startswith(("length", "train")))
    progress.close()
    assert event.stage == "length of the training"
    assert "an audit may refuse them" in event.note
    assert "--steps " in event.note
    shutil.rmtree(tmp_path / "denoiser")
    few = [event.stage for event in run(job(source, tmp_path / "denoiser"))]
    assert "length of the training" not in few


@pytest.mark.parametrize(("films", "epochs"), [*BEARS, (500, 60), (140, 30), (10_000, 5)])
def test_the_warning_begins_where_leaning_was_measured(
    source: Source, tmp_path: Path, films: int, epochs: int
) -> None:
    def told(of: int) -> str:
        steps = of * films // 25
        return too_long(job(source, tmp_path, steps=steps, batch=25).configuration(), films)

    assert told(epochs) == ""
    assert f"--steps {round(epochs * films / 25)}, " in told(2 * epochs)


def test_a_preset_says_how_large_a_denoiser_is(source: Source, tmp_path: Path) -> None:
    small, large = (
        job(source, tmp_path, preset=preset, steps=None).configuration()
        for preset in ("cpu", "gpu")
    )
    assert sum(small.shape.filters) < sum(large.shape.filters)
    assert small.training.steps < large.training.steps
    assert job(source, tmp_path, preset=None).configuration().shape == small.shape


def test_a_folder_that_holds_something_else_is_not_touched(source: Source, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    ended = train_denoiser(source, tmp_path / "mine")
    assert ended.code == 2
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_denoiser_is_no_run(denoiser: Made) -> None:
    ended = called("audit", denoiser.path)
    assert ended.code == 2
    assert "not a run; make one with medidd distill" in ended.err
