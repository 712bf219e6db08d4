"""Makes a synthetic set from films, measures its utility and audits it."""

from collections.abc import Generator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from medidd.machine.ranks import ALONE, Ranks
from pipelines.bundle.declared import facts, keep_guarantee
from pipelines.commands.accompany import require_sharing
from pipelines.commands.audit import examine
from pipelines.evaluation.networks_ahead import networks_ahead
from pipelines.evaluation.utility import NETWORKS, utility
from pipelines.learning.beforehand.denoisers import PUBLIC, keep_public
from pipelines.learning.beforehand.kinds import needed, recorded
from pipelines.learning.job import FrozenJob
from pipelines.learning.making import made, note_machine
from pipelines.learning.opened_run import OpenedRun
from pipelines.learning.plan import planned, too_few
from pipelines.learning.processor import device
from pipelines.learning.promise import of_beforehand, promised
from pipelines.learning.recipe import Recipe, usual_method, usual_start
from pipelines.planning.memory import read_if_room
from pipelines.reports.report import write_report
from pipelines.run import ledger
from pipelines.run.budget import Budget
from pipelines.run.films import Studies
from pipelines.run.patients import Patients, read_patients, require_enough
from pipelines.run.progress import Progress, timed
from pipelines.run.release_file import read_release, write_release
from pipelines.run.results import has_metrics, write_metrics
from pipelines.run.store import RUNS, Json, Run, claimed
from pipelines.workers.helping import TWO, Workers
from privacy.policy import Level

UNKNOWN_CLASSES = 2
"""Number of classes for checking the settings before any film is read."""


@dataclass(frozen=True)
class Distill:
    """Learn a synthetic set from a folder of DICOM studies.

    Attributes:
        studies: the folder, and how its films are read.
        ipc: images per class.
        method: a method, or a start for a baseline; None for the one that suits a guarantee, or a
            release without one.
        start: where S begins; None for the method's own start.
        steps: updates of S; None for the method's own number.
        seed: of everything random.
        device: "auto", "cpu" or "cuda".
        preset: source of the fields that are not set, "default" or "paper".
        settings: the method's own fields.
        experts: folder of the experts that a method matches; None if it needs none.
        denoiser: folder of the denoiser that a method draws from; None if it needs none.
        width: filters per block of the ConvNet.
        threads: of the CPU.
        precision: of convolutions: "float32", "tf32" or "bfloat16".
        out: the run's folder; None for one named after the job.
        resume: continue a run that was stopped.
        budget: the guarantee; None for a release without one.
        teachers: networks trained on the films that label S; 0 for none.
        workers: who trains the networks of the table.
    """

    studies: Studies
    ipc: int
    method: str | None = None
    start: str | None = None
    steps: int | None = None
    seed: int = 0
    device: str = "auto"
    preset: str = "default"
    settings: Mapping[str, Any] = field(default_factory=dict)
    experts: Path | None = None
    denoiser: Path | None = None
    width: int = 32
    threads: int = 1
    precision: str = "float32"
    out: Path | None = None
    resume: bool = False
    budget: Budget | None = None
    teachers: int = 0
    workers: Workers = TWO

    def frozen(self) -> FrozenJob:
        """Returns everything that decides the run's bytes.

        Raises:
            Stop: a name or a setting does not exist, or what was trained before has another
                guarantee.
        """
        asked, private = self.studies.asked(), self.budget is not None
        method = self.method or usual_method(private=private)
        frozen = FrozenJob(
            source=asked["source"],
            labelling=asked["labelling"],
            unit=self.studies.unit,
            method=method,
            start=self.start or usual_start(method, private=private),
            ipc=self.ipc,
            size=self.studies.size,
            steps=self.steps,
            preset=self.preset,
            settings=dict(self.settings),
            **recorded(method, {"experts": self.experts, "denoiser": self.denoiser}),
            width=self.width,
            seed=self.seed,
            device_name=device(self.device).type,
            threads=self.threads,
            precision=self.precision,
            max_refused=self.studies.max_refused,
            reading=self.studies.reading,
            budget=self.budget,
            teachers=self.teachers,
        )
        recipe = frozen.recipe(UNKNOWN_CLASSES)
        if self.budget is not None:
            planned(recipe, self.budget, self.studies.size).require(self.budget.patients)
            if self.beforehand is not None:
                of_beforehand(self.beforehand, self.budget)
        return frozen

    @property
    def beforehand(self) -> Path | None:
        """The folder of what the method needs trained before it; None if it needs nothing."""
        return self.experts or self.denoiser

    def place(self, frozen: FrozenJob) -> Run:
        """Returns the run's folder."""
        named = f"{frozen.method}-ipc{self.ipc}-{frozen.digest()}"
        return Run(self.out if self.out is not None else RUNS / named)


