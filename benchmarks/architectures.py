r"""What networks of other architectures learn from S: one line of JSON per set and architecture.

    python benchmarks/architectures.py --data kermany_pneumonia_128_dev.npz --to across.jsonl \
        --learned convnet --learned convnet+convnet-wide+convnet-shallow --learned convnet+vgg11

``--learned`` says from which networks RFAD draws; ``kmeans`` and other starts are baselines. The
data and the recipient's training are those of radiographs.py. Rows that stand in the output already
are not repeated.
"""

import json
import time
from dataclasses import astuple
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from medidd.architectures import ARCHITECTURES
from medidd.data import NORMALIZATION, RealSet
from medidd.distill import distill
from medidd.evaluate import RECIPIENT, log_probabilities, train
from medidd.methods import RFAD
from medidd.network import Network, Several
from medidd.scores.films import score
from medidd.starts import STARTS, begin

WIDTH = 32


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--to", type=click.Path(path_type=Path), required=True, help="JSON lines.")
@click.option("--learned", multiple=True, default=("convnet", "kmeans"))
@click.option("--network", "judges", multiple=True, default=tuple(ARCHITECTURES))
@click.option("--ipc", type=int, default=3)
@click.option("--fold", type=int, default=0)
@click.option("--size", type=int, default=32)
@click.option("--nets", type=int, default=3, help="Networks per row.")
def main(
    data: Path,
    to: Path,
    learned: tuple[str, ...],
    judges: tuple[str, ...],
    ipc: int,
    fold: int,
    size: int,
    nets: int,
) -> None:
    """Learns each set and trains every architecture on it."""
    torch.set_num_threads(1)
    lines = to.read_text().splitlines() if to.exists() else []
    known = {(of["learned"], of["network"], of["fold"]) for of in map(json.loads, lines)}
    held = np.load(data)
    pixels = torch.from_numpy(held["images"]).float()[:, None] / 255
    small = interpolate(pixels, size=(size, size), mode="bilinear", antialias=True)
    x, y = NORMALIZATION.standardize(small), torch.from_numpy(held["labels"].astype("int64"))
    test = torch.from_numpy(held["fold"] == fold)
    patients = held["patient_ids"][test.numpy()].astype(str)
    for name in learned:
        missing = [judge for judge in judges if (name, judge, fold) not in known]
        if not missing:
            continue
        begun = time.process_time()
        images, labels = _made(name, x[~test], y[~test], ipc, size)
        seconds = round(time.process_time() - begun, 1)
        for judge in missing:
            f, predicted = _network(judge, size), []
            for net in range(nets):
                theta = train(f, images, labels, RECIPIENT, torch.Generator().manual_seed(net))
                predicted.append(log_probabilities(f, theta, x[test]).exp())
            auc = score(predicted, y[test], patients, seed=0)["auc"]
            line = {"learned": name, "network": judge, "fold": fold, "size": size, "ipc": ipc}
            found = {"auc": [round(value, 4) for value in astuple(auc)], "seconds": seconds}
            with to.open("a") as file:
                file.write(json.dumps(line | found) + "\n")
            click.echo(json.dumps(line | found))


def _network(names: str, size: int) -> Network:
    """Returns the architecture, or several if names are joined by +."""
    networks = tuple(
        ARCHITECTURES[name](2, 1, size, **({"width": WIDTH} if name == "convnet" else {}))
        for name in names.split("+")
    )
    return networks[0] if len(networks) == 1 else Several(networks)


def _made(name: str, x: Tensor, y: Tensor, ipc: int, size: int) -> tuple[Tensor, Tensor]:
    """Returns images and labels of a start, or of RFAD with these networks."""
    rng = torch.Generator().manual_seed(0)
    plain = _network("convnet", size)
    start = STARTS[name if name in STARTS else RFAD.start]
    s = begin(start, x, y, classes=2, ipc=ipc, rng=rng, network=plain)
    if name not in STARTS:
        method = RFAD(_network(name, size))
        for _ in distill(method, s, RealSet(x, y, 2, rng), steps=method.steps, rng=rng):
            pass
    return s.images.detach(), s.labels


if __name__ == "__main__":
    main()
