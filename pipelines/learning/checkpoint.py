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

_OF_S = "synthetic."
_OF_MODEL = f"{_OF_S}model."


def save_checkpoint(
    path: Path,
    step: int,
    synthetic: SyntheticSet,
    optimizer: torch.optim.Optimizer,
    rng: torch.Generator,
    answers: int = 0,
) -> None:
    """Writes the state after ``step`` steps and so many private answers, whole or not at all."""
    tensors = {f"{_OF_S}{name}": t.detach() for name, t in synthetic.tensors().items()}
    order = list(tensors)  # a file has an order of its own, and an optimizer numbers its tensors
    for index, state in optimizer.state_dict()["state"].items():
        held = {name: t for name, t in state.items() if isinstance(t, torch.Tensor)}
        tensors |= {f"optimizer.{index}.{name}": t for name, t in held.items()}
    tensors["rng"] = rng.get_state()
    # Cloned, for safetensors refuses tensors that share memory.
    whole = {name: t.cpu().contiguous().clone() for name, t in tensors.items()}
    told = {"step": step, "answers": answers, "order": order}
    write(path, save(whole, {name: json.dumps(value) for name, value in told.items()}))


def load_checkpoint(
    path: Path, method: Method, rng: torch.Generator, device: torch.device
) -> tuple[int, int, SyntheticSet, torch.optim.Optimizer]:
    """Returns step count, number of private answers, S and its optimizer; sets the generator."""
    with safe_open(path, "pt") as file:
        told = {name: json.loads(value) for name, value in file.metadata().items()}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
    rng.set_state(tensors.pop("rng"))
    order = told.get("order", [name for name in tensors if name.startswith(_OF_S)])
    learned = {name.removeprefix(_OF_S): tensors[name].to(device) for name in order}
    synthetic = SyntheticSet.of(learned)
    optimizer = method.optimizer(synthetic)
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, t in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = t
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
    return told["step"], told["answers"], synthetic, optimizer


def read_model(path: Path, device: torch.device) -> Weights:
    """Returns the weights of the model that S was drawn from, which a checkpoint holds."""
    with safe_open(path, "pt") as file:
        return {
            name.removeprefix(_OF_MODEL): file.get_tensor(name).to(device)
            for name in file.keys()  # noqa: SIM118 - no dict
            if name.startswith(_OF_MODEL)
        }
