"""Trains a denoiser on films, for the methods that draw their images from one.

A denoiser is made of the members' films. Its folder never leaves, like the private part of a run. A
run that draws from it stores how it was trained, so that an audit can train the same kind of
denoiser on other patients.
"""

import hashlib
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medidd.denoisers.presets import usual
from medidd.denoisers.trained import Configuration
from pipelines.learning.asking import asking
from pipelines.learning.beforehand.denoisers import keep_public, made_for, train_denoiser
from pipelines.learning.plan import Plan, too_few
from pipelines.learning.processor import device, use
from pipelines.learning.promise import promised, state_beforehand
from pipelines.learning.recipe import undrawn
from pipelines.run.budget import Budget
from pipelines.run.errors import Exit, Stop
from pipelines.run.films import Studies
from pipelines.run.patients import Patients, read_patients
from pipelines.run.progress import Progress, timed
from pipelines.run.store import Json, Run, claimed

BEARS = ((280, 60), (1150, 24), (2950, 5))
"""Films, and the last epochs over so many after which twenty samples passed A5b: docs/minimax.md.
Measured on chest films of 32 px with the preset for two cores."""


@dataclass(frozen=True)
class Denoiser:
    """Train a diffusion model on a folder of DICOM studies.

    Attributes:
        studies: the folder, and how its films are read.
        out: folder of the denoiser.
        preset: size of the model and length of its training, "cpu" or "gpu"; None for the one of
            the device.
        steps: updates of the diffusion model; None for the preset's.
        batch: films per update; None for the preset's.
        lr: step size; None for the preset's.
        weights: file of public weights that the training begins with; None for fresh ones.
        seed: of everything random. A run that draws from the denoiser needs the same seed, because
            it draws who is held out.
        device: "auto", "cpu" or "cuda".
        threads: of the CPU.
        precision: of convolutions: "float32", "tf32" or "bfloat16".
        resume: continue a training that was stopped.
        budget: the guarantee; None for a denoiser without one.
    """

    studies: Studies
    out: Path
    preset: str | None = None
    steps: int | None = None
    batch: int | None = None
    lr: float | None = None
    weights: Path | None = None
    seed: int = 0
    device: str = "auto"
    threads: int = 1
    precision: str = "float32"
    resume: bool = False
    budget: Budget | None = None

    def configuration(self) -> Configuration:
        """Returns how the denoiser is made.

        Raises:
            Stop: there is none of such images, or the file of weights is missing.
        """
        fits = "cpu" if device(self.device).type == "cpu" else "gpu"
        try:
            made = usual(self.preset or fits, self.studies.size, seed=self.seed)
            own = {"steps": self.steps, "batch": self.batch, "lr": self.lr}
            given: Any = {name: value for name, value in own.items() if value is not None}
            digest = ""
            if self.weights is not None:
                digest = hashlib.sha256(self.weights.read_bytes()).hexdigest()
            return replace(made, training=replace(made.training, **given), weights=digest)
        except ValueError as error:
            raise Stop(f"--size: {error}", Exit.USAGE) from None


def run(job: Denoiser) -> Generator[Progress, None, Path]:
    """Makes the denoiser; the generator's value is its folder.

    Raises:
        Stop: with one line that says what is wrong and what to do.
    """
    place = Run(job.out)
    yield from timed(place, _trained(job, place))
    return job.out


def _trained(job: Denoiser, place: Run) -> Generator[Progress, None, None]:
    where, made = device(job.device), job.configuration()
    named = ("seed", "threads", "precision")
    asked: Json = {name: getattr(job, name) for name in named} | job.studies.asked()
    asked |= {"device": where.type} | made.to_json() | made.to_json()["training"]
    del asked["training"]
    if job.budget is not None:
        asked |= {"budget": job.budget.to_json()}
        _require_pixels(made)
    use(where, job.threads, job.precision)
    with claimed(place, asked, resume=job.resume):
        if job.weights is not None:
            keep_public(job.weights, place)
        held_out = None if job.budget is None else job.budget.held_out
        patients = yield from read_patients(place, job.studies, seed=job.seed, held_out=held_out)
        members, classes = patients.members, len(patients.cohort.classes)
        if job.budget is not None:
            guarantee = _reserve(job.budget, place, patients, made)
            if few := too_few(guarantee, len(members.ids)):
                yield Progress("reserve the budget", 1, 1, few)
        elif warning := too_long(made, len(members)):
            yield Progress("length of the training", 1, 1, warning)
        yield from train_denoiser(
            made.to_json(),
            members,
            classes,
            made_for(members, classes, size=job.studies.size),
            place.path,
            device=where,
            asked=asking(job.budget, place.answers),
            initial=job.weights,
        )


def too_long(made: Configuration, films: int) -> str:
    """Returns that an audit may find members in samples after such a training, else ''."""
    training = made.training
    epochs = training.steps * training.batch / max(films, 1)
    known = [bears for of, bears in BEARS if of <= films]
    bears = known[-1] if known else BEARS[0][1] * films / BEARS[0][0]
    if epochs <= bears:
        return ""
    fewer = max(bears * films / training.batch, 1)
    return (
        f"{epochs:.0f} epochs over {films} films: on as many films, twenty samples lay nearer to "
        f"members than chance allows after more than {bears:.0f} (A5b, docs/minimax.md), so an "
        f"audit may refuse them; fewer images per class, or --steps {fewer:.0f}, show less"
    )


def _require_pixels(made: Configuration) -> None:
    """Checks that a guarantee covers all that is trained.

    Raises:
        Stop: it does not.
    """
    if made.encoding is not None:
        raise Stop(
            "no guarantee covers the autoencoder of images above 64 px; use --size 64 or less, or "
            "--epsilon none",
            Exit.USAGE,
        )


def _reserve(budget: Budget, place: Run, patients: Patients, made: Configuration) -> Json:
    """Reserves what the training spends, and writes down its guarantee, which it returns.

    Raises:
        Stop: there are far too few patients, or their account does not allow it.
    """
    classes, size = len(patients.cohort.classes), patients.members.images.shape[-1]
    releases = made.training.steps
    theta = undrawn(made.to_json(), classes, size).theta
    numbers = 1 + classes + sum(weight.numel() for weight in theta.values())  # and the loss
    plan = Plan(releases, numbers, budget.series(releases).sigma)
    plan.require(budget.patients)
    guarantee = promised(place, patients, budget, plan)
    state_beforehand(place.path, guarantee)
    return guarantee
