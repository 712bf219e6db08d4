"""Every method runs from the command line to its report, and says what it released."""

import json
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from invented_cohort import MATCHING, SMALL, Made, Source, called, distill, files_of
from PIL import Image
from safetensors import safe_open

import pipelines.evaluation.utility
from medidd.architectures import ARCHITECTURES
from medidd.data import Normalization, SyntheticSet
from medidd.fields import fields
from medidd.methods import METHODS
from medidd.methods.dd import DD
from medidd.scores.films import score
from pipelines.learning.opened_run import open_run
from pipelines.learning.settings import INGREDIENTS, TRAINED
from pipelines.run.release_file import read_release
from pipelines.run.results import read_audit, read_metrics
from pipelines.run.seeds import derived, generator
from pipelines.run.store import Run

QUICK: dict[str, tuple[str, ...]] = {
    "dd": ("epochs=2",),
    "soft-label": ("horizon=2", "window=1"),
    "dc": ("inner_steps=2", "net_epochs=1"),
    "dsa": ("inner_steps=2", "net_epochs=1", "augment=[crop, scale]"),
    "idc": ("inner_steps=2", "net_steps=1"),
    "minimax": ("path=2", "memory=2", "batch=4", "sampling_steps=2"),
}

Ran = Callable[[str], Made]


@pytest.fixture(scope="module")
def ran(
    source: Source, experts: Made, denoiser: Made, tmp_path_factory: pytest.TempPathFactory
) -> Ran:
    """Runs a method with two steps and one image per class, once; not to be changed."""

    @cache
    def run(name: str) -> Made:
        path = tmp_path_factory.mktemp(name) / "run"
        fields = [word for field in QUICK.get(name, ()) for word in ("--set", field)]
        own = ("--experts", experts.path, *MATCHING) if name in ("mtt", "tesla") else ()
        own = ("--denoiser", denoiser.path) if name == "minimax" else own
        asked = ("--method", name, "--ipc", 1, "--steps", 2, *fields, *own)
        return Made(path, distill(source, path, *asked), source)

    return run


def facts_of(run: Path) -> dict[str, Any]:
    facts: dict[str, Any] = read_release(Run(run)).facts
    return facts


def plain(value: object) -> bool:
    """Tells whether a value is a number, a word, nothing, or a list of such."""
    return isinstance(value, int | float | str | None) or (
        isinstance(value, list) and all(map(plain, value))
    )


