"""A rehearsal of a run on noise: how much memory each of its stages takes.

It makes a cohort of noise as large as the real one, and has each stage take a few steps on it, by
the functions that the run itself calls. So whatever these hold at once is in the figure. Both
processes of a run are rehearsed in a process of their own, whose peak Linux tells.
"""

import resource
import signal
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from medidd.data import RealSet
from medidd.dicom.folder.cohort import Cohort
from medidd.dicom.folder.plan import Plan
from medidd.distill import Classifies, Decodes
from medidd.evaluate import Training, log_probabilities, train
from medidd.experts.teachers import TEACHING
from medidd.machine.allocator import keep_memory
from medidd.machine.memory import taken
from medidd.split import Role, assign, tossed
from medidd.starts import BASELINES, STARTS, begin
from pipelines.evaluation.noisy_means import class_means
from pipelines.evaluation.utility import recipient
from pipelines.learning.asking import standardized
from pipelines.learning.job import FrozenJob
from pipelines.learning.making import made
from pipelines.learning.opened_run import OpenedRun
from pipelines.learning.recipe import Recipe
from pipelines.learning.step_time import on_trial_experts, shortened
from pipelines.run.installation import key
from pipelines.run.patients import Patients
from pipelines.run.seeds import generator
from pipelines.run.store import Run

STEPS = 2
"""Steps of each stage. The first has the peak of nearly all; in the second, what the first left
behind is there as well."""

LEARN, JUDGE = "images are learned", "the images are judged"
ALL_FILMS = "networks are trained on all films"

Stage = Callable[[OpenedRun, Recipe], None]
"""Takes a few steps of one stage of a run."""

Peaks = tuple[dict[str, int], int]
"""Resident bytes up to the end of each stage, and the peak on the GPU."""


@dataclass(frozen=True)
class Crowd:
    """Whom a cohort of noise stands for.

    Attributes:
        labels: class of each film.
        patients: number of each film's patient.
        roles: role of each number.
    """

    labels: Sequence[int]
    patients: Sequence[int]
    roles: Mapping[int, Role]

    @classmethod
    def of(cls, plan: Plan, frozen: FrozenJob) -> "Crowd":
        """Returns as many films of as many patients, whose roles are those of the run.

        What patches show is not known before films are decoded, so half of those of films with
        regions count as background.

        Raises:
            ValueError: a class has too few patients.
        """
        films, cut = plan.films, plan.reading.patches
        classes, names = plan.names, [film.patient for film in films]
        labels, splits = [classes.index(film.label) for film in films], [f.split for f in films]
        if frozen.held_out is None:
            drawn = assign(names, labels, splits, key=key(), seed=frozen.seed)
        else:
            share = frozen.held_out
            drawn = tossed(names, splits, key=key(), seed=frozen.seed, share=share)
        number = {name: place for place, name in enumerate(drawn)}
        roles = {number[name]: role for name, role in drawn.items()}
        owners = [number[name] for name in names]
        if cut is None:
            return cls(labels, owners, roles)
        nothing = [classes.index(cut.background if film.region else film.label) for film in films]
        pairs = [(nothing, labels)[patch % 2] for patch in range(cut.per_film)]
        return cls([n for of in pairs for n in of], owners * cut.per_film, roles)

    def drawn(self, size: int) -> Patients:
        """Returns so many films of noise, ``size`` px."""
        shape = (len(self.labels), size, size)
        levels = np.random.default_rng(0).integers(0, 65536, shape, np.uint16)
        labels = np.array(self.labels, np.int64)
        names = tuple(str(label) for label in sorted(set(self.labels)))
        patients = np.array([str(patient) for patient in self.patients])
        splits = np.array([""] * len(labels))
        cohort = Cohort(levels, labels, names, patients, splits, {}, frozenset())
        return Patients(cohort, {str(number): role for number, role in self.roles.items()})


@dataclass(frozen=True)
class Need:
    """The most memory that the processes of a run have resident, bytes.

    Attributes:
        stages: of the command, up to the end of each of its stages.
        beside: of each other process, which trains networks meanwhile.
        device: of the GPU, two processes together; 0 without one.
        others: processes beside the command.
    """

    stages: Mapping[str, int]
    beside: int
    device: int = 0
    others: int = 1

    @property
    def command(self) -> int:
        """The command's own peak."""
        return max(self.stages.values())

    @property
    def together(self) -> int:
        """The peak of all processes together, if all have theirs at once."""
        return self.command + self.others * self.beside

    @property
    def largest(self) -> str:
        """Which work takes most of it."""
        return max(self.stages, key=lambda stage: self.stages[stage])

    def fits(self, free: int | None, device: int | None = None) -> bool:
        """Tells whether it is within what is free; what is not known is enough."""
        here = free is None or self.together <= free
        return here and (device is None or self.device <= device)


