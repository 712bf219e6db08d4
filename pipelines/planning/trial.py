"""How long the parts of a run take, measured on noise by the functions that the run itself calls.

On a CPU with one thread the clock counts the process's own seconds, so that other work on the same
computer does not lengthen the plan. A process that computes alone on its core needs as long.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from medidd.data import RealSet
from medidd.dicom.folder import cutting
from medidd.dicom.folder.plan import Plan
from medidd.dicom.isolation import isolated
from medidd.dicom.pixels.film import decoded
from medidd.evaluate import RECIPIENT, Training, log_probabilities, train
from medidd.experts.teachers import TEACHING
from medidd.experts.trajectories import Experts
from medidd.fields import values
from medidd.network import Network
from medidd.starts import BASELINES, STARTS, begin
from pipelines.evaluation.recipients import RECIPIENTS
from pipelines.learning.job import FrozenJob
from pipelines.learning.recipe import Recipe
from pipelines.learning.step_time import (
    TRIAL_FILMS,
    Clock,
    denoiser_seconds,
    noise,
    seconds_per_step,
)
from pipelines.planning.attacks import attacks, timed
from pipelines.planning.study import Numbers
from pipelines.run.seeds import generator

READING = 0.06
"""Seconds to read a film, where there is none to measure: 52 ms for JPEG Lossless of 2048 x 2048
pixels (benchmarks/README.md, "Films per second"; docs/ingest.md has its decoder's 38 ms) and 8 ms
for walking, headers and writing ("A large folder" there)."""

FILMS_READ = 12
"""Films of a folder that are read on trial; the first is not timed, for its process must start."""

UPDATES = 20
"""Updates of a network that are timed."""


@dataclass(frozen=True)
class Speeds:
    """Seconds of the parts of one kind of run.

    Attributes:
        distil: to learn the release.
        null: to learn a null release, of four fifths of the controls.
        expert: to train an expert, or a denoiser; 0 if the method needs neither.
        null_expert: to train one of a null release.
        rows: to train one network and ask it about the test films, by row of the report.
        attack: to judge a release against all films.
        against: more of that for each null release.
        pieces: how many experts there are of a seed; None for as many as the study says.
    """

    distil: float
    null: float
    expert: float
    null_expert: float
    rows: Mapping[str, float]
    attack: float
    against: float
    pieces: int | None = None


def clock_of(frozen: FrozenJob) -> Clock:
    """Returns what tells the seconds of a run's device."""
    if frozen.device.type == "cuda":

        def waited() -> float:
            torch.cuda.synchronize()
            return time.monotonic()

        return waited
    return time.process_time if frozen.threads == 1 else time.monotonic


def speeds(frozen: FrozenJob, numbers: Numbers, *, attacked: bool) -> Speeds:
    """Measures one kind of run.

    Args:
        frozen: its job.
        numbers: films and patients.
        attacked: whether it is audited; if not, attacks are not timed.

    Raises:
        ValueError: the network or the films do not serve the method.
        FloatingPointError: the loss is not finite.
    """
    frozen.settle()
    clock, recipe = clock_of(frozen), frozen.recipe(numbers.classes)
    step = partial(seconds_per_step, recipe, size=frozen.size, device=frozen.device, clock=clock)
    begun, baseline = _starts(frozen, recipe, numbers, clock)
    convnet, mlp = (recipe.networks[name] for name in ("convnet", "mlp"))
    small = {name: trained(frozen, recipe, name, clock) for name in ("convnet", "mlp")}
    seen = {
        network: _asked(frozen, of, clock) for network, of in (("convnet", convnet), ("mlp", mlp))
    }
    asked = numbers.test * seen["convnet"]
    rows = {"full": _updates(frozen, recipe, convnet, TEACHING, TEACHING.batch, clock) + asked}
    rows |= {start: baseline[start] + small["convnet"] + asked for start in BASELINES}
    if frozen.budget is not None:
        rows["class-mean"] = baseline["average"] + small["convnet"] + asked
    rows["synthetic"] = small["convnet"] + asked
    people = numbers.members + numbers.controls
    networks = sum(small[name] + 2 * people * seen[name] for name in RECIPIENTS)
    attack, against = attacks(frozen, recipe, numbers, clock) if attacked else (0.0, 0.0)
    expert = beforehand(frozen, recipe, numbers.largest, clock)
    null_expert = beforehand(frozen, recipe, numbers.of_null, clock)
    return Speeds(
        distil=begun * numbers.members + recipe.steps * step(numbers.largest),
        null=begun * numbers.controls + recipe.steps * step(numbers.of_null),
        expert=expert,
        null_expert=null_expert,
        pieces=None if frozen.denoiser is None else 1,
        rows=rows,
        attack=attack + networks,
        against=against + networks,
    )


def trained(frozen: FrozenJob, recipe: Recipe, name: str, clock: Clock) -> float:
    """Returns the seconds of one network trained on a release."""
    shown = recipe.shown * recipe.classes
    return _updates(frozen, recipe, recipe.networks[name], RECIPIENT, shown, clock)


def _updates(
    frozen: FrozenJob, recipe: Recipe, network: Network, how: Training, images: int, clock: Clock
) -> float:
    """Returns the seconds of a training, estimated from some of its updates."""
    classes = recipe.classes
    x, y = noise(classes, max(images // classes, 1), frozen.size, frozen.device)
    one_hot = torch.eye(classes, device=frozen.device)[y]

    def train_for(steps: int) -> float:
        return timed(
            clock,
            lambda: train(network, x, one_hot, replace(how, steps=steps), generator(0)),
        )

    train_for(1)  # what is made once is not counted
    return train_for(UPDATES) * how.steps / UPDATES


def _asked(frozen: FrozenJob, network: Network, clock: Clock) -> float:
    """Returns the seconds in which a network classifies one film."""
    x, _ = noise(2, 64, frozen.size, frozen.device)
    theta = network.init(generator(0), like=x)
    with torch.no_grad():
        log_probabilities(network, theta, x)
        return timed(clock, lambda: log_probabilities(network, theta, x)) / len(x)


def _starts(
    frozen: FrozenJob, recipe: Recipe, numbers: Numbers, clock: Clock
) -> tuple[float, dict[str, float]]:
    """Returns the seconds per film in which S begins, and those to draw each baseline."""
    per_class = max(min(numbers.largest, TRIAL_FILMS), 2 * recipe.shown)
    images, labels = noise(recipe.classes, per_class, frozen.size, frozen.device)
    own = timed(clock, lambda: recipe.begun(images, labels, generator(0)))

    def drawn(start: str) -> float:
        return timed(
            clock,
            lambda: begin(
                STARTS[start],
                images,
                labels,
                classes=recipe.classes,
                ipc=recipe.shown,
                rng=generator(0),
                network=recipe.networks["convnet"],
            ),
        )

    more = numbers.members / len(images)
    return own / len(images), {start: drawn(start) * more for start in BASELINES}


def beforehand(frozen: FrozenJob, recipe: Recipe, largest: int, clock: Clock) -> float:
    """Returns the seconds of one expert, or of a denoiser; 0 if the method needs neither."""
    if frozen.denoiser is not None:
        return denoiser_seconds(recipe, frozen.size, frozen.device, clock)
    return 0.0 if frozen.experts is None else _expert(frozen, recipe, largest, clock)


def _expert(frozen: FrozenJob, recipe: Recipe, largest: int, clock: Clock) -> float:
    """Returns the seconds of one expert, estimated from one of its epochs."""
    how = dict(frozen.experts or {})
    images, labels = noise(recipe.classes, min(largest, TRIAL_FILMS), frozen.size, frozen.device)
    real = RealSet(images, labels, recipe.classes, generator(0))
    network = values(recipe.method)["network"]
    trial = Experts(network, **(how | {"count": 1, "epochs": 2, "epoch_steps": 2}))
    with TemporaryDirectory() as folder:
        ended = [clock() for _ in trial.make(Path(folder), lambda *_: real, {}, like=images)]
    update = (ended[1] - ended[0]) / trial.epoch_steps
    return float(update * how["epochs"] * how["epoch_steps"])


def reading(plan: Plan | None, size: int, header: float) -> tuple[float, int]:
    """Returns the seconds to read a film on one core, and how many films were read to know.

    Of films that are cut, these are seconds for a patch.

    Args:
        plan: the films of a folder; None to assume ``READING``.
        size: height and width in pixels.
        header: seconds per film that the headers took.
    """
    if plan is None:
        return READING, 0
    work: Any = partial(decoded, size=size, reading=plan.reading)
    sources = [cutting.work(plan, row) for row in range(min(len(plan.films), FILMS_READ))]
    ended = [time.monotonic() for _ in isolated(work, sources, workers=1)]
    if len(ended) < 2:
        return READING, 0
    each = header + (ended[-1] - ended[0]) / (len(ended) - 1)
    return each / plan.reading.per_film, len(ended)
