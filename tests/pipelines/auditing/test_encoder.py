"""A network that tells people apart, brought along: used by A5c, and tried before the work."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from invented_cohort import Made, called, copied
from numpy.typing import NDArray
from onnx import TensorProto, helper

from pipelines.auditing.encoder import read_encoder
from pipelines.commands import audit_foreign
from pipelines.run.store import read_json

SIDE, CONTROLS = 16, 40
ANY = ("n", 1, "height", "width")


def network(path: Path, *steps: str, takes: Sequence[int | str] = ANY, outputs: int = 1) -> Path:
    """Saves a network of ONNX operators, one after the other."""
    names = ["films", *(f"step {number}" for number in range(len(steps)))]
    nodes = [
        helper.make_node(step, [one], [other])
        for step, one, other in zip(steps, names[:-1], names[1:], strict=True)
    ]
    given = helper.make_tensor_value_info("films", TensorProto.FLOAT, takes)
    returned = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    graph = helper.make_graph(nodes, "encoder", [given], returned[-outputs:])
    opset = [helper.make_opsetid("", 13)]
    path.write_bytes(
        helper.make_model(graph, ir_version=8, opset_imports=opset).SerializeToString()
    )
    return path


@pytest.fixture(scope="module")
def pixels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder for which two films are of one person where they are the same film."""
    return network(tmp_path_factory.mktemp("encoder") / "pixels.onnx", "Flatten")


def test_vectors_are_what_the_network_returns(tmp_path: Path) -> None:
    films = torch.rand(5, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    encoder = read_encoder(network(tmp_path / "net.onnx", "Neg", "Exp"), (1, SIDE, SIDE))
    assert encoder is not None
    torch.testing.assert_close(encoder(films), (-films).exp().flatten(1))
    assert read_encoder(None, (1, SIDE, SIDE)) is None


def test_a_run_is_audited_with_it_and_says_with_which(
    made: Made, pixels: Path, tmp_path: Path
) -> None:
    run = copied(made.path, tmp_path / "run")
    assert read_json(run / "audit.json")["encoder"] is None
    ended = called("audit", run, "--level", "screen", "--encoder", pixels, "--json")
    assert ended.code == 0, ended.err
    said = read_json(run / "audit.json")
    assert said["encoder"] == hashlib.sha256(pixels.read_bytes()).hexdigest()
    (finding,) = (one for one in said["findings"] if one["audit"] == "A5c")
    assert "no network" not in finding["text"]
    assert finding["details"]["controls"] > 0


def drawn(seed: int, people: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (people, SIDE, SIDE), np.uint8)


def test_a_set_that_shows_a_patient_is_found_out(
    pixels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_foreign, "NETWORKS", 2)
    monkeypatch.setattr(audit_foreign, "write_internal", lambda *_, **__: None)
    films = {"members": drawn(0, CONTROLS), "controls": drawn(1, CONTROLS)}
    labels = np.arange(CONTROLS) % 2
    for role, images in films.items():
        people = [f"{role}{number}" for number in range(CONTROLS)]
        np.savez(tmp_path / role, images=images, labels=labels, patient_ids=people)
    for name, copied_from in (("copies", films["members"]), ("others", drawn(2, 2))):
        np.savez(tmp_path / name, images=copied_from[:2], labels=labels[:2])
        sides = [f"--{role}={tmp_path / role}.npz" for role in films]
        out = tmp_path / "out" / name
        ended = called(
            *("audit", "--release", tmp_path / f"{name}.npz", *sides, "--encoder", pixels),
            *("--out", out, "--device", "cpu", "--width", 4),
        )
        assert ended.code == 0, ended.err
        said = read_json(out / "audit.json")
        assert said["encoder"] == hashlib.sha256(pixels.read_bytes()).hexdigest()
        (finding,) = (one for one in said["findings"] if one["audit"] == "A5c")
        assert finding["verdict"] == ("FAIL" if name == "copies" else "PASS"), finding
        assert finding["details"]["assessable"]


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ("text", "is not a network in ONNX"),
        ("two outputs", "one input and one output"),
        ("three channels", f"does not accept films of shape (1, 1, {SIDE}, {SIDE})"),
        ("one film only", f"does not accept films of shape (3, 1, {SIDE}, {SIDE})"),
        ("one vector for all", "one finite vector per film"),
        ("not finite", "one finite vector per film"),
    ],
)
def test_what_is_no_encoder_is_said_before_the_work(
    made: Made, tmp_path: Path, wrong: str, complaint: str
) -> None:
    path = tmp_path / "wrong.onnx"
    match wrong:
        case "text":
            path.write_text("weights")
        case "two outputs":
            network(path, "Neg", "Exp", outputs=2)
        case "three channels":
            network(path, "Flatten", takes=("n", 3, "height", "width"))
        case "one film only":
            network(path, "Flatten", takes=(1, 1, SIDE, SIDE))
        case "one vector for all":
            network(path, "ReduceMean")
        case "not finite":
            network(path, "Log")  # of black
    run = copied(made.path, tmp_path / "run")
    before = {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}
    ended = called("audit", run, "--encoder", path)
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert line.startswith(f"medidd: {path}: ")
    assert complaint in line
    assert "torch.onnx.export" in line
    assert ended.out == ""
    assert {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()} == before
