"""A denoiser with a guarantee: noise is stored, nothing is asked twice, and what is drawn from it
states its guarantee."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from invented_cohort import (
    DRAWING,
    PLAIN,
    Ended,
    Made,
    Source,
    called,
    copied,
    train_denoiser,
)

import medidd.denoisers.making
import pipelines.training.denoiser
from medidd.denoisers.presets import usual
from medidd.denoisers.trained import Configuration
from pipelines.auditing.null_releases import COUNT, null_releases
from pipelines.learning.opened_run import open_run
from pipelines.learning.plan import Plan
from pipelines.run import installation, ledger
from pipelines.run.budget import Budget
from pipelines.run.films import Studies
from pipelines.run.release_file import read_release
from pipelines.run.store import Run, read_json
from pipelines.training.denoiser import Denoiser, run

PROMISE = ("--epsilon", 10, "--patients", 1000)
BUDGET = Budget(10.0, 1e-5, 1000)
STEPS = 3
"""Of ``BRIEF``: the patients are asked as often."""


def tiny(preset: str, size: int, *, seed: int = 0) -> Configuration:
    """A denoiser so small that noise on its gradients is not hopeless at once."""
    made = usual(preset, size, seed=seed)
    return made if made.encoding else replace(made, shape=replace(made.shape, filters=(8, 8)))


@pytest.fixture(autouse=True, scope="module")
def small() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipelines.training.denoiser, "usual", tiny)
        yield


@pytest.fixture(scope="module")
def private(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A denoiser with a guarantee; not to be changed."""
    path = tmp_path_factory.mktemp("private") / "denoiser"
    ended = train_denoiser(source, path, *PROMISE)
    assert ended.code == 0, ended.err
    return Made(path, ended, source)


def draw(source: Source, denoiser: Path, run: Path, *more: object) -> Ended:
    how = ("--method", "minimax", "--denoiser", denoiser, *DRAWING)
    small = ("--size", 16, "--width", 4, "--device", "cpu", "--ipc", 2)
    of = ("distill", "--dicom-dir", source.folder, *small, *how)
    return called(*of, *PROMISE, *more, "--out", run)


def answers(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Run(folder).answers.iterdir())}


def test_few_patients_are_refused_before_they_are_asked(source: Source, tmp_path: Path) -> None:
    before = list(ledger.entries())
    ended = train_denoiser(source, tmp_path / "denoiser", "--epsilon", 1, "--patients", 20)
    assert ended.code == 2
    *_, line = ended.err.splitlines()
    assert line.startswith("medidd: under this guarantee the method needs about ")
    assert "--patients says 20" in line
    assert "--epsilon none" in line
    assert not (tmp_path / "denoiser").exists()
    assert list(ledger.entries()) == before


def test_no_guarantee_covers_large_images_so_they_are_refused(
    source: Source, tmp_path: Path
) -> None:
    ended = train_denoiser(source, tmp_path / "denoiser", "--size", 128, *PROMISE)
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert "no guarantee covers the autoencoder of images above 64 px; use --size 64" in line
    assert not (tmp_path / "denoiser").exists()


def test_every_update_asks_once_and_the_guarantee_is_written_down(private: Made) -> None:
    assert len(answers(private.path)) == STEPS
    stated = read_json(Run(private.path).private / "guarantee.json")
    assert (stated["epsilon"], stated["patients"], stated["releases"]) == (10, 1000, STEPS)
    assert stated["sigma"] == BUDGET.series(STEPS).sigma
    assert Plan(STEPS, stated["numbers"], stated["sigma"]).least_patients > 100
    assert "patients are few: under this guarantee about" in private.ended.err


def test_all_that_is_asked_for_is_in_the_answers(private: Made) -> None:
    stated = read_json(Run(private.path).private / "guarantee.json")
    weights = json.loads((private.path / "denoiser.json").read_text())["configuration"]["shape"]
    assert weights["filters"] == [8, 8]
    sizes = {len(data) for data in answers(private.path).values()}
    (size,) = sizes
    assert size - 8 * stated["numbers"] < 200  # what numpy writes before the numbers


