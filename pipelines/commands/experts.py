"""Films in, expert trajectories out, for the methods that match them.

Experts are made of the members' films: their folder holds what never leaves, like the private part
of a run. A run that uses them remembers how they were trained, so that an audit can train others
like them on other patients.
"""

import dataclasses
import hashlib
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import torch

from medidd.data import NORMALIZATION, RealSet
from medidd.dicom.folder.gathering import Unit
from medidd.dicom.labels.labelling import USUAL, Labelling
from medidd.dicom.reading import DEFAULT, Reading
from medidd.methods import METHODS
from medidd.methods import experts as library
from medidd.methods.expert_files import read_record
from medidd.network import Network
from pipelines.learning.job import Frozen
from pipelines.learning.recipe import built, device
from pipelines.run.errors import Exit, Stop
from pipelines.run.films import source_of
from pipelines.run.installation import key
from pipelines.run.patients import read_patients
from pipelines.run.progress import Progress
from pipelines.run.store import Json, Run, claim
from privacy.release import Films

Training = Mapping[str, Any]
"""The fields of ``medidd.methods.experts.Experts`` but for the network."""


@dataclasses.dataclass(frozen=True)
class Experts:
    """Train networks on a folder of DICOM studies and keep their trajectories.

    Attributes:
        dicom_dir: the folder.
        out: where the experts go.
        labels: where they are and how they are read.
        size: height and width in pixels.
        network: architecture.
        width: filters per block of the ConvNet.
        count: experts.
        epochs: snapshots after the first.
        epoch_steps: updates between two snapshots.
        lr: step size.
        batch: films per update.
        dtype: of the snapshots, "float32" or "float16".
        seed: of everything random; a run that uses the experts must have the same, for it draws
            who is held out.
        device: "auto", "cpu" or "cuda".
        threads: of the CPU.
        max_refused: refused files allowed per usable film.
        reading: how films are read.
        unit: what counts as one patient, "patient", "study" or "image".
        resume: go on with experts that were stopped.
    """

    dicom_dir: Path
    out: Path
    labels: Labelling = USUAL
    size: int = 32
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
    max_refused: float = 0.2
    reading: Reading = DEFAULT
    unit: Unit = "patient"
    resume: bool = False

    def training(self) -> Training:
        """Returns how the experts are trained."""
        names = ("count", "epochs", "epoch_steps", "lr", "batch", "dtype", "seed")
        return {name: getattr(self, name) for name in names}


def run(job: Experts) -> Generator[Progress, None, Path]:
    """Makes the experts; the generator's value is their folder.

    Raises:
        Stop: with one line that says what is wrong and what to do.
    """
    torch.set_num_threads(job.threads)
    place, where = Run(job.out), device(job.device)
    asked = dataclasses.asdict(job) | {
        "source": source_of(key(), job.dicom_dir, job.labels.table),
        "labelling": job.labels.choices(),
        "device": where.type,
        "reading": job.reading.to_json(),
    }
    unnamed = {name: asked[name] for name in asked if name not in _UNASKED}
    fresh = claim(place, unnamed, resume=job.resume)
    try:
        patients = yield from read_patients(
            place,
            job.dicom_dir,
            job.labels,
            size=job.size,
            max_refused=job.max_refused,
            seed=job.seed,
            unit=job.unit,
            reading=job.reading,
        )
        classes = len(patients.cohort.classes)
        network = built(classes, job.size, job.width)[job.network]
        of = _about(patients.members, classes, job.network, job.width, job.size)
        yield from train_experts(
            network, job.training(), patients.members, classes, of, job.out, device=where
        )
    except Stop:
        # The same experts would stop at the same place, and others may not go on with these.
        if fresh:
            place.discard()
        raise
    return job.out


_UNASKED = ("dicom_dir", "labels", "out", "resume", "count")
"""What does not decide an expert's bytes, or may name a patient; more experts can be added."""


def train_experts(
    network: Network,
    training: Training,
    films: Films,
    classes: int,
    about: Mapping[str, Any],
    folder: Path,
    *,
    device: torch.device,
    stage: str = "train experts",
) -> Generator[Progress, None, None]:
    """Makes those experts that are not there yet, on films.

    Raises:
        Stop: the folder holds others, or an expert diverged.
    """
    images = NORMALIZATION.standardize(films.images).to(device)
    labels = films.labels.to(device)

    def source(rng: torch.Generator) -> RealSet:
        return RealSet(images, labels, classes, rng)

    try:
        fields: dict[str, Any] = {
            n: tuple(v) if isinstance(v, list) else v for n, v in training.items()
        }
        experts = library.Experts(network, **fields)
        total = experts.count * experts.epochs
        yield Progress(stage, 0, total)
        for number, epoch in experts.make(folder, source, about, like=images):
            yield Progress(stage, number * experts.epochs + epoch, total)
    except (ValueError, FloatingPointError) as error:
        raise Stop(str(error), Exit.USAGE) from None
    yield Progress(stage, total, total)


def about(films: Films, classes: int, frozen: Frozen) -> dict[str, Any]:
    """Returns what experts must have been made for to serve a run on these films."""
    network = frozen.settings.get("network", "convnet")
    return _about(films, classes, network, frozen.width, frozen.size)


def recorded(method: str, folder: Path | None) -> Json | None:
    """Returns how the experts in a folder were trained.

    Raises:
        Stop: the method needs experts and is given none, or needs none, or they are damaged.
    """
    kind = METHODS.get(method)
    needed = kind is not None and any(f.name == "experts" for f in dataclasses.fields(kind))
    if needed and folder is None:
        raise Stop(
            f"{method} matches experts; make them with medidd experts and name their folder with "
            "--experts",
            Exit.USAGE,
        )
    if folder is None:
        return None
    if not needed:
        raise Stop(f"{method} matches no experts; drop --experts", Exit.USAGE)
    try:
        return read_record(folder)["training"]
    except ValueError as error:
        raise Stop(str(error), Exit.USAGE) from None


def _about(films: Films, classes: int, network: str, width: int, size: int) -> dict[str, Any]:
    pixels = hashlib.sha256(films.images.numpy().tobytes())
    pixels.update(films.labels.numpy().tobytes())
    return {
        "network": network,
        "width": width,
        "size": size,
        "channels": films.images.shape[1],
        "classes": classes,
        "films": pixels.hexdigest()[:16],
    }
