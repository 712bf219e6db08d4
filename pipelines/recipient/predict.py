"""Classifies films without labels, and says which of them do not look like the synthetic images."""

import csv
import io
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from medidd.dicom.errors import HARMLESS, REASONS
from pipelines.learning.processor import device
from pipelines.models.films import Levels, OwnFilms, Unlabelled, read_unlabelled
from pipelines.models.model import Model
from pipelines.models.model_file import read_model
from pipelines.models.shift import Shift
from pipelines.models.shift_warnings import compared, facts, unlike
from pipelines.models.voting import Voting, notes, voting
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
        threshold: of a model of patches, the share of votes above which a film is positive; None
            for half.
    """

    model: Path
    films: OwnFilms
    out: Path
    device: str = "auto"
    threads: int = 1
    threshold: float | None = None


@dataclass(frozen=True, eq=False)
class _Said:
    """What is said of the films.

    Attributes:
        classes: names of the K classes of films.
        shares: probabilities, or shares of votes, (n, K).
        called: the class of each film, (n,).
        seen: how unlike the films are; None if they were cut.
        votes: how many patches of each film have a vote, (n,); empty if films are whole.
    """

    classes: tuple[str, ...]
    shares: npt.NDArray[np.float64]
    called: tuple[str, ...]
    seen: Shift | None
    votes: tuple[int, ...] = ()


def run(job: Predict) -> Generator[Progress, None, Answer]:
    """Writes one row per film and per file that cannot be used; the value is the answer.

    Raises:
        Stop: there is no model, no film can be used, the threshold is for another kind of model,
            or the table cannot be written.
    """
    if job.out.exists():
        raise Stop(f"{job.out}: exists already; name a new file with --out", Exit.USAGE)
    where = device(job.device)
    torch.set_num_threads(job.threads)
    model = read_model(job.model)
    by_votes = voting(model, where, job.threshold)
    keep = _as_it_is if by_votes is None else by_votes.probabilities
    found = yield from read_unlabelled(job.films, model.reading, model.size, keep)
    if not found.paths:
        raise Stop(
            f"{job.films.folder}: no film that can be used"
            + (f" ({remarks.left_out(Counter(found.refused.values()))})" if found.refused else "")
            + "; name a folder of films",
            Exit.DATA,
        )
    said = _whole(model, found, where) if by_votes is None else _voted(by_votes, found)
    try:
        write(job.out, _table(found, said).encode(errors="surrogateescape"))
    except OSError as error:
        raise Stop(
            f"{job.out}: {error.strerror}; name a file that you can write with --out", Exit.USAGE
        ) from None
    return _answer(job, by_votes, found, said)


def _as_it_is(levels: Levels) -> npt.NDArray[np.generic]:
    return levels


def _whole(model: Model, found: Unlabelled, where: torch.device) -> _Said:
    films = torch.from_numpy(found.kept.astype("float32"))[:, None] / 65535
    shares = model.probabilities(films, where).double().numpy()
    called = tuple(model.classes[number] for number in shares.argmax(1))
    return _Said(model.classes, shares, called, compared(model, films))


def _voted(by_votes: Voting, found: Unlabelled) -> _Said:
    """Calls films by the probabilities of their patches, which are what was kept of them."""
    films, patches, _ = found.kept.shape
    # Numbers in place of names: they are sorted as the films are.
    whose = [f"{number:09}" for number in range(films) for _ in range(patches)]
    each = found.kept.reshape(films * patches, -1).astype(np.float64)
    ballot = by_votes.ballot(whose, np.zeros(len(whose), np.int64))
    shares = ballot.shares(each)
    votes = np.isin(each.argmax(1), by_votes.counted).reshape(films, patches).sum(1)
    called = tuple(by_votes.classes[number] for number in by_votes.moved(shares).argmax(1))
    return _Said(by_votes.classes, shares, called, None, tuple(votes.tolist()))


def _table(found: Unlabelled, said: _Said) -> str:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    seen = said.seen
    last = "unlike" if seen is not None else "patches with a vote"
    table.writerow(["file", *said.classes, "class", last, "refused"])
    about = (
        [str(count) for count in said.votes]
        if seen is None
        else [
            "; ".join(looks) or ("yes" if odd else "")
            for odd, looks in zip(seen.odd.tolist(), seen.film_looks, strict=True)
        ]
    )
    rows = [
        [path, *(f"{value:.4f}" for value in row), name, more, ""]
        for path, row, name, more in zip(
            found.paths, said.shares.tolist(), said.called, about, strict=True
        )
    ]
    empty = [""] * (len(said.classes) + 2)
    rows += [
        [path, *empty, f"{code}: {REASONS[code]}"]
        for path, code in found.refused.items()
        if code not in HARMLESS
    ]
    table.writerows(sorted(rows))
    return out.getvalue()


def _answer(job: Predict, by_votes: Voting | None, found: Unlabelled, said: _Said) -> Answer:
    counts = Counter(said.called)
    refused = Counter(found.refused.values())
    lines = [
        f"{job.out}: {len(found.paths)} films classified: "
        + ", ".join(f"{counts[name]} {name}" for name in said.classes),
        *(notes(by_votes, "film") if by_votes is not None else ()),
        *(unlike(said.seen) if said.seen is not None else ()),
        *remarks.of_refused(refused),
        "not for diagnosis; the table names files, so treat it like the films",
    ]
    value = {
        "predictions": str(job.out),
        "films": len(found.paths),
        "by class": {name: counts[name] for name in said.classes},
        "refused": dict(sorted(refused.items())),
        "shift": None if said.seen is None else facts(said.seen),
    }
    if by_votes is not None:
        value |= by_votes.json()
    return Answer(lines, value)
