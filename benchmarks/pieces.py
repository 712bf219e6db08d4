"""What it costs to share pieces of work: seconds and memory of a command with thousands of them.

    python -m benchmarks.pieces --count 10000 --workers 2

Each piece does nothing and writes its result, as those of a command do: a lock is tried, a sealed
file is written and moved into its place. Helping processes go through the same pieces.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import click

from medidd.machine.memory import taken
from pipelines.run.store import Json
from pipelines.workers.choice import workers
from pipelines.workers.helping import begun
from pipelines.workers.pieces import Piece, shared

EVERY = 1000
"""Pieces between two lines of the table."""


def pieces(place: Path, count: int) -> list[Piece]:
    """Returns pieces that say which process did them."""

    def make() -> Json:
        return {"by": os.getpid()}

    return [Piece(place / "pieces" / f"{one}.json", f"piece {one}", make) for one in range(count)]


@click.command(help=__doc__)
@click.option("--count", type=int, default=10_000, show_default=True)
@click.option("--workers", "who", default="1", show_default=True)
def main(count: int, who: str) -> None:
    """Shares the pieces, and prints a table."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("MEDIDD_HOME", f"{folder}/home")
        place, before = Path(folder), taken("VmRSS")
        work, start, cpu = pieces(place, count), time.monotonic(), time.process_time()
        click.echo(
            "| pieces | seconds | processor seconds | resident MiB more |\n|---|---|---|---|"
        )
        with workers(who).helping(place, "benchmarks.pieces", str(count), most=count):
            for number, _ in enumerate(shared(work[::-1]), 1):
                if number % EVERY == 0:
                    more = (taken("VmRSS") - before) / 2**20
                    wall, used = time.monotonic() - start, time.process_time() - cpu
                    click.echo(f"| {number} | {wall:.2f} | {used:.2f} | {more:.1f} |")
        by = {one.result["by"] for one in work}
        mine = sum(one.result["by"] == os.getpid() for one in work)
        click.echo(f"\n{len(by)} processes; this one did {mine} of {count}")


def help_out(place: str, parent: str, count: str) -> None:
    """Does pieces beside the command."""
    if begun(int(parent)):
        for _ in shared(pieces(Path(place), int(count))):
            pass


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[2].isdecimal():
        help_out(*sys.argv[1:])
    else:
        main()
