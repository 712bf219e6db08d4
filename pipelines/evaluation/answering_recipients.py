"""What networks of recipients say of films, for a release and its null releases, all kept on disk.

A standard audit trains some thirty networks. Here each is a piece of work that any process can do.
Answers are kept and not networks, for these are larger. An audit that was stopped trains no network
again, and neither does one of a higher level.
"""

import hashlib
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import chain

import torch
from torch import Tensor

from medidd.evaluate import RECIPIENT
from pipelines.evaluation.recipients import recipients
from pipelines.evaluation.utility import told
from pipelines.learning.opened_run import OpenedRun
from pipelines.run.progress import Progress
from pipelines.run.store import Json
from pipelines.workers.helping import ALONE, TWO, Workers
from pipelines.workers.pieces import Piece, shared
from privacy.evidence import Fit
from privacy.release import Films, Release

PURPOSE = "recipient"
"""Names the work to a process beside an audit."""

_AT_ONCE = 256
"""Films that a network is asked about at once."""


def answering(
    opened: OpenedRun,
    releases: Sequence[Release],
    *,
    workers: Workers = TWO,
    beside: bool = False,
    alone: bool = False,
) -> Generator[Progress, None, list[Fit]]:
    """Returns trainings whose networks answer from disk what was asked about members and controls.

    Asked about other films, or after a training on another release, they train as any recipient.

    Args:
        opened: the run.
        releases: on which networks are trained; first that of the run.
        workers: who helps if it takes long.
        beside: whether this process helps another one, and so begins with the last.
        alone: whether no other process can find out what is to be trained.
    """
    folder = opened.run.private / "recipients"
    films = opened.patients.members.beside(opened.patients.controls)
    how = told(RECIPIENT, opened.frozen.width)
    fits = recipients(opened.recipe, seed=opened.frozen.seed, device=opened.frozen.device)
    pieces = {
        (number, _name(release)): Piece(
            folder / f"release-{place}-{number}.json",
            f"recipient {number}, trained by {how}, on {_name(release)}",
            partial(_answers, fit, release, films),
        )
        for place, release in enumerate(releases)
        for number, fit in enumerate(fits)
    }
    order = list(pieces.values())[:: -1 if beside else 1]
    stage, begun = "train for the audit", time.monotonic()
    yield Progress(stage, 0, len(order))
    _ = beside or order[0].result
    long = (time.monotonic() - begun) * (len(order) - 1) > ALONE
    company = (
        workers.helping(opened.run.path, "pipelines.auditing.beside", PURPOSE, most=len(order) - 1)
        if long and not alone and not beside
        else nullcontext()
    )
    with company:
        for number, _ in enumerate(shared(order)):
            yield Progress(stage, number + 1, len(order))
    asked = chain.from_iterable(_asked(films))
    rows = {_name_of(image): row for row, image in enumerate(asked)}
    return [
        partial(_trained, fit, rows, {of: one for (n, of), one in pieces.items() if n == number})
        for number, fit in enumerate(fits)
    ]


def _answers(fit: Fit, release: Release, films: Films) -> Json:
    """Trains a network, and returns what it says of films and of their mirror images."""
    network = fit(release)
    with torch.no_grad():
        said = [network(batch) for batch in _asked(films)]
    return {"log_probabilities": torch.cat(said).tolist()}


def _trained(
    fit: Fit, rows: dict[bytes, int], kept: dict[str, Piece], release: Release
) -> Callable[[Tensor], Tensor]:
    """Returns what answers as a network would that ``fit`` trains on the release."""
    piece = kept.get(_name(release))
    if piece is None:
        return fit(release)
    said = torch.tensor(piece.result["log_probabilities"])
    network: list[Callable[[Tensor], Tensor]] = []

    def predict(display: Tensor) -> Tensor:
        found = [rows.get(_name_of(image)) for image in display]
        if None not in found:
            return said[found]
        if not network:
            with torch.enable_grad():
                network.append(fit(release))
        return network[0](display)

    return predict


def _asked(films: Films) -> Iterator[Tensor]:
    """Yields batches of films, and then of their mirror images."""
    batches = torch.split(films.images, _AT_ONCE)
    yield from batches
    for batch in batches:
        yield batch.flip(-1)


def _name(release: Release) -> str:
    """Returns the SHA-256 of a release's images and labels."""
    return hashlib.sha256(_name_of(release.images) + _name_of(release.labels)).hexdigest()


def _name_of(tensor: Tensor) -> bytes:
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).digest()
