"""A program for helping processes: it does pieces of work, each of which names who did it."""

import os
import sys
import time
from pathlib import Path

from pipelines.run.store import Json
from pipelines.workers.helping import begun
from pipelines.workers.pieces import Piece, shared


def pieces(place: Path, count: int, seconds: float) -> list[Piece]:
    def make() -> Json:
        time.sleep(seconds)
        return {"by": os.getpid()}

    return [Piece(place / f"{one}.json", f"toy {one}", make) for one in range(count)]


def main(path: str, parent: str, count: str, seconds: str) -> None:
    if begun(int(parent)):
        (Path(path) / f"{os.getpid()}.begun").touch()
        for _ in shared(pieces(Path(path), int(count), float(seconds))):
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
