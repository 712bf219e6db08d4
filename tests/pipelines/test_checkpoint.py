"""A checkpoint holds all of a distillation's state."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from medidd.data import RealSet, SyntheticSet
from medidd.distill import distill
from medidd.methods import METHODS
from medidd.starts import STARTS, begin
from pipelines.checkpoint import load_checkpoint, save_checkpoint
from pipelines.recipe import Recipe, recipe

FIELDS = {"soft-label": {"horizon": 4, "window": 2}}


def begun(name: str, rng: torch.Generator) -> tuple[Recipe, SyntheticSet, RealSet]:
    options = {"start": "noise", "ipc": 1, "classes": 2, "size": 16, "width": 4}
    chosen = recipe(name, settings=FIELDS.get(name, {}), **options)  # type: ignore[arg-type]
    images = torch.randn(12, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(12) % 2
    synthetic = begin(STARTS["noise"], images, labels, classes=2, ipc=1, rng=rng, lr=chosen.lr)
    return chosen, synthetic, RealSet(images, labels, 2, rng)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_goes_on_from_a_checkpoint_as_if_nothing_had_been(
    name: str, tmp_path: Path
) -> None:
    rng = torch.Generator().manual_seed(3)
    chosen, synthetic, real = begun(name, rng)
    assert chosen.method is not None
    optimizer = chosen.method.optimizer(synthetic)
    path = tmp_path / "checkpoint.safetensors"
    losses = []
    steps = distill(chosen.method, synthetic, real, steps=6, rng=rng, optimizer=optimizer)
    for step, loss in enumerate(steps, start=1):
        losses.append(loss)
        if step == 3:
            save_checkpoint(path, step, synthetic, optimizer, rng)

    other = torch.Generator().manual_seed(99)
    _, _, real = begun(name, other)
    done, again, resumed = load_checkpoint(path, chosen.method, other, torch.device("cpu"))
    left = distill(chosen.method, again, real, steps=3, rng=other, optimizer=resumed)
    assert done == 3
    assert list(left) == losses[3:]
    for key, tensor in synthetic.tensors().items():
        assert torch.equal(tensor, again.tensors()[key]), key


def test_a_checkpoint_is_for_its_owner_and_holds_nothing_but_tensors(
    tmp_path: Path, rng: torch.Generator
) -> None:
    chosen, synthetic, _ = begun("dm", rng)
    assert chosen.method is not None
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, 0, synthetic, chosen.method.optimizer(synthetic), rng)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"step": "0"}
        assert "rng" in list(file.keys())
