"""A run that draws its images from a denoiser: what it makes, refuses, and keeps to itself."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from invented_cohort import (
    MATCHING,
    Ended,
    Made,
    Source,
    called,
    copied,
    distill,
    draw,
    files_of,
    public,
    small_job,
    train_denoiser,
)
from safetensors import safe_open
from safetensors.torch import load_file

import pipelines.learning.learn
from pipelines.bundle.contents import contents
from pipelines.commands import distill as command
from pipelines.learning.checkpoint import read_model
from pipelines.reports.comparison import shows_no_film
from pipelines.run.release_file import read_release
from pipelines.run.store import Run

FIELDS = {"path": 2, "memory": 2, "batch": 4, "sampling_steps": 4}
"""What ``DRAWING`` sets."""


def finding(run: Run, name: str) -> dict[str, object]:
    audit = json.loads(run.audit.read_text())
    (found,) = [one for one in audit["findings"] if one["audit"] == name]
    return found  # type: ignore[no-any-return]


def test_a_release_says_that_a_model_drew_it_and_does_not_hold_the_model(drawn: Made) -> None:
    release = read_release(Run(drawn.path))
    said = {name: release.facts[name] for name in ("method", "start", "steps", "ipc")}
    assert said == {"method": "minimax", "start": "denoiser", "steps": 4, "ipc": 3}
    assert {name: release.facts["fields"][name] for name in FIELDS} == FIELDS
    with safe_open(Run(drawn.path).release, "pt") as file:
        assert set(file.keys()) == {"images", "labels"}
    assert len(release.levels.unique(dim=0)) == 6
    assert len(Run(drawn.path).log.read_text().splitlines()) == 4


def test_people_are_told_that_the_images_were_drawn(drawn: Made, made: Made) -> None:
    words = "A diffusion model, which was trained on the real films and is not in this folder, drew"
    card = " ".join(contents(Run(drawn.path))["README.md"].decode().split())
    assert words in card
    assert "They are not radiographs, and they are **not for diagnosis**." in card
    assert (
        "A model that was trained on the films drew the images."
        in Run(drawn.path).report.read_text()
    )
    other = " ".join(contents(Run(made.path))["README.md"].decode().split())
    assert words not in other
    assert "The images were optimised so that" in other
    assert "They are not radiographs, and they are **not for diagnosis**." in other
    assert "optimised to train a network" in Run(made.path).report.read_text()


def test_a_run_keeps_the_model_that_it_learned_for_its_audit(drawn: Made, denoiser: Made) -> None:
    model = read_model(Run(drawn.path).checkpoint, torch.device("cpu"))
    before = load_file(denoiser.path / "denoiser.safetensors")
    assert model.keys() == before.keys()
    assert any(not torch.equal(model[name], before[name]) for name in model)
    assert Run(drawn.path).checkpoint.stat().st_mode & 0o777 == 0o600


def test_without_steps_images_are_drawn_from_the_denoiser_as_it_is(
    denoiser: Made, source: Source, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    ended = draw(source, denoiser.path, run.path, "--steps", 0)
    assert ended.code == 0, ended.err
    model = read_model(run.checkpoint, torch.device("cpu"))
    weights = load_file(denoiser.path / "denoiser.safetensors")
    assert all(torch.equal(model[name], weight) for name, weight in weights.items())
    assert run.log.read_text() == ""
    assert "The images were drawn from the model as it was" in run.report.read_text()
    assert read_release(run).facts["steps"] == 0


def test_a_run_that_was_stopped_ends_with_the_same_bytes(
    drawn: Made, denoiser: Made, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipelines.learning.learn, "CHECKPOINT_EVERY", -1.0)
    how = {"method": "minimax", "denoiser": denoiser.path, "settings": FIELDS, "steps": 4}
    job = small_job(source, tmp_path / "run", **how)
    for event in (progress := command.run(job)):
        if (event.stage, event.done) == ("distil with minimax", 3):
            break
    progress.close()
    assert not Run(job.out or Path()).release.exists()
    ended = draw(source, denoiser.path, tmp_path / "run", "--resume")
    assert ended.code == 0, ended.err
    assert public(tmp_path / "run") == public(drawn.path)


def test_a_run_says_nowhere_where_its_denoiser_is_or_on_which_films_it_was_trained(
    drawn: Made, denoiser: Made
) -> None:
    films = json.loads((denoiser.path / "denoiser.json").read_text())["about"]["films"]
    for name, path in files_of(drawn.path).items():
        assert films.encode() not in path.read_bytes(), name
        assert str(denoiser.path).encode() not in path.read_bytes(), name


def test_a_screening_cannot_pass_such_a_start_and_does_not_forbid_it(drawn: Made) -> None:
    start = finding(Run(drawn.path), "G2")
    assert (start["verdict"], start["name"]) == ("INCONCLUSIVE", "Start through a model of films")
    assert "audit at level standard or full" in str(start["text"])
    assert (
        finding(Run(drawn.path), "A1")["name"] == "Membership from the model that drew the images"
    )
    assert not shows_no_film(read_release(Run(drawn.path)))


Refused = Callable[[Source, Made, Path], Ended]


def unfinished(source: Source, denoiser: Made, path: Path) -> Ended:
    folder = copied(denoiser.path, path.with_name("unfinished"))
    (folder / "denoiser.safetensors").unlink()
    return draw(source, folder, path)


def damaged(source: Source, denoiser: Made, path: Path) -> Ended:
    folder = copied(denoiser.path, path.with_name("damaged"))
    weights = folder / "denoiser.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    return draw(source, folder, path)


def forged(source: Source, denoiser: Made, path: Path) -> Ended:
    folder = copied(denoiser.path, path.with_name("forged"))
    record = folder / "denoiser.json"
    record.write_text(record.read_text().replace('"seed": 0', '"seed": 1'))
    return draw(source, folder, path)


REFUSED: dict[str, tuple[Refused, str]] = {
    "no denoiser": (
        lambda source, _, run: distill(source, run, "--method", "minimax"),
        "minimax needs a denoiser; train with medidd denoiser and give the folder with --denoiser",
    ),
    "a denoiser for another method": (
        lambda source, denoiser, run: distill(source, run, "--denoiser", denoiser.path),
        "dm uses no denoiser; leave out --denoiser",
    ),
    "experts for minimax": (
        lambda source, denoiser, run: draw(source, denoiser.path, run, "--experts", denoiser.path),
        "minimax uses no experts; leave out --experts",
    ),
    "a denoiser in place of experts": (
        lambda source, denoiser, run: distill(
            source, run, "--method", "mtt", "--experts", denoiser.path, *MATCHING
        ),
        "no experts; train with medidd experts",
    ),
    "a folder without a denoiser": (
        lambda source, _, run: draw(source, source.folder, run),
        "no denoiser; train with medidd denoiser",
    ),
    "another start": (
        lambda source, denoiser, run: draw(source, denoiser.path, run, "--start", "kmeans"),
        "--start kmeans: minimax draws its images from noise; leave out --start",
    ),
    "another seed": (
        lambda source, denoiser, run: draw(source, denoiser.path, run, "--seed", 1),
        "trained on other films; use the films, --seed, --epsilon and --patients of that training",
    ),
    "another size": (
        lambda source, denoiser, run: draw(source, denoiser.path, run, "--size", 32),
        "size 16 instead of 32; make one for this run with medidd denoiser",
    ),
    "other films": (
        lambda source, denoiser, run: draw(source, denoiser.path, run, "--voi", "none"),
        "trained on other films",
    ),
    "a guarantee that the denoiser has not": (
        lambda source, denoiser, run: draw(
            source, denoiser.path, run, "--steps", 0, "--epsilon", 2
        ),
        "what was trained has no guarantee; train with the same --epsilon and --delta",
    ),
    "a denoiser that is not finished": (
        unfinished,
        "the denoiser is not finished; continue with medidd denoiser --resume",
    ),
    "damaged weights": (damaged, "denoiser.safetensors: damaged; delete it"),
    "a record that was edited": (forged, "denoiser.json: damaged"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_drawn_is_said_in_one_line_that_names_the_remedy(
    case: str, denoiser: Made, source: Source, tmp_path: Path
) -> None:
    refused, told = REFUSED[case]
    ended = refused(source, denoiser, tmp_path / "run")
    assert ended.code == 2
    *_, line = ended.err.splitlines()
    assert line.startswith("medidd: ")
    assert told in line


def test_a_run_does_not_go_on_with_another_denoiser(
    drawn: Made, source: Source, tmp_path: Path
) -> None:
    assert train_denoiser(source, tmp_path / "other", "--lr", 0.01).code == 0
    ended = draw(source, tmp_path / "other", drawn.path, "--resume")
    assert (ended.code, "differs in denoiser;" in ended.err) == (2, True)


def test_a_sweep_gives_each_method_what_it_needs(
    denoiser: Made, source: Source, tmp_path: Path
) -> None:
    of = ("--dicom-dir", source.folder, "--size", 16, "--width", 4, "--device", "cpu")
    how = ("--epsilon", "none", "--ipc", 2, "--steps", 2, "--workers", 1, "--out", tmp_path / "all")
    both = ("--method", "minimax", "--method", "dm", "--denoiser", denoiser.path)
    ended = called("sweep", *of, *how, *both, "--json")
    assert ended.code == 0, ended.err
    assert [row["method"] for row in json.loads(ended.out)["runs"]] == ["minimax", "dm"]
    others = ("--method", "kmeans", "--method", "dm", "--denoiser", denoiser.path)
    ended = called("sweep", *of, *how[:-1], tmp_path / "others", *others)
    assert (ended.code, "kmeans uses no denoiser" in ended.err) == (2, True)


def test_a_purge_says_that_what_a_denoiser_learned_stays(
    denoiser: Made, source: Source, drawn: Made, tmp_path: Path
) -> None:
    folder = copied(denoiser.path, tmp_path / "denoiser")
    weights = (folder / "denoiser.safetensors").read_bytes()
    told = f"{folder}: what was trained on the films stays, and holds something of them"
    assert told in called("cache", "purge", folder).out
    ended = called("cache", "purge", folder, "--yes")
    assert (ended.code, told in ended.out, "delete the folder" in ended.out) == (0, True, True)
    assert not (folder / "private" / "cohort").exists()
    assert (folder / "denoiser.safetensors").read_bytes() == weights
    assert draw(source, folder, tmp_path / "run").code == 0
    assert train_denoiser(source, folder, "--resume").code == 3
    run = Run(copied(drawn.path, tmp_path / "other"))
    assert "stays" not in called("cache", "purge", run.path, "--yes").out
    assert not run.checkpoint.exists()
