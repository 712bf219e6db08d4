"""Makes expert trajectories from films, for the methods that match them.

Experts are made of the members' films. Their folder never leaves, like the private part of a run. A
run that uses experts stores how they were trained, so that an audit can train the same kind of
experts on other patients.
"""

import dataclasses
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, closing
from pathlib import Path

import torch

from pipelines.learning.asking import asking
from pipelines.learning.beforehand.experts import Training, built_experts, made_for, train_experts
from pipelines.learning.plan import Plan
from pipelines.learning.processor import device, use
from pipelines.learning.promise import promised, state_beforehand
from pipelines.learning.recipe import built
from pipelines.run import installation
from pipelines.run.budget import Budget
from pipelines.run.films import Studies, open_cohort
from pipelines.run.patients import Patients, assigned, read_patients
from pipelines.run.progress import Progress, timed
from pipelines.run.store import Json, Run, claimed, own
from pipelines.workers.helping import ALONE, TWO, Workers, begun


@dataclasses.dataclass(frozen=True)
class Experts:
    """Train networks on a folder of DICOM studies and store their trajectories.

    Attributes:
        studies: the folder, and how its films are read.
        out: folder of the experts.
        network: architecture.
        width: filters per block of the ConvNet.
        count: number of experts.
        epochs: number of snapshots after the first.
        epoch_steps: updates between two snapshots.
        lr: step size.
        batch: films per update.
        dtype: of the snapshots, "float32" or "float16".
        seed: of everything random. A run that uses the experts needs the same seed, because it
            draws who is held out.
        device: "auto", "cpu" or "cuda".
        threads: of the CPU.
        precision: of convolutions: "float32", "tf32" or "bfloat16".
        resume: continue a training that was stopped.
        budget: the guarantee; None for experts without one.
        workers: who trains them.
    """

    studies: Studies
    out: Path
    network: str = "convnet"
    width: int = 32
    count: int = 10
    epochs: int = 20
    epoch_steps: int = 20
    lr: float = 0.01
    batch: int = 256
    dtype: str = "float32"
    seed: int = 0
    device: str = "auto"
    threads: int = 1
    precision: str = "float32"
    resume: bool = False
    budget: Budget | None = None
    workers: Workers = TWO

    def training(self) -> Training:
        """Returns how the experts are trained."""
        return {name: getattr(self, name) for name in ("count", *_TRAINING)}


def run(job: Experts) -> Generator[Progress, None, Path]:
    """Makes the experts; the generator's value is their folder.

    Raises:
        Stop: with one line that says what is wrong and what to do.
    """
    place = Run(job.out)
    yield from timed(place, _trained(job, place))
    return job.out


def _trained(job: Experts, place: Run) -> Generator[Progress, None, None]:
    where = device(job.device)
    fields = {name: value for name, value in vars(job).items() if name not in _UNASKED}
    asked = fields | job.studies.asked() | {"device": where.type}
    if job.budget is not None:
        # Their noise depends on how many there are, so none can be added later.
        asked |= {"budget": job.budget.to_json(), "count": job.count}
    use(where, job.threads, job.precision)
    with claimed(place, asked, resume=job.resume):
        held_out = None if job.budget is None else job.budget.held_out
        patients = yield from read_patients(place, job.studies, seed=job.seed, held_out=held_out)
        if job.budget is not None:
            _reserve(job, job.budget, place, patients)
        steps = _made(place, patients, asked, job.count)
        with ExitStack() as company, closing(steps):
            # The answers of an account come one after another, so those experts do, too.
            watch, called = _Watch(), job.budget is not None
            for progress in steps:
                yield progress
                if not called and watch.left(progress) > ALONE:
                    helpers = job.workers.helping(
                        place.path, "pipelines.training.experts", str(job.count), most=job.count - 1
                    )
                    company.enter_context(helpers)
                    called = True


def _made(
    place: Run, patients: Patients, asked: Json, count: int
) -> Generator[Progress, None, None]:
    """Makes those experts of a folder that nobody else is making."""
    classes, budget = len(patients.cohort.classes), asked.get("budget")
    names = ("network", "width", "size")
    network, width, size = (asked[name] for name in names)
    yield from train_experts(
        built(classes, size, width)[network],
        {**{name: asked[name] for name in _TRAINING}, "count": count},
        patients.members,
        classes,
        made_for(patients.members, classes, network=network, width=width, size=size),
        place.path,
        device=torch.device(asked["device"]),
        asked=asking(budget and Budget(**budget), place.answers),
    )


class _Watch:
    """How long the rest of a stage will take, told by its pace since it began."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def left(self, progress: Progress) -> float:
        """Returns seconds; 0 while that is not known."""
        now = time.monotonic()
        if self._first is None:
            self._first = progress.done, now
        done, since = progress.done - self._first[0], now - self._first[1]
        return (progress.total - progress.done) * since / done if done > 0 else 0.0


def _reserve(job: Experts, budget: Budget, place: Run, patients: Patients) -> None:
    """Reserves what the experts spend, and writes down their guarantee.

    Raises:
        Stop: there are far too few patients, or their account does not allow it.
    """
    classes = len(patients.cohort.classes)
    network = built(classes, job.studies.size, job.width)[job.network]
    releases = built_experts(network, job.training()).releases
    numbers = sum(w.numel() for w in network.init(torch.Generator()).values())
    plan = Plan(releases, numbers, budget.series(releases).sigma)
    plan.require(budget.patients)
    state_beforehand(place.path, promised(place, patients, budget, plan))


_TRAINING = ("epochs", "epoch_steps", "lr", "batch", "dtype", "seed")
"""Fields that say how each expert is trained."""

_UNASKED = ("studies", "out", "resume", "count", "budget", "workers")
"""Fields that do not decide an expert's bytes, or may name a patient; experts can be added."""


def main(path: Path, parent: int, count: int) -> None:
    """Makes the experts that the command is not making, while the process ``parent`` lives."""
    if not begun(parent):
        return
    place = Run(path)
    asked = own(place)["job"]
    use(torch.device(asked["device"]), asked["threads"], asked["precision"])
    budget = asked.get("budget")
    held_out = budget and Budget(**budget).held_out
    patients = assigned(
        place, open_cohort(place), key=installation.key(), seed=asked["seed"], held_out=held_out
    )
    for _ in _made(place, patients, asked, count):
        pass


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
