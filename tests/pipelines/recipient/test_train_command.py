"""A collaborator trains on one bundle or on several, and learns what is known of privacy."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from invented_cohort import MARK, Source, called, found_in, traces, tree
from safetensors import safe_open
from safetensors.torch import save_file

from pipelines.bundle.checksums import listed, sums
from pipelines.models.model_file import read_model
from pipelines.models.received import read_bundle
from pipelines.run.release_file import png

Change = Callable[[dict[str, torch.Tensor], dict[str, object]], object]


def remade(bundle: Path, to: Path, change: Change) -> Path:
    """A copy of a bundle with other tensors or other facts, its check sums made anew."""
    shutil.copytree(bundle, to)
    path = to / "synthetic.safetensors"
    with safe_open(path, "pt") as file:
        facts = json.loads(file.metadata()["medidd"])
        tensors = {name: file.get_tensor(name) for name in ("images", "labels")}
    change(tensors, facts)
    save_file(tensors, path, {"medidd": json.dumps(facts, sort_keys=True)})
    shutil.rmtree(to / "previews")
    ipc = len(tensors["images"]) // len(facts["classes"])
    (to / "previews").mkdir()
    for row, image in enumerate(tensors["images"]):
        name = f"class{row // ipc}_{row % ipc}.png"
        (to / "previews" / name).write_bytes(png((image.float() / 255).numpy()))
    for name, key in (("manifest.json", "files"), ("audit.json", "audited")):
        found = {p.relative_to(to).as_posix(): p.read_bytes() for p in to.rglob("*") if p.is_file()}
        found.pop("SHA256SUMS", None)
        own = {n: d for n, d in found.items() if n not in {name, "audit.json", "audit.html"}}
        (to / name).write_text(json.dumps(json.loads(found[name]) | {key: listed(sums(own))}))
        found[name] = (to / name).read_bytes()
    (to / "SHA256SUMS").write_bytes(sums(found))
    assert called("verify", to).code == 0
    return to


def classes(*names: str) -> Change:
    return lambda _, facts: facts.update(classes=list(names))


def larger(tensors: dict[str, torch.Tensor], _: object) -> None:
    tensors["images"] = tensors["images"].repeat_interleave(2, 2).repeat_interleave(2, 3)


def test_a_model_is_what_it_says_in_torch_and_as_onnx(sent: Path, model: Path) -> None:
    assert {path.name for path in model.iterdir()} == {
        "model.safetensors",
        "model.onnx",
        "README.md",
    }
    found, bundle = read_model(model), read_bundle(sent)
    assert found.classes == bundle.classes
    films = torch.rand(5, 1, 16, 16, generator=torch.Generator().manual_seed(5))
    session = onnxruntime.InferenceSession(model / "model.onnx")
    (said,) = session.run(["probabilities"], {"films": films.numpy()})
    ours = found.probabilities(films).numpy()
    assert np.abs(said - ours).max() < 1e-4
    assert ours.std() > 0
    assert np.allclose(ours.sum(1), 1, atol=1e-6)
    assert torch.equal(found.released, bundle.images)


def test_the_same_command_trains_the_same_networks(sent: Path, model: Path, tmp_path: Path) -> None:
    again, other = tmp_path / "again", tmp_path / "other"
    assert called("train", sent, "--out", again, "--device", "cpu").code == 0
    assert called("train", sent, "--out", other, "--device", "cpu", "--seed", 1).code == 0
    bytes_of = [(folder / "model.safetensors").read_bytes() for folder in (model, again, other)]
    assert bytes_of[0] == bytes_of[1] != bytes_of[2]


def test_sites_are_joined_by_the_names_of_their_classes(sent: Path, tmp_path: Path) -> None:
    names = read_bundle(sent).classes
    turned = remade(sent, tmp_path / "turned", classes(*reversed(names)))
    ended = called("train", sent, turned, "--out", tmp_path / "model", "--json")
    assert ended.code == 0, ended.err
    said = json.loads(ended.out)
    assert said["classes"] == list(names)
    assert [one["sha256"] for one in said["bundles"]] == [
        read_bundle(sent).sha256,
        read_bundle(turned).sha256,
    ]
    own, other = read_bundle(sent).labels, read_bundle(turned).labels
    assert torch.equal(own, other)  # class 0 of one is class 1 of the other
    model = read_model(tmp_path / "model")
    assert torch.equal(model.labels, torch.cat([own, own.flip(1)]))
    assert torch.equal(model.components[:6], torch.cat([own, torch.zeros(6, 2)], 1))
    assert torch.equal(model.components[6:], torch.cat([torch.zeros(6, 2), own.flip(1)], 1))


def test_classes_that_mean_the_same_are_matched_by_the_user(sent: Path, tmp_path: Path) -> None:
    old, kept = read_bundle(sent).classes
    strange = remade(sent, tmp_path / "strange", classes("no_finding", kept))
    out = tmp_path / "model"
    refused = called("train", sent, strange, "--out", out)
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert f"{strange}: its classes (no_finding, {kept}) are not those" in refused.err
    assert "--rename" in refused.err
    assert not out.exists()
    assert called("train", sent, strange, "--rename", f"no_finding={old}", "--out", out).code == 0
    both = called("train", sent, "--rename", f"{old}={kept}", "--out", tmp_path / "both")
    assert both.code == 2
    assert "one name" in both.err


def test_images_of_another_size_are_refused_or_resampled(sent: Path, tmp_path: Path) -> None:
    large = remade(sent, tmp_path / "large", larger)
    refused = called("train", sent, large, "--out", tmp_path / "model")
    assert refused.code == 2
    assert "--size 16" in refused.err
    ended = called("train", sent, large, "--size", 32, "--out", tmp_path / "model")
    assert ended.code == 0, ended.err
    assert "resampled to 32 px" in ended.out
    assert read_model(tmp_path / "model").size == 32


@pytest.mark.parametrize(
    ("change", "code", "why"),
    [
        (lambda b: (b / "labels.csv").write_text(""), 5, "not the bundle that was exported"),
        (lambda b: (b / "SHA256SUMS").unlink(), 5, "SHA256SUMS is missing"),
        (shutil.rmtree, 2, "not a bundle"),
    ],
)
def test_a_bundle_that_is_not_whole_trains_nothing(
    change: Callable[[Path], object], code: int, why: str, sent: Path, tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(sent, tmp_path / "bundle"))
    change(bundle)
    ended = called("train", bundle, "--out", tmp_path / "model")
    assert (ended.code, ended.err.count("\n")) == (code, 1)
    assert why in ended.err
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda _, facts: facts.pop("training"),
        lambda _, facts: facts["training"].update(steps=-1),
        lambda _, facts: facts["training"].update(noise="much"),
        lambda _, facts: facts["training"].update(augment=["flip"]),
        lambda _, facts: facts["normalization"].update(mean=0.4),
        lambda _, facts: facts["reading"].update(voi="another"),
        lambda _, facts: facts.update(reading=None),
        lambda _, facts: facts.update(guarantee={"epsilon": "small", "delta": 0}),
        lambda _, facts: facts.update(classes=["a", "a"]),
        lambda _, facts: facts.update(classes=["a\nmedidd: fine", "b"]),
        lambda tensors, _: tensors.update(labels=tensors["labels"] / 0),
    ],
)
def test_a_bundle_that_says_something_strange_is_of_another_version(
    change: Change, sent: Path, tmp_path: Path
) -> None:
    bundle = remade(sent, tmp_path / "bundle", change)
    ended = called("train", bundle, "--out", tmp_path / "model")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert f"{bundle}: made by another version of medidd" in ended.err


def test_weights_are_one_for_each_site(sent: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    few = called("train", sent, sent, "--weight", 2, "--out", out)
    assert few.code == 2
    assert "--weight: 1 given for 2 bundles" in few.err
    said = called("train", sent, sent, "--weight", 2, "--weight", 1, "--out", out, "--json")
    assert json.loads(said.out)["weights"] == [2.0, 1.0]


def test_a_model_that_saw_own_films_may_not_be_called_covered(
    sent: Path, model: Path, source: Source, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    films = ("--dicom-dir", source.folder)
    ended = called("train", sent, *films, "--out", out)
    assert ended.code == 0, ended.err
    warned = "No guarantee and no audit of a bundle covers them"
    assert warned in ended.out
    assert warned in (out / "README.md").read_text()
    assert warned not in (model / "README.md").read_text()
    assert read_model(out).about["own films"]["patients"] == 40
    assert read_model(model).about["own films"] is None
    assert not list(tmp_path.glob(".*")), "films stay on the disk"
    assert found_in(tree(out), traces(source)) == []
    assert MARK not in ended.out + ended.err


def test_own_films_of_other_classes_are_refused(sent: Path, source: Source, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(source.labels.read_text().replace("pneumonia", "fracture"))
    films = ("--dicom-dir", source.folder, "--labels", table)
    before = tree(tmp_path)
    ended = called("train", sent, *films, "--out", tmp_path / "model")
    assert (ended.code, ended.err.count("\n")) == (3, 1)
    assert "are not classes of the model" in ended.err
    assert tree(tmp_path) == before


def test_a_taken_place_is_refused_before_any_work(sent: Path, model: Path) -> None:
    before = tree(model)
    ended = called("train", sent, "--out", model)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "exists already" in ended.err
    assert tree(model) == before
