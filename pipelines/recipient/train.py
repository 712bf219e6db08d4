"""Trains a classifier on one bundle, or on those of several sites, and on own films if named."""

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from medidd.dicom.folder.cohort import Cohort
from medidd.evaluate import Training
from pipelines.learning.processor import device
from pipelines.models.films import OwnFilms, read_own, to_learn
from pipelines.models.model import Model, trained
from pipelines.models.model_card import cutting, privacy
from pipelines.models.model_file import CARD, ONNX, about, write_model
from pipelines.models.received import Received, read_bundle
from pipelines.models.union import Union, in_classes, united
from pipelines.recipient.verify import Verify
from pipelines.recipient.verify import run as verified
from pipelines.run.errors import Exit, Stop
from pipelines.run.folders import require_free
from pipelines.run.progress import Answer, Progress


@dataclass(frozen=True)
class Train:
    """Train a classifier.

    Attributes:
        bundles: folders that medidd export wrote.
        out: folder of the model, which must not exist or be empty.
        network: name of the architecture.
        weights: how much each bundle counts, and last the own films; empty for all alike.
        renamed: other names for classes.
        size: pixels to which images of another size are resampled; None to refuse such.
        steps: updates of each network; None for the sender's number.
        own: films of the recipient to train on, too; None for none.
        seed: of everything random.
        device: "auto", "cpu" or "cuda".
        threads: of the CPU.
    """

    bundles: tuple[Path, ...]
    out: Path
    network: str = "convnet"
    weights: tuple[float, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None
    steps: int | None = None
    own: OwnFilms | None = None
    seed: int = 0
    device: str = "auto"
    threads: int = 1


def run(job: Train) -> Generator[Progress, None, Answer]:
    """Trains, and writes the model; the generator's value is the answer.

    Raises:
        Stop: a bundle is not whole or its audit refused it, bundles do not match, the own films
            give no cohort, or the model cannot be written.
    """
    require_free(job.out, "--out")
    weights = _weights(job)
    where = device(job.device)
    torch.set_num_threads(job.threads)
    union = united([opened(path) for path in job.bundles], job.renamed, job.size)
    own = yield from _own(job, union)
    model = yield from fitted(job, union, weights, own, where)
    write_model(job.out, model)
    return _answer(job, union, model)


def opened(path: Path) -> Received:
    """Returns a bundle that is whole and that its audit did not refuse.

    Raises:
        Stop: it is not (codes 2, 5, 6).
    """
    verified(Verify(path)).require_usable()
    return read_bundle(path)


def fitted(
    job: Train,
    union: Union,
    weights: tuple[float, ...],
    own: Cohort | None,
    where: torch.device,
) -> Generator[Progress, None, Model]:
    """Trains the networks; the generator's value is the model."""
    first = union.first.recipe
    how = _training(job, union)
    images, labels = union.pool(weights, own)
    thetas = yield from trained(
        job.network,
        images,
        labels,
        width=first.width,
        count=first.networks,
        how=how,
        seed=job.seed,
        device=where,
    )
    made = about(
        [one.about() for one in union.bundles],
        training={**how.numbers, "augment": first.augment},
        seed=job.seed,
        renamed=dict(job.renamed),
        local=None
        if own is None
        else {"films": len(own.labels), "patients": len(set(own.patients.tolist()))},
        weights=list(weights),
    )
    return Model(
        job.network,
        first.width,
        union.size,
        union.classes,
        union.reading,
        thetas,
        union.images,
        union.labels,
        made,
        union.film_classes,
    )


def _training(job: Train, union: Union) -> Training:
    """Returns the first sender's training; images with a guarantee need their noise in it."""
    how = union.first.recipe.training()
    noise = max(one.recipe.noise for one in union.bundles)
    return replace(how, noise=noise, steps=job.steps or how.steps)


def _weights(job: Train) -> tuple[float, ...]:
    sites = len(job.bundles) + (job.own is not None)
    if not job.weights:
        return (1.0,) * sites
    if len(job.weights) != sites or not all(0 < w < math.inf for w in job.weights):
        films = " and one for the own films" if job.own is not None else ""
        raise Stop(
            f"--weight: {len(job.weights)} given for {len(job.bundles)} bundles; give one above 0 "
            f"for each bundle{films}, in their order, or none at all",
            Exit.USAGE,
        )
    return job.weights


def _own(job: Train, union: Union) -> Generator[Progress, None, Cohort | None]:
    if job.own is None:
        return None
    if union.reading.patches is not None:
        raise Stop(
            "the bundle is of patches, and nothing says what the patches of your own films show, "
            "so they cannot be mixed in; leave them out",
            Exit.USAGE,
        )
    cohort = yield from read_own(job.own, union.reading, union.size, beside=job.out)
    return in_classes(to_learn(cohort), union.classes, job.renamed)


def _answer(job: Train, union: Union, model: Model) -> Answer:
    images = len(union.images)
    sites = len(union.bundles)
    of = "one bundle" if sites == 1 else f"{sites} bundles"
    own = model.about["own films"]
    mixed = f" and {own['films']} own films of {own['patients']} patients" if own else ""
    cut = model.reading.patches
    said = privacy(model.about["bundles"], own=own is not None)
    lines = [
        f"{job.out}: {len(model.thetas)} networks ({model.network}) for "
        f"{', '.join(model.classes)}, trained on {images} images of {of}{mixed}",
        *([f"note: {cutting(cut, model.size)}"] if cut is not None else []),
        *(f"note: {remark}" for remark in union.remarks),
        f"also as ONNX, with a card: {job.out / ONNX}, {job.out / CARD}",
        *said,
        f"next:    medidd test {job.out} --dicom-dir STUDIES --labels FILE",
    ]
    value = {
        "model": str(job.out),
        "network": model.network,
        "classes": list(model.classes),
        "size": model.size,
        "remarks": list(union.remarks),
        "privacy": said,
        **model.about,
    }
    return Answer(lines, value)
