r"""What one outer step costs if several processes share it, as a table (docs/several-gpus.md).

    torchrun --standalone --nproc-per-node 1 -m benchmarks.processes
    torchrun --standalone --nproc-per-node 2 -m benchmarks.processes --row dm --row dc

Run it in the root of the repository. Films are noise, two classes of 512, of 64 px. Wall seconds
depend on what else the computer does; the processor's seconds of the first process do so less, and
say what its share of the work is. Means over all steps: a method may ask T in some of them only.
"""

import os
import time
from collections.abc import Sequence
from statistics import mean

import click
import torch

from medidd.data import RealSet, at_once
from medidd.distill import distill
from medidd.machine.allocator import keep_memory
from medidd.machine.ranks import launched
from medidd.shared import Shared
from pipelines.learning.recipe import recipe

CLASSES, FILMS = 2, 512
"""Films of each class; more than any method draws."""


@click.command()
@click.option("--row", "rows", multiple=True, default=["dm", "dc", "rfad", "dd"])
@click.option("--ipc", default=10)
@click.option("--size", default=64)
@click.option("--width", default=32)
@click.option("--steps", default=10)
@click.option("--device", default="cpu")
def main(rows: Sequence[str], ipc: int, size: int, width: int, steps: int, device: str) -> None:
    """Prints a row for each method."""
    keep_memory()
    torch.set_num_threads(1)
    with launched(os.environ) as ranks:
        if device == "cuda":
            torch.cuda.set_device(ranks.rank)
        where = torch.device(device)
        rng = torch.Generator().manual_seed(0)
        images = torch.randn(CLASSES * FILMS, 1, size, size, generator=rng).to(where)
        labels = torch.arange(CLASSES, device=where).repeat_interleave(FILMS)
        costs = {}
        with ranks.together(where):
            for row in rows:
                how = recipe(
                    row,
                    start="noise",
                    ipc=ipc,
                    settings={},
                    classes=CLASSES,
                    size=size,
                    width=width,
                    steps=steps + 1,
                )
                s = how.begun(images, labels, rng)
                real = RealSet(images, labels, CLASSES, rng, at_once(images) * ranks.count)
                source = real if ranks.count == 1 else Shared(real, ranks)
                taken = distill(how.method, s, source, steps=steps + 1, rng=rng)
                next(taken)
                costs[row] = []
                for _ in range(steps):
                    begun = time.monotonic(), time.process_time()
                    next(taken)
                    costs[row].append((time.monotonic() - begun[0], time.process_time() - begun[1]))
        if ranks.leads:
            click.echo(
                "| method | processes | wall, s | processor of the first, s |\n|---|---|---|---|"
            )
            for row, found in costs.items():
                wall, own = (mean(column) for column in zip(*found, strict=True))
                click.echo(f"| `{row}` | {ranks.count} | {wall:.3f} | {own:.3f} |")


if __name__ == "__main__":
    main()
