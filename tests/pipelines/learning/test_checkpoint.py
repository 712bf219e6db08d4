"""A checkpoint holds all of a distillation's state."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from medidd.data import RealSet, SyntheticSet
from medidd.distill import Method, distill
from medidd.experts.trajectories import Experts
from medidd.fields import fields
from medidd.methods import METHODS
from pipelines.learning.checkpoint import load_checkpoint, read_model, save_checkpoint
from pipelines.learning.recipe import recipe

STEPS = 6

FIELDS: dict[str, dict[str, Any]] = {
    "dd": {"epochs": 2, "lr": 0.1},
    "soft-label": {"horizon": 4, "window": 2},
    "dc": {"inner_steps": 2, "net_epochs": 1},
    "dsa": {"inner_steps": 2, "net_epochs": 1},
    "idc": {"inner_steps": 2, "net_steps": 1},
    "mtt": {"inner_steps": 2, "last_start": 1, "expert_epochs": 1, "lr_images": 1.0},
    "tesla": {"inner_steps": 2, "last_start": 1, "expert_epochs": 1, "lr_images": 1.0},
    # Rates that fall within the run.
    "frepo": {"pool": 2, "online": 3, "steps": STEPS},
    "rfad": {"steps": STEPS},
    "minimax": {"path": 3, "memory": 2, "batch": 4, "sampling_steps": 2},
}

Begun = tuple[Method, SyntheticSet, RealSet]


@pytest.fixture
def begun(tmp_path: Path) -> Callable[[str, torch.Generator], Begun]:
    """Begins a method on noise, with experts made for it if it takes any."""

    def make(name: str, rng: torch.Generator) -> Begun:
        chosen = recipe(
            name,
            start="noise",
            ipc=1,
            settings=FIELDS.get(name, {}),
            classes=2,
            size=16,
            width=4,
            steps=STEPS,
        )
        images = torch.randn(12, 1, 16, 16, generator=torch.Generator().manual_seed(1))
        labels = torch.arange(12) % 2
        if "experts" in fields(METHODS[name]):
            folder = tmp_path / "experts"
            experts = Experts(chosen.networks["convnet"], count=2, epochs=2, epoch_steps=2, lr=0.1)
            list(experts.make(folder, lambda _, rng: RealSet(images, labels, 2, rng), {}))
            chosen = chosen.on_experts(folder, {})
        synthetic = chosen.begun(images, labels, rng)
        assert chosen.method is not None
        return chosen.method, synthetic, RealSet(images, labels, 2, rng)

    return make


@pytest.mark.parametrize("name", METHODS)
def test_a_method_goes_on_from_a_checkpoint_as_if_nothing_had_been(
    name: str, begun: Callable, tmp_path: Path
) -> None:
    rng = torch.Generator().manual_seed(3)
    method, synthetic, real = begun(name, rng)
    optimizer = method.optimizer(synthetic)
    path = tmp_path / "checkpoint.safetensors"

    def between(taken: int) -> None:
        if taken >= STEPS / 2 and not path.exists():
            save_checkpoint(path, taken, synthetic, optimizer, rng)

    run = {"steps": STEPS, "rng": rng, "optimizer": optimizer, "between": between}
    losses = list(distill(method, synthetic, real, **run))

    other = torch.Generator().manual_seed(99)
    _, _, real = begun(name, other)
    done, answers, again, resumed = load_checkpoint(path, method, other, torch.device("cpu"))
    left = distill(method, again, real, steps=STEPS - done, rng=other, optimizer=resumed)
    # What is asked once is one path, which ends with the last step.
    whole = name in ("class-mean", "moments")
    assert (done in ((STEPS,) if whole else (3, 4)), answers) == (True, 0)
    assert list(left) == losses[done:]
    assert len(losses) == STEPS
    for key, tensor in synthetic.tensors().items():
        assert torch.equal(tensor, again.tensors()[key]), key


def test_a_checkpoint_is_for_its_owner_and_holds_nothing_but_tensors(
    begun: Callable, tmp_path: Path, rng: torch.Generator
) -> None:
    method, synthetic, _ = begun("dm", rng)
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, 0, synthetic, method.optimizer(synthetic), rng)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    with safe_open(path, "pt") as file:
        order = json.dumps([f"synthetic.{name}" for name in synthetic.tensors()])
        assert file.metadata() == {"step": "0", "answers": "0", "order": order}
        assert "rng" in list(file.keys())


def test_the_weights_of_a_model_come_back_in_their_order(
    begun: Callable, tmp_path: Path, rng: torch.Generator
) -> None:
    method, synthetic, _ = begun("minimax", rng)
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, 0, synthetic, method.optimizer(synthetic), rng)
    *_, again, _ = load_checkpoint(path, method, rng, torch.device("cpu"))
    assert list(again.tensors()) == list(synthetic.tensors())
    model = read_model(path, torch.device("cpu"))
    assert model.keys() == synthetic.model.keys()
    assert all(torch.equal(weight, synthetic.model[name]) for name, weight in model.items())
