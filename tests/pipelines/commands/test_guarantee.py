"""A release with a guarantee, from the command to the bundle."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from invented_cohort import (
    Ended,
    Made,
    Source,
    called,
    copied,
    files_of,
    forgotten,
    small_job,
    train_experts,
    tree,
)
from ruling import rule
from safetensors.torch import load_file

import pipelines.learning.learn
from medidd.data import NORMALIZATION
from medidd.distill import Classifies
from pipelines.commands import summary
from pipelines.commands.distill import run
from pipelines.learning.opened_run import open_run
from pipelines.run import ledger
from pipelines.run.budget import Budget
from pipelines.run.installation import home
from pipelines.run.release_file import read_release
from pipelines.run.results import read_audit
from pipelines.run.store import Run, read_json

TINY = ("--size", 16, "--width", 4, "--device", "cpu", "--patients", 100)


ACCEPTED = ("--accept-inconclusive", "looked at", "--approver", "the data protection officer")


def distill(source: Source, to: Path, *more: object) -> Ended:
    """A small run with the guarantee that nobody has to ask for."""
    return called("distill", "--dicom-dir", source.folder, "--ipc", 2, *TINY, "--out", to, *more)


def answers(path: Path) -> list[bytes]:
    """The noisy answers of a run, in their order."""
    return [one.read_bytes() for one in sorted(Run(path).answers.glob("*.npy"))]


@pytest.fixture(scope="module")
def guaranteed(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A finished run with a guarantee; not to be changed."""
    path = tmp_path_factory.mktemp("guaranteed") / "run"
    with forgotten():
        ended = distill(source, path, "--json")
        shutil.copytree(home() / "ledger", path.parent / "ledger")
        shutil.copy(home() / "entries", path.parent)
    assert ended.code == 0, ended.err
    return Made(path, ended, source)


def remember(guaranteed: Made) -> None:
    """Puts back the account of the run, which is forgotten after every test."""
    shutil.rmtree(home() / "ledger", ignore_errors=True)
    shutil.copytree(guaranteed.path.parent / "ledger", home() / "ledger")
    shutil.copy(guaranteed.path.parent / "entries", home())


def budgets() -> list[ledger.Entry]:
    """What was reserved."""
    return [one for one in ledger.entries() if one.kind == "budget"]


