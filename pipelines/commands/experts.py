"""Makes expert trajectories from films, for the methods that match them.

Experts are made of the members' films. Their folder never leaves, like the private part of a run. A
run that uses experts stores how they were trained, so that an audit can train the same kind of
experts on other patients.
"""

import dataclasses
from collections.abc import Generator
from pathlib import Path

import torch

from medidd.network import Network
from pipelines.learning.asking import asking
from pipelines.learning.experts import Training, built_experts, made_for, train_experts
from pipelines.learning.plan import Plan
from pipelines.learning.processor import device, use
from pipelines.learning.promise import promised, state_experts
from pipelines.learning.recipe import built
from pipelines.run.budget import Budget
from pipelines.run.films import Studies
from pipelines.run.patients import Patients, read_patients
from pipelines.run.progress import Progress, timed
from pipelines.run.store import Run, claimed


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

    def training(self) -> Training:
        """Returns how the experts are trained."""
        names = ("count", "epochs", "epoch_steps", "lr", "batch", "dtype", "seed")
        return {name: getattr(self, name) for name in names}


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
    use(where, job.threads, job.precision)
    own = {name: value for name, value in vars(job).items() if name not in _UNASKED}
    asked = own | job.studies.asked() | {"device": where.type}
    if job.budget is not None:
        # Their noise depends on how many there are, so none can be added later.
        asked |= {"budget": job.budget.to_json(), "count": job.count}
    with claimed(place, asked, resume=job.resume):
        held_out = None if job.budget is None else job.budget.held_out
        patients = yield from read_patients(place, job.studies, seed=job.seed, held_out=held_out)
        classes = len(patients.cohort.classes)
        network = built(classes, job.studies.size, job.width)[job.network]
        of = made_for(
            patients.members, classes, network=job.network, width=job.width, size=job.studies.size
        )
        if job.budget is not None:
            _reserve(job, job.budget, place, patients, network)
        yield from train_experts(
            network,
            job.training(),
            patients.members,
            classes,
            of,
            job.out,
            device=where,
            asked=asking(job.budget, place.answers),
        )


def _reserve(
    job: Experts, budget: Budget, place: Run, patients: Patients, network: Network
) -> None:
    """Reserves what the experts spend, and writes down their guarantee.

    Raises:
        Stop: there are far too few patients, or their account does not allow it.
    """
    releases = built_experts(network, job.training()).releases
    numbers = sum(w.numel() for w in network.init(torch.Generator()).values())
    plan = Plan(releases, numbers, budget.series(releases).sigma)
    plan.require(budget.patients)
    state_experts(place.path, promised(place, patients, budget, plan))


_UNASKED = ("studies", "out", "resume", "count", "budget")
"""Fields that do not decide an expert's bytes, or may name a patient; experts can be added."""
