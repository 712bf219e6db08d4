"""A bundle of patches: its recipient's films are cut alike, and are never classified whole."""

import csv
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import torch
from invented_cohort import Source, called, distill, found_in, plant, traces, tree
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score

from medidd.dicom.patches import Patches
from medidd.dicom.pixels.film import Shown, decoded
from medidd.dicom.source import Source as File
from pipelines.bundle.contents import contents
from pipelines.commands.export import finished
from pipelines.models.model import architecture
from pipelines.models.model_file import read_model, write_model
from pipelines.models.received import read_bundle
from pipelines.run.errors import Stop
from pipelines.run.results import read_audit
from pipelines.run.store import Run, write

CUT = ("--patch-size", 40, "--film-size", 96, "--stride", 14, "--background", "beside")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Twelve patients of either class, with a box on each film."""
    source = plant(tmp_path_factory.mktemp("house"), per_class=12)
    rows = ["SOPInstanceUID,x,y,width,height"]
    for path in source.folder.rglob("*.dcm"):
        film = pydicom.dcmread(path, stop_before_pixels=True)
        half = film.Columns // 2
        rows.append(f"{film.SOPInstanceUID},0,0,{half},{film.Rows}")
    (source.folder.parent / "boxes.csv").write_text("\n".join([*rows, ""]))
    return source


@pytest.fixture(scope="module")
def bundle(house: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of patches as it would leave if its audit had passed; not to be changed."""
    made = tmp_path_factory.mktemp("cut")
    boxes = house.folder.parent / "boxes.csv"
    ended = distill(house, made / "run", "--ipc", 1, *CUT, "--regions", boxes)
    assert ended.code == 0, ended.err
    run = Run(made / "run")
    for name, data in finished(contents(run), read_audit(run) | {"verdict": "PASS"}).items():
        write(made / "bundle" / name, data)
    return made / "bundle"


