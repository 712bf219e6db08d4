"""Pieces of work that several processes do together: each is done once, by whoever comes first.

A piece leaves its result on disk. So a process that ends, or is killed, loses only the piece that
it was at, and another one does that.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pipelines.run.lock import turns
from pipelines.run.results import kept
from pipelines.run.store import Json


@dataclass(frozen=True)
class Piece:
    """A piece of work.

    Attributes:
        path: file of its result, in the private part of a run.
        purpose: what the result is for; a result for something else does not count.
        make: does it; its result must be an object, because it is sealed.
    """

    path: Path
    purpose: str
    make: Callable[[], Json]

    @property
    def result(self) -> Json:
        """The result; it is made if need be."""
        return kept(self.path, self.purpose, self.make)


def shared(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Does the pieces that no other process is doing, in this order, and waits for the others.

    Yields:
        Each piece when its result is there.
    """
    with closing(turns([piece.path.with_suffix(".lock") for piece in pieces])) as ours:
        for number in ours:
            _ = pieces[number].result
            yield pieces[number]