def rehearsed(
    frozen: FrozenJob, crowd: Crowd, later: Mapping[str, Stage], room: int | None
) -> Need | None:
    """Returns what a run needs; None if already its rehearsal needs more than there is.

    Args:
        frozen: the run.
        crowd: its films.
        later: what the command does after it has judged the release: functions of a module.
        room: bytes that each process may take; None for any.

    Raises:
        ValueError: the network or the films do not serve the method.
        FloatingPointError: the loss is not finite.
    """
    limit = None if frozen.device.type == "cuda" else room  # CUDA reserves what it never uses
    # One after the other: together they may not fit, which is what is to be found out.
    try:
        stages, one = _alone(limit, _command, frozen, crowd, later)
        beside, two = _alone(limit, _beside, frozen, crowd)
    except (BrokenProcessPool, MemoryError):
        return None
    except RuntimeError as error:
        if "memory" in str(error):
            return None
        raise
    return Need(stages, beside[ALL_FILMS], one + two)


def _alone(limit: int | None, work: Callable[..., Peaks], *arguments: object) -> Peaks:
    """Returns what is found by a fresh process, so that its peak is the work's own."""
    with ProcessPoolExecutor(1, get_context("spawn"), _begun, (limit,)) as pool:
        return pool.submit(work, *arguments).result()


def _begun(limit: int | None) -> None:
    """Prepares a process like a command, which must not take more than there is."""
    keep_memory()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a person who interrupts wants no traceback
    if limit is not None:
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        unused = taken("VmData") - taken("RssAnon")  # the limit counts what was only reserved, too
        resource.setrlimit(resource.RLIMIT_DATA, (limit + unused, most))


def _on_device(frozen: FrozenJob) -> int:
    return torch.cuda.max_memory_allocated() if frozen.device.type == "cuda" else 0


def _command(frozen: FrozenJob, crowd: Crowd, later: Mapping[str, Stage]) -> Peaks:
    """Rehearses the command itself."""
    frozen.settle()
    stages = {}
    with TemporaryDirectory() as folder:
        run = Run(Path(folder))
        opened = OpenedRun(run, frozen, crowd.drawn(frozen.size))
        recipe = _tried(opened.recipe, opened, run.path / "experts")
        learned = made(opened, recipe, stage="", checkpoint=run.checkpoint, log=run.log)
        for _ in islice(learned, 1 + STEPS):
            pass
        learned.close()
        if recipe.teachers:
            _taught(recipe, *standardized(opened.patients.members, frozen.device))
        stages[LEARN] = taken()
        _judged(opened, recipe)
        stages[JUDGE] = taken()
        _taught(recipe, *standardized(opened.patients.members, frozen.device))
        stages[ALL_FILMS] = taken()
        for name, stage in later.items():
            stage(opened, recipe)
            stages[name] = taken()
    return stages, _on_device(frozen)


def _tried(recipe: Recipe, opened: OpenedRun, folder: Path) -> Recipe:
    """Returns the recipe with what takes a few steps in place of many, and experts if need be."""
    if recipe.method is None:
        return recipe
    side, device = opened.frozen.size, opened.frozen.device
    gray = torch.zeros(recipe.classes, 1, side, side, device=device)
    real = RealSet(gray, torch.arange(recipe.classes, device=device), recipe.classes, generator(0))
    method, _ = shortened(on_trial_experts(recipe.method, real, gray, folder))
    return replace(recipe, method=method)


def _judged(opened: OpenedRun, recipe: Recipe) -> None:
    """Rehearses how the release is judged on the test films."""
    frozen, rng, network = opened.frozen, generator(0), recipe.networks["convnet"]
    members, test = opened.patients.members, opened.patients.test
    images, labels = standardized(members, frozen.device)
    seen, _ = standardized(test, frozen.device)
    synthetic = replace(recipe, start="noise").begun(images, labels, rng)
    method: Any = recipe.method
    shown = method.decode(synthetic) if isinstance(method, Decodes) else synthetic
    theta = train(network, shown.images, shown.labels, _short(recipient(frozen)), rng)
    log_probabilities(network, theta, seen)
    if isinstance(method, Classifies):
        method.classifier(synthetic, rng)(seen)


def _beside(frozen: FrozenJob, crowd: Crowd) -> Peaks:
    """Rehearses the process that judges the baselines and trains on all films."""
    frozen.settle()
    with TemporaryDirectory() as folder:
        opened = OpenedRun(Run(Path(folder)), frozen, crowd.drawn(frozen.size))
        recipe, rng = opened.recipe, generator(0)
        classes, ipc, network = recipe.classes, recipe.shown, recipe.networks["convnet"]
        members, test = opened.patients.members, opened.patients.test
        images, labels = standardized(members, frozen.device)
        seen, _ = standardized(test, frozen.device)
        for start in BASELINES:
            drawn = begin(
                STARTS[start], images, labels, classes=classes, ipc=ipc, rng=rng, network=network
            )
        train(network, drawn.images, drawn.labels, _short(recipient(frozen)), rng)
        if frozen.budget is not None:
            class_means(opened, images, labels)(rng)
        theta = _taught(recipe, images, labels)
        log_probabilities(network, theta, seen)
    return {ALL_FILMS: taken()}, _on_device(frozen)


def _taught(recipe: Recipe, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    y = one_hot(labels, recipe.classes).to(images)
    return train(recipe.networks["convnet"], images, y, _short(TEACHING), generator(0))


def _short(how: Training) -> Training:
    return replace(how, steps=STEPS)
