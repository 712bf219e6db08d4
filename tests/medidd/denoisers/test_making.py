"""Denoisers are made once, go on where they were stopped, and begin with weights that fit."""

import json
import math
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from medidd.data import Question, RealSet, Source
from medidd.denoisers import making
from medidd.denoisers.making import Made, Sources, make
from medidd.denoisers.shapes import Shape
from medidd.denoisers.trained import AUTOENCODER, RECORD, WEIGHTS, Configuration, Trained
from medidd.denoisers.training import Training

ABOUT = {"size": 8, "channels": 1, "classes": 2, "films": "3f9a"}
BLOCKS = Configuration(Shape((16,), attention=0, block=2), Training(5, batch=8))
CODED = Configuration(
    Shape((16,), attention=0, encoder=(8, 8)), Training(4, batch=8), Training(5, batch=8)
)
LIKE = torch.empty(0)
EMBEDDING = "class_embedding.weight"


def denoiser(folder: Path, how: Configuration = BLOCKS, **other: Any) -> Trained:
    one = Trained(folder, how, 2, 1, 8, ABOUT)
    return replace(one, **other)


@pytest.fixture
def source(films: Callable) -> Sources:
    images, labels = films(6, size=8)
    return lambda _, __, rng: RealSet(images, labels, 2, rng)


def held(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def weights(folder: Path, name: str = WEIGHTS) -> dict[str, Tensor]:
    return load_file(folder / name)


def same(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[n], two[n]) for n in one)


# Making.


@pytest.mark.parametrize(
    ("how", "files", "told"),
    [
        (BLOCKS, {RECORD, WEIGHTS}, [("denoiser", i, 5) for i in range(6)]),
        (
            CODED,
            {RECORD, WEIGHTS, AUTOENCODER},
            [("autoencoder", i, 5) for i in range(6)] + [("denoiser", i, 4) for i in range(5)],
        ),
    ],
    ids=["blocks", "coded"],
)
def test_a_folder_holds_what_was_made_and_is_not_made_again(
    tmp_path: Path,
    source: Sources,
    how: Configuration,
    files: set[str],
    told: list[tuple[str, int, int]],
) -> None:
    folder = tmp_path / "deep" / "made"
    torch.manual_seed(1)
    before = torch.get_rng_state()
    steps: list[Made] = list(make(folder, denoiser(folder, how), source, LIKE))
    assert torch.equal(torch.get_rng_state(), before)
    assert [(what, step, of) for what, step, of, _ in steps] == told
    assert all(math.isnan(loss) == (step == 0) for _, step, _, loss in steps)
    kept = held(folder)
    assert kept.keys() == files
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in files} == {0o600}
    assert list(make(folder, denoiser(folder, how), source, LIKE)) == []
    assert held(folder) == kept


def test_the_same_seed_gives_the_same_weights_and_another_one_others(
    tmp_path: Path, source: Sources
) -> None:
    made = []
    for number, seed in enumerate((0, 0, 1)):
        folder = tmp_path / str(number)
        list(make(folder, denoiser(folder, replace(BLOCKS, seed=seed)), source, LIKE))
        made.append(weights(folder))
    assert same(made[0], made[1])
    assert not any(torch.equal(made[0][n], made[2][n]) for n in made[0] if made[0][n].ndim > 1)


@pytest.mark.parametrize(
    ("how", "kept", "lost"),
    [(BLOCKS, *of) for of in [(1, 0), (1, 2), (3, 1), (6, 0)]]
    + [(CODED, *of) for of in [(3, 1), (6, 0), (7, 0), (9, 1), (11, 0)]],
)
def test_one_that_was_stopped_ends_with_the_same_bytes(
    tmp_path: Path,
    source: Sources,
    monkeypatch: pytest.MonkeyPatch,
    how: Configuration,
    kept: int,
    lost: int,
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    list(make(whole, denoiser(whole, how), source, LIKE))
    run = make(parts, denoiser(parts, how), source, LIKE)
    monkeypatch.setattr(making, "SAVED_EVERY", -1.0)
    seen = [next(run) for _ in range(kept)]
    monkeypatch.setattr(making, "SAVED_EVERY", math.inf)
    for _ in range(lost):
        next(run)
    run.close()
    assert not (parts / WEIGHTS).exists()
    again = list(make(parts, denoiser(parts, how), source, LIKE))
    assert again[0][:2] == seen[-1][:2]
    assert held(parts) == held(whole)


def test_a_source_is_told_how_often_it_is_asked_and_where_it_goes_on(
    tmp_path: Path, films: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = films(6, size=8)
    told: list[tuple[int, int]] = []
    asked: list[int] = []

    class Counting(RealSet):
        def means(self, questions: list[Question], *, size: int) -> list:
            asked[-1] += 1
            return super().means(questions, size=size)

    def source(count: int, answered: int, rng: torch.Generator) -> Source:
        told.append((count, answered))
        asked.append(0)
        return Counting(images, labels, 2, rng)

    monkeypatch.setattr(making, "SAVED_EVERY", -1.0)
    one = denoiser(tmp_path, CODED)
    run = make(tmp_path, one, source, LIKE)
    while next(run)[:2] != ("denoiser", 2):
        pass
    run.close()
    list(make(tmp_path, one, source, LIKE))
    # The scale of the latents is one more question.
    assert told == [(6, 0), (4, 0), (4, 2)]
    assert asked == [6, 2, 2]


def test_what_is_not_finite_leaves_no_weights(tmp_path: Path, source: Sources) -> None:
    how = replace(BLOCKS, training=Training(60, batch=8, lr=1e30))
    with pytest.raises(FloatingPointError, match="denoiser's loss is not finite after step 1;"):
        list(make(tmp_path, denoiser(tmp_path, how), source, LIKE))
    assert held(tmp_path).keys() == {RECORD}


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"about": ABOUT | {"films": "77aa"}}, "a denoiser with films 3f9a instead of 77aa"),
        ({"configuration": replace(BLOCKS, seed=1)}, "a denoiser with seed 0 instead of 1"),
        ({"configuration": replace(BLOCKS, weights="ab")}, "a denoiser with weights  instead of"),
        ({"configuration": CODED}, "a denoiser with encoding None instead of"),
    ],
)
def test_a_folder_with_another_denoiser_is_left_as_it_is(
    tmp_path: Path, source: Sources, other: dict[str, Any], told: str
) -> None:
    one = denoiser(tmp_path)
    list(make(tmp_path, one, source, LIKE))
    before = held(tmp_path)
    with pytest.raises(ValueError, match=f"holds {told}.*; delete it or give another folder"):
        next(make(tmp_path, replace(one, **other), source, LIKE))
    assert held(tmp_path) == before


