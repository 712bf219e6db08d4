"""The order of the paper of Minimax diffusion on a public set: one line of JSON per row, resumable.

    python -m benchmarks.order --data bench/fashion_mnist.npz --to order.jsonl

Gu et al. (CVPR 2024) report that images of Minimax train networks better than random ones, and than
those of the diffusion model as it was. Here the model is trained on the set itself; there it was a
public one. Rows: ``random``, ``kmeans``, samples of the denoiser as it is (``plain``), after more
updates without the two terms (``longer``), and ``minimax`` after as many with them. Every row is
drawn several times, and each draw trains several networks, which are judged on all test images.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor

from benchmarks.images import mnist
from medidd.architectures import convnet
from medidd.augment import PHOTOGRAPH, draw
from medidd.data import NORMALIZATION, RealSet, SyntheticSet
from medidd.denoisers.making import make
from medidd.denoisers.shapes import Shape
from medidd.denoisers.trained import Configuration, Trained
from medidd.denoisers.training import Training
from medidd.distill import distill
from medidd.evaluate import Training as Judging
from medidd.evaluate import log_probabilities, train
from medidd.machine.allocator import keep_memory
from medidd.methods.minimax import Minimax
from medidd.starts import STARTS, begin
from pipelines.cli.options.shared import parsed

CLASSES, SIZE = 10, 28

ROWS: Mapping[str, Mapping[str, Any]] = {
    "random": {},
    "kmeans": {},
    "plain": {"steps": 0},
    "longer": {"lambda_r": 0.0, "lambda_d": 0.0},
    "minimax": {},
}
"""Fields of Minimax, by the name of the row."""


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--to", type=click.Path(path_type=Path), required=True, help="JSON lines.")
@click.option("--denoiser", type=click.Path(path_type=Path), required=True, help="Its folder.")
@click.option("--ipc", type=int, default=10)
@click.option("--draws", type=int, default=3)
@click.option("--nets", type=int, default=2)
@click.option("--width", type=int, default=64, help="Filters of the networks that judge.")
@click.option("--updates", type=int, default=3000, help="Of the denoiser.")
@click.option("--row", "only", multiple=True, help="Only these; by default all.")
@click.option("--set", "settings", multiple=True, callback=parsed, help="Fields of minimax.")
def main(data: Path, to: Path, denoiser: Path, only: tuple[str, ...], **how: Any) -> None:
    """Makes and judges all rows."""
    torch.set_num_threads(1)
    keep_memory()
    held = mnist(data)
    display = held.normalization.display
    x, test = (NORMALIZATION.standardize(display(one)) for one in (held.train, held.test))
    model = Trained(
        denoiser,
        Configuration(Shape((32, 64), block=2), Training(steps=how["updates"], kept=0.995)),
        CLASSES,
        1,
        SIZE,
        {"data": data.stem},
    )
    begun = time.process_time()
    sources = lambda *asked: RealSet(x, held.labels, CLASSES, asked[-1])  # noqa: E731
    for _, step, steps, loss in make(denoiser, model, sources, x[:0]):
        if step % 500 == 0:
            spent = time.process_time() - begun
            click.echo(f"{step} of {steps}, loss {loss:.3f}, {spent:.0f} process seconds")
    lines = to.read_text().splitlines() if to.exists() else []
    known = {(line["row"], line["draw"]) for line in map(json.loads, lines)}
    for drawn in range(how["draws"]):
        for row in only or ROWS:
            if (row, drawn) in known:
                continue
            begun = time.process_time()
            fields = {**ROWS[row], **(how["settings"] if row == "minimax" else {})}
            s = made(row, fields, model, x, held.labels, how["ipc"], drawn)
            spent = time.process_time() - begun
            found = [judged(s, test, held.truth, how["width"], net) for net in range(how["nets"])]
            said = json.dumps(
                {
                    "data": data.stem,
                    "row": row,
                    "ipc": how["ipc"],
                    "draw": drawn,
                    "accuracy": [round(one, 2) for one in found],
                    "process_seconds": round(spent),
                    "fields": fields,
                }
            )
            with to.open("a") as file:
                file.write(said + "\n")
            click.echo(said)


def made(
    row: str, fields: Any, model: Trained, x: Tensor, y: Tensor, ipc: int, drawn: int
) -> SyntheticSet:
    """Returns the images of a row with hard labels."""
    rng, f = torch.Generator().manual_seed(drawn), convnet(CLASSES, 1, SIZE, width=8)
    start = STARTS[row] if row in STARTS else STARTS["noise"]
    s = begin(start, x, y, classes=CLASSES, ipc=ipc, rng=rng, network=f)
    if row in STARTS:
        return s
    method = Minimax(model, **fields)
    s = method.encode(s)
    for _ in distill(method, s, RealSet(x, y, CLASSES, rng), steps=method.steps, rng=rng):
        pass
    return method.decode(s)


def judged(s: SyntheticSet, test: Tensor, truth: Tensor, width: int, net: int) -> float:
    """Returns the accuracy of a network trained on S, in percent."""
    f = convnet(CLASSES, 1, SIZE, width=width)
    augment: Callable[..., Any] = partial(draw, operations=PHOTOGRAPH)
    how = replace(Judging(), steps=500, augment=augment)
    theta = train(f, s.images.detach(), s.labels, how, torch.Generator().manual_seed(net))
    called = log_probabilities(f, theta, test).argmax(1)
    return float(np.mean((called == truth).numpy()) * 100)


if __name__ == "__main__":
    main()