@pytest.fixture(scope="module")
def bundle(guaranteed: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its bundle; not to be changed."""
    folder = tmp_path_factory.mktemp("left") / "bundle"
    with forgotten():
        remember(guaranteed)
        ended = called("export", guaranteed.path, "--to", folder)
        if "this is chance" in ended.err:  # one audit of many on so few patients
            ended = called("export", guaranteed.path, "--to", folder, *ACCEPTED)
    assert ended.code == 0, ended.err
    return folder


def test_the_default_asks_once_and_states_what_it_promises(guaranteed: Made) -> None:
    said = json.loads(guaranteed.ended.out)
    promise = said["guarantee"]
    assert said["method"] == "moments"
    assert (promise["epsilon"], promise["delta"], promise["releases"]) == (2, 1e-5, 1)
    assert promise["mu"] == pytest.approx(1 / promise["sigma"])
    assert promise["an attacker reaches at most"]["AUC"] == pytest.approx(0.639, abs=1e-3)
    assert len(answers(guaranteed.path)) == 1
    assert {"synthetic", "own", "class-mean", "full"} <= said["metrics"].keys()
    assert "<td>epsilon</td><td>2 (moderate)</td>" in (guaranteed.path / "report.html").read_text()


def test_nothing_that_is_about_patients_leaves(bundle: Path) -> None:
    manifest, audit = (read_json(bundle / name) for name in ("manifest.json", "audit.json"))
    assert manifest["metrics"] == {}
    assert audit["verdict"] == "GUARANTEED"
    assert audit["guarantee"] == manifest["guarantee"]
    assert not {"findings", "power", "patients", "wording", "audited before"} & audit.keys()
    assert "Audited before" not in (bundle / "audit.html").read_text()
    card = (bundle / "README.md").read_text()
    assert "| epsilon | 2 (moderate) |" in card
    assert not [word for word in ("interval", "| synthetic |", "| random |", "ROC") if word in card]
    page = (bundle / "audit.html").read_text()
    assert "It does not bound T6" in page
    assert set(audit["inside"]["room"].values()) == {8192.0, 1024.0, 26.6}  # 4 images, 16 px
    assert called("verify", bundle).code == 0


OWN = """
import sys
import torch
from own import classifier
torch.save(classifier()(torch.load(sys.argv[1], weights_only=True)), sys.argv[2])
"""


def test_a_recipient_makes_the_methods_own_classifier_from_the_bundle(
    bundle: Path, guaranteed: Made, tmp_path: Path
) -> None:
    opened = open_run(Run(guaranteed.path))
    films = NORMALIZATION.standardize(opened.patients.test.images)
    # Their negatives, too: noise can make a classifier sure of one class for every film.
    seen = torch.cat([films, -films, films / 100])
    method, released = opened.recipe.method, read_release(opened.run).synthetic(torch.device("cpu"))
    assert isinstance(method, Classifies)
    theirs = method.classifier(released, torch.Generator())(seen)
    torch.save(seen, tmp_path / "films.pt")
    subprocess.run(
        [sys.executable, "-c", OWN, tmp_path / "films.pt", tmp_path / "found.pt"],
        cwd=shutil.copytree(bundle, tmp_path / "received"),
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        check=True,
    )
    own = torch.load(tmp_path / "found.pt", weights_only=True)
    torch.testing.assert_close(own, theirs, rtol=0, atol=1e-5)
    assert own[:, 1].std() > 1e-3
    assert f"{method.classifies_by}. `own.py` makes it" in (bundle / "README.md").read_text()


@pytest.mark.parametrize(
    ("audit", "verdict", "open_to"),
    [("A6", "FAIL", "a person"), ("A0", "INVALID", "a person"), ("G4", "FAIL", "nobody")],
)
@pytest.mark.usefixtures("bundle")  # which audits what is exported here
def test_what_attacks_find_needs_a_person_and_what_files_hold_forbids(
    guaranteed: Made, tmp_path: Path, audit: str, verdict: str, open_to: str
) -> None:
    remember(guaranteed)
    path = copied(guaranteed.path, tmp_path / "run")

    def planted(findings: list[dict[str, str]]) -> None:
        for finding in findings:
            finding["verdict"] = verdict if finding["audit"] == audit else "PASS"

    rule(Run(path), planted)
    said = summary.of(Run(path), 1.0).lines
    assert [line.split()[:2] for line in said if line.startswith(audit)] == [[audit, verdict]]
    said = summary.of_audit(path, read_audit(Run(path))).lines
    assert f"{path}: {verdict} because of {audit}." in said
    assert ("unless a person accepts" in said[-1]) == (open_to == "a person")
    refused = called("export", path, "--to", tmp_path / "bundle")
    assert (refused.code, (tmp_path / "bundle").exists()) == (6, False)
    accepted = called("export", path, "--to", tmp_path / "bundle", *ACCEPTED)
    assert accepted.code == (0 if open_to == "a person" else 6), accepted.err
    if open_to == "a person":
        texts = [(name, one.read_bytes()) for name, one in files_of(tmp_path / "bundle").items()]
        assert not [name for name, data in texts if b"protection officer" in data]
        assert ledger.entries()[-1].accepted.reason == "looked at"


def test_no_other_run_may_ask_these_patients(
    guaranteed: Made, source: Source, tmp_path: Path
) -> None:
    first = distill(source, tmp_path / "first")
    assert first.code == 0, first.err
    before = tree(tmp_path)
    again = distill(source, tmp_path / "second", "--seed", 1)
    assert again.code == 6
    assert "have spent epsilon 2.00 of 2" in again.err
    assert tree(tmp_path) == before
    # Noise has no seed: the same command on the same films gives other bytes.
    one, other = (Run(path).release for path in (tmp_path / "first", guaranteed.path))
    assert not torch.equal(load_file(one)["images"], load_file(other)["images"])


def test_a_total_that_was_declared_allows_a_second_release(source: Source, tmp_path: Path) -> None:
    total = ("--epsilon", 1, "--total-epsilon", 2)
    assert distill(source, tmp_path / "first", *total).code == 0
    assert distill(source, tmp_path / "second", "--epsilon", 1, "--seed", 1).code == 0
    assert [entry.total for entry in budgets()] == [2, 2]


DC = {"method": "dc", "settings": {"inner_steps": 2, "net_epochs": 1, "repeats": 1}, "steps": 6}


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A checkpoint after every path."""
    monkeypatch.setattr(pipelines.learning.learn, "CHECKPOINT_EVERY", 0.0)
    return


@pytest.mark.parametrize("stopped", [1, 4])
@pytest.mark.usefixtures("eager")
def test_a_run_that_goes_on_gets_the_answers_that_it_had(
    source: Source, tmp_path: Path, stopped: int
) -> None:
    budget = Budget(5.0, patients=2000)
    job = small_job(source, tmp_path / "run", budget=budget, resume=True, **DC)
    progress = run(job)
    steps = 0
    for event in progress:
        steps += event.stage.startswith("distil")
        if steps == stopped + 1:
            break
    progress.close()
    had = answers(job.out)
    assert len(had) == stopped
    for _ in run(job):
        pass
    assert answers(job.out)[:stopped] == had
    assert len(answers(job.out)) == 6
    (entry,) = budgets()
    (spent,) = entry.spent
    assert spent.releases == 6


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--start", "kmeans"), "needs --start noise"),
        (("--method", "kmeans"), "choose a method"),
        (("--method", "dm", "--preset", "paper"), "leave it out"),
        (("--method", "dm", "--teachers", "2"), "leave it out"),
        (("--method", "dm", "--set", "bank=0", "--epsilon", 0.1), "needs about"),
        (("--epsilon", 11), "at most 10"),
        (("--epsilon", "nan"), "at most 10"),
        (("--delta", 1e-3, "--patients", 5000), "--delta"),
        (("--epsilon", "none", "--total-epsilon", 3), "--total-epsilon"),
    ],
)
def test_what_a_guarantee_forbids_is_refused_with_a_remedy(
    source: Source, tmp_path: Path, asked: tuple[object, ...], said: str
) -> None:
    ended = distill(source, tmp_path / "run", *asked)
    assert ended.code == 2
    assert said in ended.err
    assert not (tmp_path / "run").exists()
    assert not budgets()