def run(job: Distill, ranks: Ranks = ALONE) -> Generator[Progress, None, Run]:
    """Makes or continues the run; the generator's value is the finished run.

    Args:
        job: what is asked.
        ranks: the processes that share the learning; the others ``accompany`` this one.

    Raises:
        Stop: with one line that says what is wrong and what to do.
    """
    frozen = job.frozen()
    require_sharing(frozen, ranks)
    frozen.settle()
    ledger.entries()  # finds a damaged ledger before the work, not after it
    place = job.place(frozen)
    reading = read_patients(place, job.studies, seed=job.seed, held_out=frozen.held_out)
    way = Way(job.resume, job.beforehand, job.workers, ranks)
    return (yield from finished(frozen, place, reading, way))


@dataclass(frozen=True)
class Way:
    """How a run is made, where that decides nothing about it.

    Attributes:
        resume: whether it may have been begun.
        beforehand: folder of what its method needs trained before it; None if that is nothing.
        workers: who trains the networks of the table.
        ranks: the processes that share the learning.
    """

    resume: bool = False
    beforehand: Path | None = None
    workers: Workers = TWO
    ranks: Ranks = ALONE


def finished(
    frozen: FrozenJob, place: Run, reading: Generator[Progress, None, Patients], way: Way
) -> Generator[Progress, None, Run]:
    """Makes or continues a run, with all that belongs to it; the generator's value is the run.

    Args:
        frozen: what is asked.
        place: its folder.
        reading: gives its films.
        way: how it is made.

    Raises:
        Stop: with one line that says what is wrong and what to do.
    """
    return (yield from timed(place, _made(frozen, place, reading, way)))


def _made(
    frozen: FrozenJob, place: Run, reading: Generator[Progress, None, Patients], way: Way
) -> Generator[Progress, None, Run]:
    with claimed(place, frozen.to_json(), resume=way.resume):
        patients = yield from read_if_room(reading, frozen)
        opened = OpenedRun(place, frozen, patients)
        require_enough(patients, frozen.ipc, unfold=opened.recipe.shown // frozen.ipc)
        recipe = _recipe(opened, way.beforehand)
        with nullcontext() if place.metrics.exists() else networks_ahead(place, way.workers):
            yield from _release(opened, recipe, way.beforehand, way.ranks)
            yield from _judge(opened)
            if not place.audit.exists():
                yield from examine(opened, Level.SCREEN)
    write_report(place, patients, networks=NETWORKS)
    return place


def _recipe(opened: OpenedRun, beforehand: Path | None) -> Recipe:
    """Returns the run's recipe with what its method needs trained before it, if anything."""
    kind, recipe = needed(opened.frozen.method), opened.recipe
    if beforehand is None or kind is None:
        return recipe
    if (opened.frozen.denoiser or {}).get("weights"):
        keep_public(Run(beforehand).private / PUBLIC, opened.run)
    of = kind.about(opened.patients.members, recipe.classes, opened.frozen)
    return kind.use(recipe, beforehand, of)


def _release(
    opened: OpenedRun, recipe: Recipe, beforehand: Path | None, ranks: Ranks
) -> Generator[Progress, None, None]:
    place, frozen = opened.run, opened.frozen
    if place.release.exists():
        return
    guarantee = _guarantee(opened, recipe, beforehand)
    if guarantee is not None and (few := too_few(guarantee, len(opened.patients.members.ids))):
        yield Progress("reserve the budget", 1, 1, few)
    if ranks.count > 1 and not recipe.releases:
        ranks = ALONE
        yield Progress("share the work", 1, 1, f"{frozen.method} asks no films; one process learns")
    note_machine(opened, beforehand, ranks.count)
    release = yield from made(
        opened,
        recipe,
        stage=f"distil with {frozen.method}",
        checkpoint=place.checkpoint,
        log=place.log,
        ranks=ranks,
    )
    write_release(place, replace(release, facts=facts(opened, guarantee) | release.facts))


def _guarantee(opened: OpenedRun, recipe: Recipe, beforehand: Path | None) -> Json | None:
    """Returns the guarantee as the release states it; None if it has none.

    Raises:
        Stop: the account of these patients does not allow it, or what was trained before has
            another one.
    """
    budget = opened.frozen.budget
    if budget is None:
        return None
    if beforehand is not None:
        guarantee = of_beforehand(beforehand, budget)
        keep_guarantee(opened, guarantee)
        return guarantee
    plan = planned(recipe, budget, opened.frozen.size)
    return promised(opened.run, opened.patients, budget, plan)


def _judge(opened: OpenedRun) -> Generator[Progress, None, None]:
    if has_metrics(opened.run):
        return
    rows = yield from utility(opened, read_release(opened.run), "convnet")
    write_metrics(opened.run, {row: value["metrics"] for row, value in rows.items()})
