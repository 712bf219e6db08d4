"""Tests a model, or what a bundle trains, on a recipient's own films."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from medidd.dicom.folder.cohort import Cohort
from medidd.scores.films import METRICS
from pipelines.bundle.checksums import SUMS
from pipelines.learning.processor import device
from pipelines.models.films import OwnFilms, read_own, to_test
from pipelines.models.model import Model
from pipelines.models.model_file import is_model, read_model
from pipelines.models.received import RELEASE
from pipelines.models.shift_warnings import compared, facts, unlike
from pipelines.models.testing import Judged, tested
from pipelines.models.union import in_classes, united
from pipelines.models.voting import Voting, judged, looks, notes, voting
from pipelines.recipient.train import Train, fitted, opened
from pipelines.reports.performance import PAGE, RESULT, Pictures, written
from pipelines.run import remarks
from pipelines.run.errors import Exit, Stop
from pipelines.run.folders import require_free
from pipelines.run.patients import films_of
from pipelines.run.progress import Answer, Progress
from pipelines.run.store import Json


@dataclass(frozen=True)
class Test:
    """Test a classifier.

    Attributes:
        subject: folder that medidd train or medidd export wrote.
        films: the films, with labels.
        out: folder of the report, which must not exist or be empty.
        renamed: other names for classes.
        seed: of the training on a bundle.
        device: "auto", "cpu" or "cuda".
        threads: of the CPU.
        threshold: if films are cut, the share of votes above which a patient is positive; None for
            half.
    """

    __test__ = False  # pytest takes the name for a test

    subject: Path
    films: OwnFilms
    out: Path
    renamed: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    device: str = "auto"
    threads: int = 1
    threshold: float | None = None


def run(job: Test) -> Generator[Progress, None, Answer]:
    """Tests, and writes the report; the generator's value is the answer.

    Raises:
        Stop: there is no model or whole bundle, the films give no cohort or have other classes, or
            the report cannot be written.
    """
    require_free(job.out, "--out")
    where = device(job.device)
    torch.set_num_threads(job.threads)
    model = yield from _model(job, where)
    by_votes = voting(model, where, job.threshold)
    read = yield from read_own(job.films, model.reading, model.size, beside=job.out)
    classes = model.film_classes or model.classes
    cohort = in_classes(to_test(read), classes, job.renamed)
    shown, pictures = _whole(model, cohort, where) if by_votes is None else _voted(by_votes, cohort)
    result = shown | {
        "classes": list(classes),
        "network": model.network,
        "size": model.size,
        "unit": cohort.unit,
        "tells patients apart": cohort.tells_patients_apart,
        "model": model.about,
        "refused": cohort.refused,
    }
    written(job.out, result, pictures)
    return _answer(job, model, result, remarks.of_cohort(cohort))


def _whole(model: Model, cohort: Cohort, where: torch.device) -> tuple[Json, Pictures]:
    """Returns the figures of whole films, and what the page shows of them."""
    films = films_of(cohort, range(len(cohort.labels)))
    seen = compared(model, films.images)
    said = Judged(
        model.probabilities(films.images, where),
        films.labels,
        np.array(films.patients, np.str_),
        films.traits,
        model.classes,
    )
    means = (
        (f"mean of your films, {name}", films.images[films.labels == number].mean(0))
        for number, name in enumerate(model.classes)
    )
    more = {"cut": None, "shift": facts(seen), "warnings": unlike(seen)}
    return tested(said, calibrated=True) | more, Pictures(model.released, tuple(means))


def _voted(by_votes: Voting, cohort: Cohort) -> tuple[Json, Pictures]:
    """Returns the figures of patients whose patches vote, and what the page shows of these."""
    said, each = judged(by_votes, cohort)
    means = (
        (f"mean of your patches that are called {name}", mean)
        for name, mean in looks(by_votes, cohort.images, each)
    )
    more = {
        "films": len(set(cohort.films)),
        "cut": by_votes.json() | {"words": notes(by_votes, "patient")},
        "shift": None,
        "warnings": [],
    }
    pictures = Pictures(by_votes.model.released, tuple(means))
    return tested(said, calibrated=False) | more, pictures


def _model(job: Test, where: torch.device) -> Generator[Progress, None, Model]:
    """Reads the model; of a bundle, trains the networks that its card is about."""
    if is_model(job.subject):
        return read_model(job.subject)
    if not any((job.subject / name).exists() for name in (RELEASE, SUMS)):
        raise Stop(
            f"{job.subject}: neither a model nor a bundle; name the folder that medidd train or "
            "medidd export wrote",
            Exit.USAGE,
        )
    union = united([opened(job.subject)], job.renamed)
    asked = Train((job.subject,), job.out, seed=job.seed, renamed=job.renamed)
    model = yield from fitted(asked, union, (1.0,), None, where)
    return model


def _answer(job: Test, model: Model, result: Json, odd: list[str]) -> Answer:
    found = result["metrics"]
    calibration, cut = result["calibration"], result["cut"]
    lines = [
        f"{job.out}: {result['films']} films of {result['patients']} patients, classified by "
        f"{len(model.thetas)} networks ({model.network})",
        "",
        *(f"{_NAMES[name]:<28} {_said(found[name])}" for name in METRICS),
        *(
            [f"{'expected calibration error':<28} {_said(calibration['error'])}"]
            if calibration
            else ()
        ),
        "",
        *(cut["words"] if cut else ()),
        *result["warnings"],
        *odd,
        f"report:  {job.out / PAGE}",
    ]
    value = {"report": str(job.out), "result": str(job.out / RESULT), **result}
    return Answer(lines, value)


_NAMES = {
    "auc": "AUC",
    "balanced_accuracy": "balanced accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "hm": "harmonic mean",
}


def _said(interval: Mapping[str, float]) -> str:
    return f"{interval['mean']:.3f} ({interval['low']:.3f} to {interval['high']:.3f})"
