"""Says what a distillation would do and take, and writes nothing."""

import resource
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from medidd.data import NORMALIZATION, RealSet
from medidd.dicom.errors import CohortError, TooManyRefused, counts
from medidd.dicom.plan import make_plan
from medidd.distill import Method, distill
from medidd.methods.experts import Experts, Trajectories
from medidd.starts import BASELINES
from pipelines.distill import Distill
from pipelines.installation import key
from pipelines.recipe import Recipe
from pipelines.recipients import RECIPIENTS
from pipelines.seeds import generator
from pipelines.stop import Exit, Stop
from pipelines.summary import Answer
from pipelines.worth import FULL, NETWORKS, RECIPIENT

TRIAL_STEPS = 3
"""Steps that are really taken, on noise, to see how long they last."""


def run(job: Distill) -> Answer:
    """Reads the headers, takes a few steps on noise, and reckons from there.

    Raises:
        Stop: the command would be refused.
    """
    frozen = job.frozen()
    place = job.place(frozen)
    try:
        plan = make_plan(job.dicom_dir, job.labels, size=job.size, key=key())
        plan.require_usable(job.dicom_dir, job.max_refused)
    except TooManyRefused as error:
        raise Stop(str(error), Exit.REFUSED_FILES) from None
    except CohortError as error:
        raise Stop(str(error), Exit.DATA) from None
    films = Counter(film.label for film in plan.films)
    recipe = frozen.recipe(len(films))
    torch.set_num_threads(job.threads)
    try:
        step = _step(recipe, films, job.size)
    except (ValueError, FloatingPointError) as error:
        raise Stop(f"a trial on noise: {error}", Exit.USAGE) from None
    network = _network(recipe, job.size)
    full = FULL.steps * FULL.batch / (RECIPIENT.steps * recipe.shown * len(films))
    trainings = NETWORKS * (1 + len(BASELINES) + full) + len(RECIPIENTS)
    seconds = {
        "distil": recipe.steps * step,
        "train and audit": trainings * network,
        "standard audit": 5 * recipe.steps * step + 6 * len(RECIPIENTS) * network,
    }
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    memory += len(plan.films) * job.size**2 * 4 * 3  # as levels, as display values, standardised
    patients = len({film.patient for film in plan.films})
    lines = [
        f"would read {len(plan.films)} films of {patients} patients "
        f"({', '.join(f'{name} {n}' for name, n in sorted(films.items()))}); "
        f"left out: {counts(plan.refused)}",
        f"would make {recipe.shown * len(films)} images of {job.size} px with {recipe.name}, "
        f"{recipe.steps} steps on {frozen.device_name}, in {place.path}",
        f"would take about {_minutes(seconds['distil'])} to distil, "
        f"{_minutes(seconds['train and audit'])} to train networks and screen, besides reading; "
        f"a standard audit another {_minutes(seconds['standard audit'])}",
        f"would need about {memory / 2**30:.1f} GiB of memory",
    ]
    value = {
        "run": str(place.path),
        "films": dict(sorted(films.items())),
        "patients": patients,
        "refused": dict(sorted(plan.refused.items())),
        "steps": recipe.steps,
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "memory_bytes": memory,
    }
    return Answer(lines, value)


def _step(recipe: Recipe, films: Counter[str], size: int) -> float:
    """Seconds per step, measured on noise of the right shape."""
    if recipe.method is None:
        return 0.0
    rng = generator(0)
    batch = min(max(films.values()), 512)
    images = torch.randn(batch * recipe.classes, 1, size, size, generator=rng)
    labels = torch.arange(recipe.classes).repeat_interleave(batch)
    synthetic = replace(recipe, start="noise").begun(images, labels, rng)
    real = RealSet(NORMALIZATION.standardize(images), labels, recipe.classes, rng)
    with TemporaryDirectory() as folder:
        method = _on_trial_experts(recipe.method, real, Path(folder))
        steps = distill(method, synthetic, real, steps=TRIAL_STEPS + 1, rng=rng)
        next(steps)
        begun = time.monotonic()
        for _ in steps:
            pass
        return (time.monotonic() - begun) / TRIAL_STEPS


def _on_trial_experts(method: Any, real: RealSet, folder: Path) -> Method:
    """Returns the method; one that matches experts is given one that was hardly trained."""
    if hasattr(method, "experts"):
        epochs = method.last_start + method.expert_epochs
        trial = Experts(method.network, count=1, epochs=epochs, epoch_steps=1, batch=2)
        for _ in trial.make(folder, lambda _: real, {}):
            pass
        method = replace(method, experts=Trajectories(folder, method.network, {}))
    chosen: Method = method
    return chosen


def _network(recipe: Recipe, size: int) -> float:
    """Seconds to train one network on the release, reckoned from a tenth of its steps."""
    from medidd.evaluate import train

    rng = generator(0)
    images = torch.randn(recipe.shown * recipe.classes, 1, size, size, generator=rng)
    labels = torch.eye(recipe.classes).repeat_interleave(recipe.shown, 0)
    begun = time.monotonic()
    train(recipe.networks["convnet"], images, labels, replace(RECIPIENT, steps=30), rng)
    return (time.monotonic() - begun) * RECIPIENT.steps / 30


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
