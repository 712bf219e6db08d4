"""A collaborator tests a model on films of their own, and is warned of what is unlike."""

import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
from invented_cohort import MARK, Source, called, found_in, traces, tree
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.metrics import brier_score_loss, roc_auc_score

from pipelines.models.model_file import read_model


def films_of(source: Source, folder: Path, change: object = None) -> Path:
    """A copy of the studies in which ``change`` may alter each film."""
    for path in source.folder.rglob("*.dcm"):
        film = pydicom.dcmread(path)
        if callable(change):
            change(film)
        to = folder / path.relative_to(source.folder)
        to.parent.mkdir(parents=True, exist_ok=True)
        film.save_as(to)
    (folder / "labels.csv").write_bytes(source.labels.read_bytes())
    return folder


@pytest.fixture(scope="module")
def report(model: Path, source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished test; not to be changed."""
    out = tmp_path_factory.mktemp("report") / "report"
    films = ("--dicom-dir", source.folder, "--labels", source.labels)
    ended = called("test", model, *films, "--out", out, "--device", "cpu")
    assert ended.code == 0, ended.err
    return out


def test_figures_are_those_of_the_films(
    report: Path, model: Path, source: Source, tmp_path: Path
) -> None:
    said = json.loads((report / "test.json").read_text())
    cohort = tmp_path / "cohort"
    asked = ("--dicom-dir", source.folder, "--size", 16, "--burned-in", "keep")
    assert called("ingest", *asked, "--out", cohort).code == 0
    images = np.load(cohort / "private" / "cohort" / "images.npy")
    lines = (cohort / "private" / "cohort" / "films.jsonl").read_text().splitlines()
    labels = np.array([json.loads(line)["label"] for line in lines])
    films = torch.from_numpy(images.astype("float32"))[:, None] / 65535
    positive = read_model(model).probabilities(films)[:, 1].numpy()
    assert said["films"] == len(labels)
    assert said["patients"] == 40
    assert said["metrics"]["auc"]["mean"] == pytest.approx(roc_auc_score(labels, positive))
    brier = brier_score_loss(labels, positive)
    assert said["calibration"]["brier"]["mean"] == pytest.approx(brier, abs=1e-6)
    assert sum(one["films"] for one in said["calibration"]["bins"]) == len(labels)
    low, mean, high = (said["metrics"]["auc"][name] for name in ("low", "mean", "high"))
    assert low <= mean <= high


def test_the_page_is_whole_and_names_nobody(report: Path, source: Source) -> None:
    page = (report / "report.html").read_text()
    assert {path.name for path in report.iterdir()} == {"report.html", "test.json"}
    assert not list(report.parent.glob(".*")), "films stay on the disk"
    for text in ("Sensitivity", "Reliability", "ROC of", "not for diagnosis", "mean of your films"):
        assert text in page
    assert "http" not in page.replace("http-equiv", "")
    assert found_in(tree(report), traces(source)) == []


def test_a_bundle_is_tested_as_its_card_says(sent: Path, source: Source, tmp_path: Path) -> None:
    films = ("--dicom-dir", source.folder)
    ended = called("test", sent, *films, "--out", tmp_path / "report", "--json", "--device", "cpu")
    assert ended.code == 0, ended.err
    said = json.loads(ended.out)
    assert len(said["model"]["bundles"]) == 1
    assert said["network"] == "convnet"
    assert MARK not in ended.out + ended.err


def rank_of(source: Source) -> dict[str, int]:
    """The place of each patient among those of the same class, by PatientID."""
    seen: dict[str, list[str]] = defaultdict(list)
    for study, label in csv.reader(source.labels.read_text().splitlines()[1:]):
        if (patient := source.patient_of[study]) not in seen[label]:
            seen[label].append(patient)
    return {patient: rank for patients in seen.values() for rank, patient in enumerate(patients)}


def test_subgroups_have_figures_or_are_said_to_be_too_few(
    model: Path, source: Source, tmp_path: Path
) -> None:
    rank = rank_of(source)

    def given(film: pydicom.Dataset) -> None:
        film.PatientSex = "F" if rank[film.PatientID] < 12 else "M"

    folder = films_of(source, tmp_path / "films", given)
    out = tmp_path / "report"
    ended = called("test", model, "--dicom-dir", folder, "--out", out, "--json")
    assert ended.code == 0, ended.err
    groups = {(g["trait"], g["group"]): g for g in json.loads(ended.out)["groups"]}
    assert (groups["sex", "F"]["patients"], groups["sex", "M"]["patients"]) == (24, 16)
    assert 0 <= groups["sex", "F"]["metrics"]["auc"]["mean"] <= 1
    assert groups["sex", "M"]["metrics"] is None
    page = (out / "report.html").read_text()
    assert "sex F" in page
    assert "Without figures" in page


def test_films_of_the_official_test_split_alone_are_tested(
    model: Path, source: Source, tmp_path: Path
) -> None:
    table, rank = tmp_path / "labels.csv", rank_of(source)
    rows = [
        f"{study},{label},{'test' if rank[source.patient_of[study]] % 2 else 'train'}"
        for study, label in csv.reader(source.labels.read_text().splitlines()[1:])
    ]
    table.write_text("\n".join(["StudyInstanceUID,label,split", *rows]) + "\n")
    films = ("--dicom-dir", source.folder, "--labels", table)
    ended = called("test", model, *films, "--out", tmp_path / "report", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["patients"] == 20


def test_classes_of_the_films_must_be_those_of_the_model(
    model: Path, source: Source, tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(source.labels.read_text().replace("pneumonia", "fracture"))
    films = ("--dicom-dir", source.folder, "--labels", table)
    ended = called("test", model, *films, "--out", tmp_path / "report")
    assert (ended.code, ended.err.count("\n")) == (3, 1)
    assert "--rename" in ended.err
    assert not (tmp_path / "report").exists()
    ended = called(
        "test", model, *films, "--out", tmp_path / "report", "--rename", "fracture=pneumonia"
    )
    assert ended.code == 0, ended.err


def test_what_is_no_model_or_of_another_version_is_refused(
    model: Path, source: Source, tmp_path: Path
) -> None:
    def asked(subject: Path) -> tuple[int, str]:
        ended = called("test", subject, "--dicom-dir", source.folder, "--out", tmp_path / "out")
        assert ended.err.count("\n") == 1
        assert not (tmp_path / "out").exists()
        return ended.code, ended.err

    code, said = asked(source.folder)
    assert code == 2
    assert "neither a model nor a bundle" in said
    code, said = asked(source.labels)
    assert code == 2
    assert "damaged, or not a model" in said
    with safe_open(model / "model.safetensors", "pt") as file:
        facts = json.loads(file.metadata()["medidd model"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    later = tmp_path / "later"
    later.mkdir()
    for change, why in (
        ({"version": 2}, "a model of another version"),
        ({"network": "unheard-of"}, "damaged"),
        ({"width": 8}, "damaged"),
        ({"networks": 3}, "damaged"),
        ({"reading": {"voi": "none of these"}}, "damaged"),
        ({"classes": ["one"]}, "damaged"),
        ({"about": facts["about"] | {"bundles": []}}, "damaged"),
        ({"about": facts["about"] | {"own films": "some"}}, "damaged"),
        ({"about": 1}, "damaged"),
    ):
        save_file(
            tensors, later / "model.safetensors", {"medidd model": json.dumps(facts | change)}
        )
        code, said = asked(later)
        assert code == 2
        assert why in said, change