def test_without_a_patient_there_is_no_guarantee(source: Source, tmp_path: Path) -> None:
    import pydicom

    for path in source.folder.rglob("*.dcm"):
        film = pydicom.dcmread(path)
        film.PatientID = ""
        to = tmp_path / "studies" / path.relative_to(source.folder)
        to.parent.mkdir(parents=True, exist_ok=True)
        film.save_as(to)
    (tmp_path / "labels.csv").write_text(source.labels.read_text())
    nameless = Source(tmp_path / "studies", {}, frozenset())
    ended = distill(nameless, tmp_path / "run")
    assert ended.code == 3
    assert "no guarantee per patient" in ended.err
    assert not budgets()


def test_experts_with_a_guarantee_serve_runs_at_no_further_cost(
    source: Source, tmp_path: Path
) -> None:
    promise = ("--epsilon", 10, "--patients", 200)
    ended = train_experts(source, tmp_path / "experts", *promise)
    assert ended.code == 0, ended.err
    matching = ("--set", "inner_steps=2", "--set", "expert_epochs=1", "--set", "last_start=2")
    mtt = ("--method", "mtt", "--experts", tmp_path / "experts", *matching, "--steps", 3)
    ended = distill(source, tmp_path / "run", *mtt, *promise, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["guarantee"]["releases"] == 2 * 3 * 2
    assert len(budgets()) == 1
    (found,) = (
        one for one in read_audit(Run(tmp_path / "run"))["findings"] if one["audit"] == "G3"
    )
    assert found["verdict"] == "PASS"
    other = distill(source, tmp_path / "other", *mtt, "--epsilon", 9, "--patients", 200)
    assert (other.code, "what was trained has epsilon 10" in other.err) == (2, True)


def test_an_audit_of_planted_patients_uses_the_mechanism(guaranteed: Made, tmp_path: Path) -> None:
    path = copied(guaranteed.path, tmp_path / "run")
    ended = called("audit", path, "--json")
    assert ended.code == 0, ended.err
    kept = [np.load(one) for one in (path / "private" / "nulls").rglob("answer-*.npy")]
    assert len({len(one) for one in kept}) <= 1
    names = [name for name in files_of(path) if name.startswith("private/nulls")]
    assert kept or not names


def test_a_run_that_stops_after_its_reservation_keeps_its_folder(
    source: Source, tmp_path: Path
) -> None:
    short = ("--method", "soft-label", "--set", "horizon=3", "--set", "window=3")
    wild = (*short, "--set", "constraint=none", "--set", "lr_labels=1e30", "--epsilon", 10)
    stopped = distill(source, tmp_path / "run", *wild)
    assert stopped.code == 2, stopped.err
    assert len(budgets()) == 1
    assert answers(tmp_path / "run")


@pytest.mark.parametrize("epsilon", ["2", "none"])
def test_patients_whose_headers_decide_about_others_get_no_guarantee(
    source: Source, tmp_path: Path, epsilon: str
) -> None:
    import pydicom

    shutil.copytree(source.folder, tmp_path / "studies")
    (tmp_path / "labels.csv").write_text(source.labels.read_text())
    first, second = sorted((tmp_path / "studies").rglob("0.dcm"))[:2]
    one, other = (pydicom.dcmread(path) for path in (first, second))
    other.SOPInstanceUID = one.SOPInstanceUID
    other.save_as(second)
    entangled = Source(tmp_path / "studies", {}, frozenset())
    ended = distill(
        entangled, tmp_path / "run", "--method", "dm", "--epsilon", epsilon, "--steps", 1
    )
    if epsilon == "none":
        assert ended.code == 0, ended.err
    else:
        assert (ended.code, "conflicting_duplicate" in ended.err) == (3, True), ended.err
        assert not (tmp_path / "run").exists()


def test_a_run_is_exported_only_where_its_budget_is_known(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert distill(source, tmp_path / "run").code == 0
    home = tmp_path / "home"
    home.mkdir()
    (home / "key").write_bytes((Path(os.environ["MEDIDD_HOME"]) / "key").read_bytes())
    monkeypatch.setenv("MEDIDD_HOME", str(home))
    ended = called("export", tmp_path / "run", "--to", tmp_path / "bundle")
    if "this is chance" in ended.err:  # as above
        ended = called("export", tmp_path / "run", "--to", tmp_path / "bundle", *ACCEPTED)
    assert (ended.code, "does not know what this run has spent" in ended.err) == (6, True), (
        ended.err
    )
    assert not (tmp_path / "bundle").exists()


def test_a_release_is_made_again_from_its_answers_and_asks_nobody(
    guaranteed: Made, tmp_path: Path
) -> None:
    remember(guaranteed)
    path = copied(guaranteed.path, tmp_path / "run")
    account, kept = budgets(), answers(path)
    redo = ("audit", path, "--level", "screen", "--redo")
    assert called(*redo).code == 0
    (finding,) = [one for one in read_json(path / "audit.json")["findings"] if one["audit"] == "G9"]
    assert (finding["verdict"], finding["value"]) == ("PASS", 0)
    assert "noisy answers were used again" in finding["text"]
    assert (budgets(), answers(path)) == (account, kept)
    for one in Run(path).answers.glob("*.npy"):
        one.unlink()
    refused = called(*redo)
    assert (refused.code, "patients must not be asked again" in refused.err) == (3, True)
    assert answers(path) == []
