"""A denoiser is made in a folder: its autoencoder, if it has one, then its diffusion model.

A training that was stopped goes on where it was last saved, and ends with the same weights.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from medidd.data import Question, Source
from medidd.denoisers.autoencoder import Autoencoder, held
from medidd.denoisers.trained import (
    AUTOENCODER,
    RECORD,
    WEIGHTS,
    Trained,
    read_weights,
    record,
    write_weights,
)
from medidd.denoisers.training import Losses, State, Training, denoising, trained
from medidd.experts.files import differing, whole, write_record
from medidd.network import Weights

SAVED_EVERY = 15.0
"""Seconds between two saves of a training. They do not change the result."""

SCALED_BY = 256
"""Real images of which the scale of an autoencoder's latents is taken."""

LEAST_POWER = 0.01
"""Least mean square of latents that the scale is taken from."""

_CLASSES = "class_embedding.weight"
"""The weights that another number of classes has in another shape."""


Sources = Callable[[int, int, torch.Generator], Source]
"""Gives T for one training: takes how often it will be asked in all, how often it was asked before
the training was stopped, and what batches are drawn from."""

Made = tuple[str, int, int, float]
"""What is trained, updates so far, updates in all, and the last loss."""


def make(
    folder: Path, denoiser: Trained, source: Sources, like: Tensor, initial: Path | None = None
) -> Iterator[Made]:
    """Makes a denoiser, or goes on where that was stopped.

    Args:
        folder: where to; made if need be.
        denoiser: what is made.
        source: gives T.
        like: a tensor whose device and dtype the weights take.
        initial: file of public weights that the diffusion model begins with.

    Yields:
        How far it is.

    Raises:
        ValueError: the folder holds another denoiser, or the public weights do not fit.
        FloatingPointError: a loss is not finite.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    _write_record(folder, denoiser)
    fixed: Weights = {}
    if denoiser.autoencoder is not None:
        if not (folder / AUTOENCODER).exists():
            yield from _autoencoder(folder, denoiser, denoiser.autoencoder, source, like)
        found = read_weights(folder / AUTOENCODER, denoiser.configuration)
        fixed = {name: weight.to(like) for name, weight in found.items()}
    if (folder / WEIGHTS).exists():
        return
    how, model = denoiser.configuration.training, denoiser.denoiser
    rng = _generator(denoiser, "denoiser")
    theta = _fitting(initial, model.diffusion.init(rng, like))
    state = _resumed(folder / WEIGHTS, State.begun(theta, how, rng))
    losses = denoising(model, fixed, source(how.steps, state.step, rng), how)
    yield from _trained(folder / WEIGHTS, state, how, losses)
    write_weights(folder / WEIGHTS, state.average, denoiser.configuration)
    _saved(folder / WEIGHTS).unlink(missing_ok=True)


def _autoencoder(
    folder: Path, denoiser: Trained, coder: Autoencoder, source: Sources, like: Tensor
) -> Iterator[Made]:
    how, rng = denoiser.configuration.encoding, _generator(denoiser, "autoencoder")
    assert how is not None  # it has an autoencoder
    state = _resumed(folder / AUTOENCODER, State.begun(coder.init(rng, like), how, rng))
    real = source(how.steps + 1, state.step, rng)

    def losses(theta: Weights, rng: torch.Generator) -> Iterator[tuple[Tensor, Weights]]:
        return coder.losses(theta, real, rng, batch=how.batch)

    yield from _trained(folder / AUTOENCODER, state, how, losses)

    def power(x: Tensor, y: Tensor) -> Tensor:  # noqa: ARG001 - of images of all classes
        return coder.encode(state.average, x).square().mean()

    everybody = tuple(range(real.classes))
    # Under a guarantee noise may leave nothing of the answer, or less.
    found = real.means([Question(power, everybody)], size=SCALED_BY)[0].clamp(min=LEAST_POWER)
    scale = found**-0.5
    write_weights(folder / AUTOENCODER, held(state.average, scale), denoiser.configuration)
    _saved(folder / AUTOENCODER).unlink(missing_ok=True)


def _saved(path: Path) -> Path:
    """Returns the file of a training that is not finished, by that of its weights."""
    return path.with_name(f".{path.name}.state")


def _trained(path: Path, state: State, how: Training, losses: Losses) -> Iterator[Made]:
    """Trains to the last update, and saves now and then."""
    saved, name = time.monotonic(), path.stem
    yield name, state.step, how.steps, math.nan
    for loss in trained(state, how, losses):
        if time.monotonic() - saved > SAVED_EVERY or state.step == how.steps:
            _save(_saved(path), state)
            saved = time.monotonic()
        yield name, state.step, how.steps, loss


def _save(path: Path, state: State) -> None:
    tensors = {f"theta.{n}": w for n, w in state.theta.items()}
    tensors |= {f"average.{n}": w for n, w in state.average.items()}
    for index, moments in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
    kept = {n: t.detach().cpu().contiguous().clone() for n, t in tensors.items()}
    kept["rng"] = state.rng.get_state()
    with whole(path) as partial:
        partial.write_bytes(save(kept, {"step": json.dumps(state.step)}))


def _resumed(path: Path, state: State) -> State:
    """Returns the state that was saved beside a file of weights; the one given if there is none.

    Raises:
        ValueError: the file is damaged.
    """
    path = _saved(path)
    if not path.exists():
        return state
    try:
        with safe_open(path, "pt") as file:
            state.step = json.loads(file.metadata()["step"])
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        raise ValueError(f"{path}: damaged; delete it and repeat medidd denoiser") from None
    with torch.no_grad():
        for kind, weights in (("theta", state.theta), ("average", state.average)):
            for name, weight in weights.items():
                weight.copy_(found[f"{kind}.{name}"])
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in found.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            moments.setdefault(int(index), {})[key] = value
    state.optimizer.load_state_dict(state.optimizer.state_dict() | {"state": moments})
    state.rng.set_state(found["rng"])
    return state


def _fitting(path: Path | None, fresh: Weights) -> Weights:
    """Returns public weights in the place of fresh ones; a public class is not one of ours.

    Raises:
        ValueError: they are not of such a network.
    """
    if path is None:
        return fresh
    try:
        found = load_file(path)
    except (SafetensorError, OSError):
        raise ValueError(f"{path}: no safetensors file; give another --weights") from None
    for name, weight in fresh.items():
        if name not in found or found[name].shape != weight.shape:
            if name == _CLASSES:
                continue
            has = tuple(found[name].shape) if name in found else "missing"
            raise ValueError(
                f"{path}: {name} is {has}, and {tuple(weight.shape)} is needed; give --weights of "
                "such a network, or another --preset"
            )
    alike = {n: w for n, w in found.items() if n in fresh and w.shape == fresh[n].shape}
    return {name: alike.get(name, weight).to(weight) for name, weight in fresh.items()}


def _generator(denoiser: Trained, what: str) -> torch.Generator:
    named = f"{what} of seed {denoiser.configuration.seed}"
    digest = hashlib.sha256(named.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7]))


def _write_record(folder: Path, denoiser: Trained) -> None:
    """Writes down what is made, and sees that what is already there is the same."""
    told = {"about": denoiser.about, "configuration": denoiser.configuration.to_json()}
    told = json.loads(json.dumps(told))
    if (folder / RECORD).exists():
        found = record(folder)
        unlike = differing(found["about"], told["about"])
        unlike += differing(found["configuration"], told["configuration"])
        if unlike:
            raise ValueError(
                f"{folder}: holds a denoiser with {', '.join(unlike)}; delete it or give another "
                "folder"
            )
    write_record(folder, told, RECORD)