@pytest.mark.parametrize("kept", [0, 10, 500])
def test_a_damaged_state_is_refused_by_its_file(
    tmp_path: Path, source: Sources, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(making, "SAVED_EVERY", -1.0)
    run = make(tmp_path, denoiser(tmp_path), source, LIKE)
    for _ in range(3):
        next(run)
    run.close()
    state = tmp_path / f".{WEIGHTS}.state"
    state.write_bytes(state.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"\.state: damaged; delete it and repeat medidd denoiser"):
        list(make(tmp_path, denoiser(tmp_path), source, LIKE))


# Public weights to begin with.


def begun(folder: Path, source: Sources, initial: Path | None) -> dict[str, Tensor]:
    """Weights after an update that is too small to be seen."""
    one = denoiser(folder, replace(BLOCKS, training=Training(1, batch=8, lr=1e-12)))
    list(make(folder, one, source, LIKE, initial))
    return weights(folder)


def public(path: Path, classes: int = 2, shape: Shape = BLOCKS.shape) -> dict[str, Tensor]:
    """Weights that somebody else trained, which are written to a file."""
    other = Trained(None, replace(BLOCKS, shape=shape), classes, 1, 8, {})
    rng = torch.Generator().manual_seed(4)
    found = {n: torch.randn(w.shape, generator=rng) for n, w in other.theta.items()}
    save_file(found, path)
    return found


def test_weights_that_fit_are_what_the_training_begins_with(
    tmp_path: Path, source: Sources
) -> None:
    found = public(tmp_path / "public.safetensors")
    save_file(found | {"more": torch.zeros(3)}, tmp_path / "public.safetensors")
    made = begun(tmp_path / "made", source, tmp_path / "public.safetensors")
    for name, weight in found.items():
        torch.testing.assert_close(made[name], weight, rtol=0, atol=1e-9)
    assert made.keys() == found.keys()


def test_of_weights_for_other_classes_only_the_classes_are_fresh(
    tmp_path: Path, source: Sources
) -> None:
    found = public(tmp_path / "public.safetensors", classes=7)
    made = begun(tmp_path / "made", source, tmp_path / "public.safetensors")
    assert made[EMBEDDING].shape[0] == 3
    assert found[EMBEDDING].shape[0] == 8
    for name, weight in found.items():
        if name != EMBEDDING:
            torch.testing.assert_close(made[name], weight, rtol=0, atol=1e-9)
    plain = begun(tmp_path / "plain", source, None)
    torch.testing.assert_close(made[EMBEDDING], plain[EMBEDDING], rtol=0, atol=1e-9)


def test_weights_of_another_shape_are_refused_by_name(tmp_path: Path, source: Sources) -> None:
    path = tmp_path / "public.safetensors"
    public(path, shape=Shape((24,), attention=0, block=2))
    with pytest.raises(ValueError, match=r"public\.safetensors: \S+ is \(24, .* is needed; give"):
        begun(tmp_path / "made", source, path)
    found = public(path)
    missing = found.pop("out.2.conv.bias")
    save_file(found, path)
    told = rf"out\.2\.conv\.bias is missing, and \({len(missing)},\) is needed"
    with pytest.raises(ValueError, match=told):
        begun(tmp_path / "made", source, path)
    assert not (tmp_path / "made" / WEIGHTS).exists()


@pytest.mark.parametrize("content", [b"", b"no tensors at all", None])
def test_what_holds_no_weights_is_refused(
    tmp_path: Path, source: Sources, content: bytes | None
) -> None:
    path = tmp_path / "public.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"no safetensors file; give another --weights"):
        begun(tmp_path / "made", source, path)


def test_the_record_says_how_and_for_what(tmp_path: Path, source: Sources) -> None:
    list(make(tmp_path, denoiser(tmp_path), source, LIKE))
    record = json.loads((tmp_path / RECORD).read_text())
    assert record["about"] == ABOUT
    assert record["configuration"] == json.loads(json.dumps(BLOCKS.to_json()))
