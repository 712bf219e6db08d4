"""Says what a distillation would do, how long it would take and how much memory; writes nothing."""

import os
from collections import Counter
from typing import Protocol

from medidd.dicom.folder.plan import unnamed
from medidd.evaluate import RECIPIENT
from medidd.experts.teachers import TEACHING
from medidd.starts import BASELINES
from pipelines.auditing.null_releases import COUNT
from pipelines.evaluation.recipients import RECIPIENTS
from pipelines.evaluation.rehearsal import Crowd
from pipelines.evaluation.utility import NETWORKS
from pipelines.learning.job import FrozenJob
from pipelines.learning.plan import planned
from pipelines.learning.promise import promise
from pipelines.learning.step_time import denoiser_seconds, seconds_per_step, spoken
from pipelines.planning.memory import said
from pipelines.planning.study import looked_at
from pipelines.planning.trial import clock_of, trained
from pipelines.run import remarks
from pipelines.run.errors import Exit, Stop
from pipelines.run.films import Studies
from pipelines.run.progress import Answer
from pipelines.run.store import Run
from pipelines.workers.helping import Workers


class Asked(Protocol):
    """A distillation that was asked for, such as ``pipelines.commands.distill.Distill``."""

    @property
    def studies(self) -> Studies:
        """The folder, and how its films are read."""

    @property
    def workers(self) -> Workers:
        """Who shares the work."""

    def frozen(self) -> FrozenJob:
        """Returns everything that decides the run's bytes."""

    def place(self, frozen: FrozenJob) -> Run:
        """Returns the run's folder."""


def run(job: Asked) -> Answer:
    """Reads the headers, makes a few steps on noise, and estimates from them.

    Raises:
        Stop: the command would end with this error.
    """
    studies, frozen = job.studies, job.frozen()
    place = job.place(frozen)
    plan = looked_at(studies)
    films = Counter(film.label for film in plan.films)
    cut, classes = frozen.reading.patches, plan.names
    recipe = frozen.recipe(len(classes))
    largest = max(films.values()) * frozen.reading.per_film
    frozen.settle()
    try:
        clock = clock_of(frozen)
        step = seconds_per_step(recipe, largest, studies.size, frozen.device, clock)
        memory, need = said(frozen, Crowd.of(plan, frozen), job.workers.here - 1)
    except (ValueError, FloatingPointError) as error:
        raise Stop(f"a trial on noise failed: {error}", Exit.USAGE) from None
    network = trained(frozen, recipe, "convnet", clock)
    full = TEACHING.steps * TEACHING.batch / (RECIPIENT.steps * recipe.shown * len(classes))
    # All processes share the networks; the audit trains its own in one.
    trainings = NETWORKS * (1 + len(BASELINES) + full) / min(os.cpu_count() or 1, job.workers.here)
    trainings += len(RECIPIENTS)
    seconds = {
        "distil": recipe.steps * step,
        "train and audit": trainings * network,
        "standard audit": COUNT * recipe.steps * step + (COUNT + 1) * len(RECIPIENTS) * network,
    }
    if frozen.denoiser is not None:
        each = denoiser_seconds(recipe, studies.size, frozen.device, clock)
        seconds["standard audit"] += COUNT * each
    besides = "" if frozen.experts is None else ", plus experts for each null release"
    patients = len({film.patient for film in plan.films})
    unit = "" if studies.unit == "patient" else f", each {studies.unit} counted as one,"
    lines = [
        f"would read {len(plan.films)} films of {patients} patients{unit} "
        f"({', '.join(f'{name} {n}' for name, n in sorted(films.items()))}); "
        f"left out: {remarks.left_out(plan.refused)}",
        f"would make {recipe.shown * len(classes)} images of {studies.size} px with {recipe.name}, "
        f"{recipe.steps} step{'' if recipe.steps == 1 else 's'} on {frozen.device_name}, in "
        f"{place.path}",
        f"would take about {spoken(seconds['distil'])} to distil, "
        f"{spoken(seconds['train and audit'])} to train networks and screen, plus reading; "
        f"a standard audit would take another {spoken(seconds['standard audit'])}{besides}; other "
        "work on this computer makes all of it longer",
        memory,
    ]
    if cut is not None:
        lines.insert(
            1,
            f"would cut each into {cut.per_film} patches of {cut.size} pixels; classes: "
            f"{', '.join(classes)}",
        )
    if frozen.budget is None:
        lines.append("would have no guarantee (--epsilon none)")
    else:
        lines.append(f"would publish the names of the classes: {', '.join(classes)}")
        costs = planned(recipe, frozen.budget, studies.size)
        lines.append(f"would guarantee {promise(frozen.budget)}")
        if costs.releases:
            lines.append(costs.sentence(round((1 - frozen.budget.held_out) * patients)))
    lines += remarks.of_labels(plan.refused, plan.unknown_keys)
    lines += remarks.of_evidence(plan.evidence)
    if studies.unit == "patient":
        lines += remarks.of_patients(unnamed(plan.films))
    value = {
        "run": str(place.path),
        "films": dict(sorted(films.items())),
        "patients": patients,
        "refused": dict(sorted(plan.refused.items())),
        "unknown_keys": plan.unknown_keys,
        "evidence": dict(plan.evidence),
        "steps": recipe.steps,
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "memory_bytes": None
        if need is None
        else {
            "together": need.together,
            "command": need.command,
            "second process": need.beside,
            "GPU": need.device,
        },
    }
    return Answer(lines, value)