@pytest.mark.parametrize("saved", [-1.0, 600.0])
def test_a_training_that_was_stopped_asks_nothing_twice(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: float
) -> None:
    # A house whose account is empty.
    (tmp_path / "home").mkdir()
    shutil.copy(installation.home() / "key", tmp_path / "home" / "key")
    monkeypatch.setenv("MEDIDD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(medidd.denoisers.making, "SAVED_EVERY", saved)
    job = Denoiser(
        Studies(source.folder, size=16),
        tmp_path / "denoiser",
        steps=STEPS,
        batch=8,
        device="cpu",
        resume=True,
        budget=BUDGET,
    )
    for event in (progress := run(job)):
        if (event.stage, event.done) == ("train the denoiser", 2):
            break
    progress.close()
    before = answers(job.out)
    assert len(before) == 2
    for _ in run(job):
        pass
    after = answers(job.out)
    assert len(after) == STEPS
    assert {name: after[name] for name in before} == before
    spent = [entry for entry in ledger.entries() if entry.kind == "budget"]
    assert [one.release for one in spent] == [read_json(Run(job.out).budget)["run"]]
    assert (job.out / "denoiser.safetensors").exists()


@pytest.fixture(scope="module")
def drawn(private: Made, source: Source, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A finished run; not to be changed."""
    path = tmp_path_factory.mktemp("drawn") / "run"
    ended = draw(source, private.path, path)
    assert ended.code == 0, ended.err
    return Made(path, ended, source)


def test_a_run_that_draws_from_it_states_its_guarantee_and_spends_nothing(
    drawn: Made, private: Made
) -> None:
    stated = read_json(Run(private.path).private / "guarantee.json")
    facts = read_release(Run(drawn.path)).facts
    assert facts["guarantee"] == stated
    assert (facts["steps"], facts["start"]) == (0, "denoiser")
    assert not Run(drawn.path).answers.exists()
    assert not Run(drawn.path).budget.exists()


def test_a_screening_leaves_it_open_and_nobody_is_asked_again_to_redo_it(drawn: Made) -> None:
    audited = json.loads(Run(drawn.path).audit.read_text())
    assert audited["guarantee"]["epsilon"] == 10
    assert {f["audit"]: f["verdict"] for f in audited["findings"]}["G2"] == "INCONCLUSIVE"
    ended = called("audit", drawn.path, "--redo")
    assert ended.code == 2
    assert "training it again would ask the patients again; leave out --redo" in ended.err


def test_denoisers_of_null_releases_ask_with_the_same_noise(drawn: Made, tmp_path: Path) -> None:
    place = Run(copied(drawn.path, tmp_path / "run"))
    for _ in null_releases(open_run(place)):
        pass
    for number in range(COUNT):
        trained = place.private / "nulls" / f"{number}-experts"
        assert len(list((trained / "answers").iterdir())) == STEPS
        assert json.loads((trained / "denoiser.json").read_text())["about"]["size"] == 16


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--steps", 5), "--steps 5: under a guarantee minimax only draws"),
        (("--set", "steps=5"), "--steps 5: under a guarantee minimax only draws"),
        (("--epsilon", 5), "what was trained has epsilon 10, delta 1e-05; train with the same"),
        (("--seed", 1), "trained on other films; use the films, --seed"),
        (PLAIN, "use the films, --seed, --epsilon and --patients of that training"),
        (("--start", "kmeans"), "a guarantee needs --start noise"),
        (("--teachers", 2), "--teachers trains networks on the films"),
    ],
)
def test_what_the_guarantee_does_not_cover_is_refused(
    private: Made, source: Source, tmp_path: Path, options: tuple[object, ...], told: str
) -> None:
    ended = draw(source, private.path, tmp_path / "run", *options)
    assert ended.code == 2
    *_, line = ended.err.splitlines()
    assert told in line
    assert not (tmp_path / "run").exists()


def test_a_plan_of_the_guarantee_says_who_asks() -> None:
    ended = called("dp", "plan", "--method", "minimax")
    assert ended.code == 2
    assert "minimax asks nothing itself; its denoiser asks, once in each of its steps" in ended.err
    ended = called("dp", "plan", "--method", "mtt")
    assert "mtt asks nothing itself; its experts ask" in ended.err