@pytest.mark.parametrize("name", METHODS)
def test_a_method_runs_from_films_to_a_report(name: str, ran: Ran) -> None:
    made = ran(name)
    assert made.ended.code == 0, made.ended.err
    release, kind = read_release(Run(made.path)), METHODS[name]
    shown = 4 if name == "idc" else 1
    assert release.levels.shape == (2 * shown, 1, 16, 16)
    assert (release.facts["method"], release.facts["ipc"]) == (name, shown)
    log = [json.loads(line) for line in (made.path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [1, 2]
    metrics = read_metrics(Run(made.path))
    baselines = {"synthetic", "random", "kmeans", "average", "full"}
    assert set(metrics) == baselines | ({"own"} if hasattr(kind, "classifier") else set())
    assert ("step sizes" in release.facts) == hasattr(kind, "prepare")
    page = (made.path / "report.html").read_text()
    assert f">{name}<" in page or f" {name}" in page
    audit = read_audit(Run(made.path))
    assert audit["level"] == "screen"
    # What a release says of itself is computed anew from its job, for every method.
    (found,) = (one for one in audit["findings"] if one["audit"] == "G3")
    assert found["verdict"] == "PASS"


@pytest.mark.parametrize("name", METHODS)
def test_the_fields_of_a_release_are_values_and_nothing_else(name: str, ran: Ran) -> None:
    facts = facts_of(ran(name).path)
    declared = fields(METHODS[name]).keys()
    assert set(facts["fields"]) == declared - {*INGREDIENTS, *TRAINED}
    assert all(map(plain, facts["fields"].values())), facts["fields"]
    assert facts["fields"]["steps"] == facts["steps"] == 2
    named = {of: INGREDIENTS[of] for of in INGREDIENTS if of in declared}
    named |= {"width": 4} if "network" in declared else {}
    assert facts["ingredients"] == named
    if name == "dsa":
        assert facts["fields"]["augment"] == ["crop", "scale"]


@pytest.mark.parametrize("name", ["dd", "kip"])
def test_a_classifier_of_the_methods_own_is_told_of_everywhere(name: str, ran: Ran) -> None:
    made = ran(name)
    own = read_metrics(Run(made.path))["own"]
    assert "method&#39;s own classifier" in (made.path / "report.html").read_text()
    ((_, _, told),) = [
        line.partition("method's own classifier")
        for line in made.ended.out.splitlines()
        if "own classifier" in line
    ]
    assert told.split()[0] == f"{own['auc']['mean']:.3f}"


def test_what_dds_own_program_is_worth_follows_from_the_file_alone(ran: Ran) -> None:
    run = Run(ran("dd").path)
    with safe_open(run.release, "pt") as file:
        levels, labels = file.get_tensor("images"), file.get_tensor("labels")
        facts = json.loads(file.metadata()["medidd"])
    assert np.shape(facts["step sizes"]) == (2,)
    scale = dict(facts["normalization"])
    display = levels.to(torch.float32) / scale.pop("levels")
    normalization = Normalization(**scale)
    released = SyntheticSet(
        normalization.standardize(display), labels, torch.tensor(facts["step sizes"]).log()
    )
    of = facts["ingredients"]
    dd = DD(ARCHITECTURES[of["network"]](2, 1, 16, width=of["width"]), **facts["fields"])
    seed = facts["seed"]
    test = open_run(run).patients.test
    seen = normalization.standardize(test.images)
    predicted = [
        dd.classifier(released, generator(seed, "evaluate", "convnet", "own", number))(seen)
        for number in range(pipelines.evaluation.utility.NETWORKS)
    ]
    draws = derived(seed, "bootstrap") % 2**32
    found = score(predicted, test.labels, np.array(test.patients), seed=draws)
    own = read_metrics(run)["own"]
    for metric, interval in found.items():
        assert interval.mean == pytest.approx(own[metric]["mean"], abs=1e-6), metric


def test_a_mosaic_is_released_unfolded_and_compared_with_as_many_films(
    everybody: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    def begin(*given: Any, **asked: Any) -> SyntheticSet:
        drawn.append(asked["ipc"])
        return original(*given, **asked)

    original = pipelines.evaluation.utility.begin
    monkeypatch.setattr(pipelines.evaluation.utility, "begin", begin)
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    fields = ("--method", "idc", "--set", "inner_steps=2", "--set", "net_steps=1")
    ended = distill(everybody.source, run, *fields, "--ipc", 1)
    assert ended.code == 0, ended.err
    assert set(drawn) == {4}
    assert "8 synthetic images of 16x16 px, 4 for each of" in ended.out
    names = {f"class{label}_{number}.png" for label in (0, 1) for number in range(4)}
    assert {path.name for path in (run / "previews").iterdir()} == names
    assert (run / "report.html").read_text().count("<img") == 8 + 2
    ended = called("export", run, "--to", bundle)
    assert ended.code == 0, ended.err
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=bundle, check=True)
    assert {name for name in files_of(bundle) if name.endswith(".png")} == {
        f"previews/{name}" for name in names
    }
    rows = (bundle / "labels.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == [f"previews/{name}" for name in sorted(names)]
    with Image.open(bundle / "previews" / "class1_3.png") as picture:
        shown = np.asarray(picture, dtype=float) / 255
    np.testing.assert_allclose(shown, read_release(Run(run)).display[7, 0].numpy(), atol=1e-5)


def test_the_preset_of_the_paper_is_what_is_run_but_for_what_is_set(
    source: Source, tmp_path: Path
) -> None:
    asked = ("--method", "dd", "--preset", "paper", "--set", "epochs=1", "--steps", 1, "--ipc", 2)
    assert distill(source, tmp_path / "run", *asked).code == 0
    paper = METHODS["dd"].paper[1]
    assert paper["epochs"] != 1
    fields = facts_of(tmp_path / "run")["fields"]
    assert {name: fields[name] for name in paper} == {**paper, "epochs": 1, "steps": 1}
    job = json.loads((tmp_path / "run" / "run.json").read_text())["job"]
    assert (job["preset"], job["settings"]) == ("paper", {"epochs": 1})


def test_a_network_set_by_name_is_the_one_that_is_used(
    source: Source, ran: Ran, tmp_path: Path
) -> None:
    asked = ("--method", "dm", "--ipc", 1, "--steps", 2, "--set", "network=mlp")
    assert distill(source, tmp_path / "run", *asked).code == 0
    ours, theirs = (read_release(Run(run)).levels for run in (tmp_path / "run", ran("dm").path))
    assert not torch.equal(ours.int(), theirs.int())


@pytest.mark.parametrize("name", ["dd", "mtt", "idc", "label-solve", "minimax"])
def test_a_dry_run_takes_a_few_steps_of_any_method(
    name: str, source: Source, experts: Made, denoiser: Made, tmp_path: Path
) -> None:
    needed = {"mtt": ("--experts", experts.path), "minimax": ("--denoiser", denoiser.path)}
    own = needed.get(name, ())
    asked = ("--dicom-dir", source.folder, "--ipc", 1, *SMALL, "--out", tmp_path / "run")
    ended = called("distill", *asked, "--method", name, *own, "--dry-run")
    assert ended.code == 0, ended.err
    assert f"would make {8 if name == 'idc' else 2} images" in ended.out
    assert not (tmp_path / "run").exists()