@pytest.fixture(scope="module")
def trained(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What medidd train makes of it; not to be changed."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    ended = called("train", bundle, "--out", folder, "--device", "cpu")
    assert ended.code == 0, ended.err
    assert "note: films are framed to 96 x 96 pixels and cut into 25 patches of 40" in ended.out
    return folder


@pytest.fixture(scope="module")
def model(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a network that is not trained but whose patches vote for every class."""
    found = read_model(trained)
    f = architecture(found.network, 3, found.size, found.width)
    folder = tmp_path_factory.mktemp("cut_model") / "model"
    theta = f.init(torch.Generator().manual_seed(3))
    write_model(folder, replace(found, thetas=(theta,)))
    return folder


def counted(model: Path, path: Path) -> np.ndarray[Any, Any]:
    """How many patches of a film look like each class, computed by hand."""
    found = read_model(model)
    shown = decoded(File(path), found.size, found.reading)
    assert isinstance(shown, Shown)
    patches = torch.from_numpy(shown.levels.astype("float32"))[:, None] / 65535
    return np.bincount(found.probabilities(patches).argmax(1), minlength=3)


def test_a_model_keeps_how_films_were_cut_and_its_card_says_it(bundle: Path, trained: Path) -> None:
    found = read_model(trained)
    assert found.reading.patches == Patches(40, 14, 96, "beside")
    assert found.classes == ("beside", "normal", "pneumonia")
    assert found.film_classes == ("normal", "pneumonia")
    facts = json.loads((bundle / "manifest.json").read_text())
    assert facts["film classes"] == ["normal", "pneumonia"]
    contract = json.loads((bundle / "preparation.json").read_text())
    assert (contract["version"], contract["patches"]["vote"]) == (2, ["normal", "pneumonia"])
    card, own = (bundle / "README.md").read_text(), (trained / "README.md").read_text()
    assert "synthetic images that represent patches of a set of radiographs" in card
    assert "AUC of patients" in card
    assert "a film is pneumonia if the" in card
    assert "This is a classifier of patches" in own
    assert "cut into 25 patches of 40 x 40, one every 14 pixels" in own
    assert called("verify", bundle).code == 0


def test_no_other_version_takes_a_model_or_a_bundle_of_patches(
    bundle: Path, trained: Path, tmp_path: Path
) -> None:
    def remade(of: Path, key: str, change: Callable[[Any], object]) -> Path:
        with safe_open(of, "pt") as file:
            facts = json.loads(file.metadata()[key])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        change(facts)
        save_file(tensors, tmp_path / of.name, {key: json.dumps(facts)})
        return tmp_path

    of, key = trained / "model.safetensors", "medidd model"
    for change, said in (
        (lambda facts: facts.update(version=1), "of another version"),
        (lambda facts: facts["reading"].pop("patches"), "of another version"),
        (lambda facts: facts.pop("film classes"), "damaged"),
        (lambda facts: facts["reading"]["patches"].update(background=1), "damaged"),
    ):
        with pytest.raises(Stop, match=said):
            read_model(remade(of, key, change))
    of, key = bundle / "synthetic.safetensors", "medidd"
    for change in (
        lambda facts: facts["reading"].pop("patches"),
        lambda facts: facts.pop("film classes"),
        lambda facts: facts.update({"film classes": ["normal", "strange"]}),
        lambda facts: facts["reading"]["patches"].update(background=1),
        lambda facts: facts["reading"]["patches"].update(size="40"),
        lambda facts: facts["reading"]["patches"].update(stride=0),
    ):
        with pytest.raises(Stop, match="another version"):
            read_bundle(remade(of, key, change))


def test_every_film_is_called_by_the_votes_of_its_patches(
    model: Path, house: Source, tmp_path: Path
) -> None:
    out, options = tmp_path / "said.csv", ("--dicom-dir", house.folder, "--device", "cpu", "--json")
    votes = {
        path.relative_to(house.folder).as_posix(): counted(model, path)
        for path in house.folder.rglob("*.dcm")
    }
    share = {name: of[2] / of[1:].sum() for name, of in votes.items()}
    assert len({*share.values()}) > 4
    at = sorted(share.values())[len(share) // 2]
    for threshold in (None, at):
        chosen = () if threshold is None else ("--threshold", threshold)
        ended = called("predict", model, *options, "--out", out, *chosen)
        assert ended.code == 0, ended.err
        with out.open(newline="") as file:
            rows = {row["file"]: row for row in csv.DictReader(file)}
        out.unlink()
        assert rows.keys() == votes.keys()
        for name, row in rows.items():
            assert list(row)[1:] == [
                "normal",
                "pneumonia",
                "class",
                "patches with a vote",
                "refused",
            ]
            assert float(row["pneumonia"]) == pytest.approx(share[name], abs=1e-4)
            assert float(row["normal"]) == pytest.approx(1 - share[name], abs=1e-4)
            ill = share[name] > (threshold or 0.5)
            assert row["class"] == ("pneumonia" if ill else "normal")
            assert int(row["patches with a vote"]) == votes[name][1:].sum()
    said = json.loads(ended.out)
    assert said["patches"] == {"size": 40, "stride": 14, "frame": 96}
    assert (said["threshold"], said["shift"]) == (at, None)


def test_patients_are_judged_by_the_votes_of_all_their_patches(
    model: Path, house: Source, tmp_path: Path
) -> None:
    votes: dict[str, Any] = defaultdict(lambda: np.zeros(3))
    for path in house.folder.rglob("*.dcm"):
        votes[pydicom.dcmread(path).PatientID] += counted(model, path)
    ill = dict(row for row in csv.reader(house.labels.read_text().splitlines()[1:]))
    truth = {house.patient_of[study]: label == "pneumonia" for study, label in ill.items()}
    order = sorted(votes)
    shares = np.array([votes[one][2] / votes[one][1:].sum() for one in order])
    positive = np.array([truth[one] for one in order])
    at = float(np.median(shares))
    films = ("--dicom-dir", house.folder, "--labels", house.labels, "--device", "cpu")
    asked = ("--threshold", at, "--out", tmp_path / "report", "--json")
    ended = called("test", model, *films, *asked)
    assert ended.code == 0, ended.err
    said = json.loads(ended.out)
    metrics = {name: value["mean"] for name, value in said["metrics"].items()}
    assert (said["patients"], said["films"]) == (24, len(list(house.folder.rglob("*.dcm"))))
    assert said["by class"] == {"normal": 12, "pneumonia": 12}
    assert metrics["auc"] == pytest.approx(roc_auc_score(positive, shares))
    assert metrics["sensitivity"] == pytest.approx(np.mean(shares[positive] > at))
    assert metrics["specificity"] == pytest.approx(np.mean(shares[~positive] <= at))
    assert (said["calibration"], said["shift"]) == (None, None)
    page = (tmp_path / "report" / "report.html").read_text()
    for text in (
        "cut into 25 patches",
        "by votes of their patches",
        "called beside",
        "Sensitivity",
    ):
        assert text in page
    assert "eliability" not in page
    assert found_in(tree(tmp_path / "report"), traces(house)) == []


def test_a_bundle_is_tested_on_the_patches_of_the_official_test_split(
    bundle: Path, house: Source, tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    rows = ["StudyInstanceUID,label,split"]
    for study, label in sorted(csv.reader(house.labels.read_text().splitlines()[1:])):
        patient = int(house.patient_of[study][-4:])
        rows.append(f"{study},{label},{'test' if patient % 3 else 'train'}")
    table.write_text("\n".join([*rows, ""]))
    films = ("--dicom-dir", house.folder, "--labels", table, "--device", "cpu")
    ended = called("test", bundle, *films, "--out", tmp_path / "report")
    assert ended.code == 0, ended.err
    tested = [of for of in house.patient_of.values() if int(of[-4:]) % 3]
    films_of = [pydicom.dcmread(path).PatientID for path in house.folder.rglob("*.dcm")]
    many = sum(one in tested for one in films_of)
    assert f"{many} films of 16 patients" in ended.out
    assert "patches called beside have no vote" in ended.out
    assert "a patient is pneumonia if more than 0.5 of them are" in ended.out
    assert "no common layout" in ended.out


def test_whole_films_and_patches_are_not_mixed(
    bundle: Path, sent: Path, house: Source, tmp_path: Path
) -> None:
    films, before = ("--dicom-dir", house.folder), tree(tmp_path)
    for said, *asked in (
        ("nothing says what the patches of your own films show", "train", bundle, *films),
        ("not cut into patches as those of", "train", sent, bundle),
        ("--threshold: is for models of patches", "test", sent, *films, "--threshold", 0.4),
    ):
        ended = called(*asked, "--out", tmp_path / "out", "--device", "cpu")
        assert (ended.code, ended.err.splitlines()[-1].count(said)) == (2, 1), ended.err
        assert tree(tmp_path) == before
