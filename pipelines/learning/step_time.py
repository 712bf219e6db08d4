"""How long a step of a distillation lasts, measured on noise."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import ceil
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from torch import Tensor

from medidd import fields
from medidd.data import NORMALIZATION, Question, RealSet
from medidd.denoisers.making import make
from medidd.denoisers.trained import Trained
from medidd.distill import Method, distill
from medidd.experts.trajectories import Experts, Trajectories
from pipelines.learning.recipe import Recipe
from pipelines.run.seeds import generator

TRIAL_STEPS = 3
"""Number of steps that are timed."""

TRIAL_UPDATES = 20
"""Updates of a denoiser that are timed."""

TRIAL_REFINED = 5
"""Steps of a refinement that are timed; the others take as long."""

TRIAL_FILMS = 512
"""Films of noise per class, at most. Only an answer about all films takes longer with more."""

Clock = Callable[[], float]
"""Returns seconds that only grow, such as ``time.monotonic`` or ``time.process_time``."""


@dataclass
class Watched:
    """Films of noise that stand for more, and how long answers about all of them took.

    Attributes:
        real: the films.
        held: of a class.
        clock: what tells the time.
        whole: seconds of the answers about all films so far.
    """

    real: RealSet
    held: int
    clock: Clock
    whole: float = field(default=0.0, init=False)

    @property
    def classes(self) -> int:
        """K, the number of classes."""
        return self.real.classes

    def means(self, questions: Sequence[Question[Any]], *, size: int) -> list[Any]:
        """Answers as the films do."""
        begun = self.clock()
        answers = self.real.means(questions, size=size)
        self._note(begun, size)
        return answers

    def balanced(self, f: Callable[[Tensor, Tensor], Any], *, size: int) -> Any:
        """Answers as the films do."""
        begun = self.clock()
        answer = self.real.balanced(f, size=size)
        self._note(begun, size)
        return answer

    def _note(self, begun: float, size: int) -> None:
        self.whole += (self.clock() - begun) * (size > self.held)


def seconds_per_step(
    recipe: Recipe,
    per_class: int,
    size: int,
    device: torch.device,
    clock: Clock = time.monotonic,
) -> float:
    """Returns the seconds of one step on noise of the right shape; 0 if there are no steps.

    It is the mean over a whole run. What a path begins with, such as a question about all films, a
    refinement or a pool of networks, counts as often as the run begins a path.

    Args:
        recipe: what takes the steps.
        per_class: films of the largest class.
        size: height and width in pixels.
        device: where.
        clock: what tells the time.

    Raises:
        ValueError: the network does not serve the method.
        FloatingPointError: the loss is not finite.
    """
    if recipe.method is None or not recipe.steps:
        return 0.0
    rng = generator(0)
    batch = min(per_class, TRIAL_FILMS)
    images, labels = noise(recipe.classes, batch, size, device)
    synthetic = replace(recipe, start="noise").begun(images, labels, rng)
    real = Watched(RealSet(images, labels, recipe.classes, rng), batch, clock)
    with TemporaryDirectory() as folder:
        whole = on_trial_experts(recipe.method, real.real, images, Path(folder))
        method, share = shortened(whole)
        ended = list[int]()  # how many steps were taken when a path ended
        steps = distill(
            method, synthetic, real, steps=TRIAL_STEPS + 1, rng=rng, between=ended.append
        )
        laps = [_Lap(clock(), real.whole), *(_Lap(clock(), real.whole) for _ in steps)]
    begins = [0, *ended[:-1]]
    first, later = list[float](), list[float]()
    for step, (before, after) in enumerate(pairwise(laps)):
        answers = after.whole - before.whole
        others = after.at - before.at - answers
        if step in begins:  # here a refinement is, of which only a share was tried
            first.append(others / share + answers * per_class / batch)
        else:
            later.append(others + answers * per_class / batch)
    # The very first step also makes what is made once. It counts if no other one begins a path.
    first = first[1:] or first
    held = fields.values(method)
    length = ended[0] if len(ended) > 1 else held.get("path", held.get("online", recipe.steps))
    paths = ceil(recipe.steps / max(length, 1))
    return (paths * fmean(first) + (recipe.steps - paths) * fmean(later or [0])) / recipe.steps


def denoiser_seconds(
    recipe: Recipe, size: int, device: torch.device, clock: Clock = time.monotonic
) -> float:
    """Returns the seconds of the training of a recipe's denoiser, from some updates on noise.

    Args:
        recipe: whose method draws from a denoiser.
        size: height and width in pixels.
        device: where.
        clock: what tells the time.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    whole: Trained = fields.values(recipe.method)["denoiser"]
    how = whole.configuration
    updates = {"denoiser": how.training.steps}
    if how.encoding is not None:
        updates["autoencoder"] = how.encoding.steps
    images, labels = noise(recipe.classes, how.training.batch, size, device)
    real = RealSet(images, labels, recipe.classes, generator(0))
    laps: dict[str, list[float]] = {}
    with TemporaryDirectory() as folder:
        trial = on_short_denoiser(whole, Path(folder), TRIAL_UPDATES + 1)
        for name, *_ in make(Path(folder), trial, lambda *_: real, images):
            laps.setdefault(name, []).append(clock())
    # The first lap is before the first update, which also makes what is made once.
    return sum(
        (ended[-1] - ended[1]) / TRIAL_UPDATES * updates[name] for name, ended in laps.items()
    )


class _Lap(NamedTuple):
    """A moment between two steps, and how long answers about all films had taken until then."""

    at: float
    whole: float


def noise(classes: int, per_class: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Returns standardised images of noise, class after class, and their labels."""
    drawn = torch.randn(per_class * classes, 1, size, size, generator=generator(0))
    labels = torch.arange(classes, device=device).repeat_interleave(per_class)
    return NORMALIZATION.standardize(drawn).to(device), labels


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
    """Returns the method; one with experts or a denoiser is given one that was hardly trained."""
    held = fields.values(method)
    if "experts" in held:
        epochs = held["last_start"] + held["expert_epochs"]
        trial = Experts(held["network"], count=1, epochs=epochs, epoch_steps=1, batch=2)
        for _ in trial.make(folder, lambda *_: real, {}, like=like):
            pass
        trained = Trajectories(folder, held["network"], {})
        method = fields.make(type(method), held | {"experts": trained})
    if "denoiser" in held:
        trial_denoiser = on_short_denoiser(held["denoiser"], folder, 1)
        for _ in make(folder, trial_denoiser, lambda *_: real, like):
            pass
        method = fields.make(type(method), held | {"denoiser": trial_denoiser})
    chosen: Method = method
    return chosen


def on_short_denoiser(denoiser: Trained, folder: Path, steps: int) -> Trained:
    """Returns a denoiser that is trained in a folder for a few steps in place of many."""
    how = denoiser.configuration
    short = replace(
        how,
        training=replace(how.training, steps=steps),
        encoding=how.encoding and replace(how.encoding, steps=steps),
    )
    return replace(denoiser, folder=folder, configuration=short, about={})
