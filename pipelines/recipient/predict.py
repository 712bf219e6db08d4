"""Classifies films without labels, and says which of them do not look like the synthetic images."""

import csv
import io
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import torch

from medidd.dicom.errors import HARMLESS, REASONS
from pipelines.learning.processor import device
from pipelines.models.films import OwnFilms, Unlabelled, read_unlabelled
from pipelines.models.model import Model
from pipelines.models.model_file import read_model
from pipelines.models.shift import Shift
from pipelines.models.shift_warnings import compared, facts, unlike
from pipelines.run import remarks
from pipelines.run.errors import Exit, Stop
from pipelines.run.progress import Answer, Progress
from pipelines.run.store import write


@dataclass(frozen=True)
class Predict:
    """Classify films.

    Attributes:
        model: folder that medidd train wrote.
        films: the films.
        out: the table to write, which must not exist.
        device: "auto", "cpu" or "cuda".
        threads: of the CPU.
    """

    model: Path
    films: OwnFilms
    out: Path
    device: str = "auto"
    threads: int = 1


def run(job: Predict) -> Generator[Progress, None, Answer]:
    """Writes one row per film and per file that cannot be used; the value is the answer.

    Raises:
        Stop: there is no model, no film can be used, or the table cannot be written.
    """
    if job.out.exists():
        raise Stop(f"{job.out}: exists already; name a new file with --out", Exit.USAGE)
    where = device(job.device)
    torch.set_num_threads(job.threads)
    model = read_model(job.model)
    found = yield from read_unlabelled(job.films, model.reading, model.size)
    if not found.paths:
        raise Stop(
            f"{job.films.folder}: no film that can be used"
            + (f" ({remarks.left_out(Counter(found.refused.values()))})" if found.refused else "")
            + "; name a folder of films",
            Exit.DATA,
        )
    films = torch.from_numpy(found.levels.astype("float32"))[:, None] / 65535
    probabilities = model.probabilities(films, where)
    seen = compared(model, films)
    try:
        write(job.out, _table(model, found, probabilities, seen).encode(errors="surrogateescape"))
    except OSError as error:
        raise Stop(
            f"{job.out}: {error.strerror}; name a file that you can write with --out", Exit.USAGE
        ) from None
    return _answer(job, model, found, probabilities, seen)


def _table(model: Model, found: Unlabelled, probabilities: torch.Tensor, seen: Shift) -> str:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["file", *model.classes, "class", "unlike", "refused"])
    rows = [
        [
            path,
            *(f"{value:.4f}" for value in row.tolist()),
            model.classes[int(row.argmax())],
            "; ".join(looks) or ("yes" if odd else ""),
            "",
        ]
        for path, row, odd, looks in zip(
            found.paths, probabilities, seen.odd.tolist(), seen.film_looks, strict=True
        )
    ]
    empty = [""] * (len(model.classes) + 2)
    rows += [
        [path, *empty, f"{code}: {REASONS[code]}"]
        for path, code in found.refused.items()
        if code not in HARMLESS
    ]
    table.writerows(sorted(rows))
    return out.getvalue()


def _answer(
    job: Predict, model: Model, found: Unlabelled, probabilities: torch.Tensor, seen: Shift
) -> Answer:
    counts = Counter(model.classes[number] for number in probabilities.argmax(1).tolist())
    refused = Counter(found.refused.values())
    lines = [
        f"{job.out}: {len(found.paths)} films classified: "
        + ", ".join(f"{counts[name]} {name}" for name in model.classes),
        *unlike(seen),
        *remarks.of_refused(refused),
        "not for diagnosis; the table names files, so treat it like the films",
    ]
    value = {
        "predictions": str(job.out),
        "films": len(found.paths),
        "by class": {name: counts[name] for name in model.classes},
        "refused": dict(sorted(refused.items())),
        "shift": facts(seen),
    }
    return Answer(lines, value)
