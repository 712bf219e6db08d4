"""A denoiser on disk is opened by whom it was made for, and by nobody else."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from medidd.data import RealSet
from medidd.denoisers.latents import OF_LATENTS
from medidd.denoisers.making import make
from medidd.denoisers.shapes import Shape
from medidd.denoisers.trained import (
    AUTOENCODER,
    RECORD,
    WEIGHTS,
    Configuration,
    Trained,
    read_configuration,
    read_weights,
    record,
    write_weights,
)
from medidd.denoisers.training import Training

ABOUT = {"size": 8, "films": "3f9a", "regions": (1, 2)}
CODED = Configuration(
    Shape((16,), attention=0, encoder=(8, 8)), Training(1, batch=4), Training(1, batch=4)
)


@pytest.fixture
def made(tmp_path: Path, films: Callable) -> Trained:
    images, labels = films(3, size=8)
    one = Trained(tmp_path / "made", CODED, 2, 1, 8, ABOUT)
    list(make(one.folder, one, lambda *of: RealSet(images, labels, 2, of[2]), torch.empty(0)))
    return one


def again(one: Trained, **other: Any) -> Trained:
    """The same one, not yet opened."""
    return replace(one, **other)


def test_it_has_the_weights_of_its_files_and_those_that_make_latents(made: Trained) -> None:
    theta = again(made).theta
    both = [read_weights(made.folder / name, CODED) for name in (WEIGHTS, AUTOENCODER)]
    assert theta.keys() == both[0].keys() | both[1].keys()
    assert all(name.startswith(OF_LATENTS) for name in both[1])
    assert all(torch.equal(theta[name], w) for of in both for name, w in of.items())
    assert read_configuration(made.folder) == CODED
    assert record(made.folder)["about"] == json.loads(json.dumps(ABOUT))


@pytest.mark.parametrize("how", [CODED, Configuration(Shape((16,), block=2), Training(1))])
def test_without_a_folder_it_has_fresh_weights_of_the_same_names(how: Configuration) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, two = (Trained(None, how, 2, 1, 8, {}) for _ in range(2))
    assert all(torch.equal(one.theta[name], weight) for name, weight in two.theta.items())
    assert torch.equal(torch.get_rng_state(), before)
    assert any(name.startswith(OF_LATENTS) for name in one.theta) == bool(how.shape.encoder)
    with pytest.raises(ValueError, match="not trained; make one with medidd denoiser"):
        one.require()


@pytest.mark.parametrize(
    ("about", "told"),
    [
        (ABOUT | {"films": "77aa"}, "films 3f9a instead of 77aa"),
        (ABOUT | {"size": 16}, "size 8 instead of 16"),
        (ABOUT | {"channels": 1}, "channels unknown instead of 1"),
    ],
)
def test_one_that_was_made_for_something_else_is_refused_by_its_name(
    made: Trained, about: dict[str, Any], told: str
) -> None:
    other = again(made, about=about)
    for opening in (other.require, lambda: other.theta):
        with pytest.raises(ValueError, match=f"made: a denoiser with {told}; make one for this"):
            opening()


def test_one_that_is_not_there_or_not_finished_is_refused(made: Trained, tmp_path: Path) -> None:
    nowhere = again(made, folder=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="nowhere: no denoiser; train with medidd denoiser"):
        _ = nowhere.theta
    (made.folder / WEIGHTS).unlink()
    with pytest.raises(ValueError, match=r"made: the denoiser is not finished; continue with med"):
        again(made).require()


def test_weights_of_another_configuration_are_refused(made: Trained) -> None:
    other = replace(CODED, seed=1)
    write_weights(made.folder / WEIGHTS, {"a": torch.ones(1)}, other)
    with pytest.raises(ValueError, match=r"denoiser\.safetensors: of another denoiser; delete it"):
        _ = again(made).theta


@pytest.mark.parametrize("name", [WEIGHTS, AUTOENCODER])
@pytest.mark.parametrize("kept", [0, 10, 300])
def test_a_truncated_file_is_refused_by_its_name(made: Trained, name: str, kept: int) -> None:
    path = made.folder / name
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=f"{name}: damaged; delete it and repeat medidd denoiser"):
        _ = again(made).theta


def test_a_file_without_its_configuration_is_refused(made: Trained) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.ones(1)}, made.folder / WEIGHTS)
    with pytest.raises(ValueError, match=r"denoiser\.safetensors: damaged; delete it"):
        _ = again(made).theta


def test_a_missing_autoencoder_is_refused(made: Trained) -> None:
    (made.folder / AUTOENCODER).unlink()
    with pytest.raises(ValueError, match=r"autoencoder\.safetensors: missing; repeat medidd den"):
        _ = again(made).theta


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"sha256": 1}'])
def test_a_damaged_record_is_refused_by_its_file(made: Trained, text: str) -> None:
    (made.folder / RECORD).write_text(text)
    for reading in (record, read_configuration):
        with pytest.raises(ValueError, match=r"denoiser\.json: damaged; delete the folder"):
            reading(made.folder)


def test_a_record_that_was_edited_is_refused(made: Trained) -> None:
    edited = json.loads((made.folder / RECORD).read_text())
    edited["about"]["films"] = "77aa"
    (made.folder / RECORD).write_text(json.dumps(edited))
    with pytest.raises(ValueError, match=r"denoiser\.json: damaged"):
        again(made, about=ABOUT | {"films": "77aa"}).require()


def test_weights_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / WEIGHTS
    views = {"a": torch.arange(6.0).reshape(2, 3).T.requires_grad_()}
    write_weights(path, views, CODED)
    assert torch.equal(read_weights(path, CODED)["a"], views["a"].detach())
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_weights(path, {1: torch.ones(1)}, CODED)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [WEIGHTS]
