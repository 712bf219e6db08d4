"""A distillation stopped between two steps: S, its optimizer, the generator, and two counts.

The counts are of steps, and of the answers that a private source has given.
"""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save

from medidd.data import SyntheticSet
from medidd.distill import Method
from medidd.network import Weights
from pipelines.run.store import write

_OF_MODEL = "synthetic.model."


def save_checkpoint(
    path: Path,
    step: int,
    synthetic: SyntheticSet,
    optimizer: torch.optim.Optimizer,
    rng: torch.Generator,
    answers: int = 0,
) -> None:
    """Writes the state after ``step`` steps and so many private answers, whole or not at all."""
    tensors = {f"synthetic.{name}": t.detach() for name, t in synthetic.tensors().items()}
    for index, state in optimizer.state_dict()["state"].items():
        held = {name: t for name, t in state.items() if isinstance(t, torch.Tensor)}
        tensors |= {f"optimizer.{index}.{name}": t for name, t in held.items()}
    tensors["rng"] = rng.get_state()
    # Cloned, for safetensors refuses tensors that share memory.
    whole = {name: t.cpu().contiguous().clone() for name, t in tensors.items()}
    write(path, save(whole, {"step": json.dumps(step), "answers": json.dumps(answers)}))


def load_checkpoint(
    path: Path, method: Method, rng: torch.Generator, device: torch.device
) -> tuple[int, int, SyntheticSet, torch.optim.Optimizer]:
    """Returns step count, number of private answers, S and its optimizer; sets the generator."""
    with safe_open(path, "pt") as file:
        step, answers = (json.loads(file.metadata()[name]) for name in ("step", "answers"))
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
    rng.set_state(tensors.pop("rng"))
    learned = {
        name.removeprefix("synthetic."): t.to(device)
        for name, t in tensors.items()
        if name.startswith("synthetic.")
    }
    synthetic = SyntheticSet.of(learned)
    optimizer = method.optimizer(synthetic)
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, t in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = t
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
    return step, answers, synthetic, optimizer


def read_model(path: Path, device: torch.device) -> Weights:
    """Returns the weights of the model that S was drawn from, which a checkpoint holds."""
    with safe_open(path, "pt") as file:
        return {
            name.removeprefix(_OF_MODEL): file.get_tensor(name).to(device)
            for name in file.keys()  # noqa: SIM118 - no dict
            if name.startswith(_OF_MODEL)
        }
