"""Tests a model, or what a bundle trains, on a recipient's own films."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from medidd.evaluate import METRICS
from pipelines.bundle.checksums import SUMS
from pipelines.learning.processor import device
from pipelines.models.films import OwnFilms, read_own, to_test
from pipelines.models.model import Model
from pipelines.models.model_file import is_model, read_model
from pipelines.models.received import RELEASE
from pipelines.models.shift_warnings import compared, facts, unlike
from pipelines.models.testing import tested
from pipelines.models.union import in_classes, united
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
    """

    __test__ = False  # pytest takes the name for a test

    subject: Path
    films: OwnFilms
    out: Path
    renamed: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    device: str = "auto"
    threads: int = 1


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
    read = yield from read_own(job.films, model.reading, model.size, beside=job.out)
    cohort = in_classes(to_test(read), model.classes, job.renamed)
    films = films_of(cohort, range(len(cohort.labels)))
    probabilities = model.probabilities(films.images, where)
    seen = compared(model, films.images)
    result = tested(probabilities, films, model.classes) | {
        "classes": list(model.classes),
        "network": model.network,
        "size": model.size,
        "unit": cohort.unit,
        "tells patients apart": cohort.tells_patients_apart,
        "model": model.about,
        "shift": facts(seen),
        "warnings": unlike(seen),
        "refused": cohort.refused,
    }
    pictures = Pictures(model.released, films.images, films.labels, model.classes)
    written(job.out, result, pictures)
    return _answer(job, model, result, remarks.of_cohort(cohort))


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
    error = result["calibration"]["error"]
    lines = [
        f"{job.out}: {result['films']} films of {result['patients']} patients, classified by "
        f"{len(model.thetas)} networks ({model.network})",
        "",
        *(f"{_NAMES[name]:<28} {_said(found[name])}" for name in METRICS),
        f"{'expected calibration error':<28} {_said(error)}",
        "",
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
