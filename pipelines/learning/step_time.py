"""How long a step of a distillation lasts, measured on noise."""

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from medidd import fields
from medidd.data import NORMALIZATION, RealSet
from medidd.distill import Method, distill
from medidd.experts.trajectories import Experts, Trajectories
from pipelines.learning.recipe import Recipe
from pipelines.run.seeds import generator

TRIAL_STEPS = 3
"""Number of steps that are timed."""

TRIAL_REFINED = 5
"""Steps of a refinement that are timed; the others take as long."""


def seconds_per_step(recipe: Recipe, per_class: int, size: int, device: torch.device) -> float:
    """Returns the seconds of one step on noise of the right shape; 0 for a baseline.

    Args:
        recipe: what takes the steps.
        per_class: films of the largest class.
        size: height and width in pixels.
        device: where.

    Raises:
        ValueError: the network does not serve the method.
        FloatingPointError: the loss is not finite.
    """
    if recipe.method is None:
        return 0.0
    rng = generator(0)
    batch = min(per_class, 512)
    drawn = torch.randn(batch * recipe.classes, 1, size, size, generator=rng)
    images = NORMALIZATION.standardize(drawn).to(device)
    labels = torch.arange(recipe.classes, device=device).repeat_interleave(batch)
    synthetic = replace(recipe, start="noise").begun(images, labels, rng)
    real = RealSet(images, labels, recipe.classes, rng)
    with TemporaryDirectory() as folder:
        whole = on_trial_experts(recipe.method, real, images, Path(folder))
        method, share = shortened(whole)
        steps = distill(method, synthetic, real, steps=TRIAL_STEPS + 1, rng=rng)
        next(steps)
        begun = time.monotonic()
        for _ in steps:
            pass
        return (time.monotonic() - begun) / TRIAL_STEPS / share


def shortened(method: Any) -> tuple[Method, float]:
    """Returns the method with a short refinement, and the share of the whole one that this is."""
    held = fields.values(method)
    refined = held.get("refined", 0)
    if refined <= TRIAL_REFINED:
        return method, 1.0
    short: Method = fields.make(type(method), held | {"refined": TRIAL_REFINED})
    return short, TRIAL_REFINED / refined


def spoken(seconds: float) -> str:
    """Returns a duration for people."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def on_trial_experts(method: Any, real: RealSet, like: Tensor, folder: Path) -> Method:
    """Returns the method; one that matches experts is given one that was hardly trained."""
    held = fields.values(method)
    if "experts" in held:
        epochs = held["last_start"] + held["expert_epochs"]
        trial = Experts(held["network"], count=1, epochs=epochs, epoch_steps=1, batch=2)
        for _ in trial.make(folder, lambda *_: real, {}, like=like):
            pass
        trained = Trajectories(folder, held["network"], {})
        method = fields.make(type(method), held | {"experts": trained})
    chosen: Method = method
    return chosen
