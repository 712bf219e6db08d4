"""KIP and label solve on CIFAR-10, beside the papers' figures: one line of JSON per row and seed.

    python benchmarks/kernels.py --cifar10 FOLDER/package --seed 0 --seed 1

images.py says where the images come from. The setting of the authors (Nguyen, Chen & Lee, ICLR
2021): the tangent kernel of one hidden layer, channels standardised over the training images, S
from real images of every class alike, and 5000 targets a step for KIP. Accuracy is that of the
kernel regression on the 10,000 test images. The authors have 32.1 % for 500 random images, 47.0 %
with their labels solved, and 46.7 % for 100 images after KIP.
"""

import json
import time
from pathlib import Path

import click
import torch
from images import CLASSES, cifar10
from torch import Tensor

from medidd.data import RealSet, SyntheticSet
from medidd.distill import by_ipc, distill
from medidd.kernels import FCKernel
from medidd.methods.kip import KIP
from medidd.methods.label_solve import LabelSolve

METHODS = {"random": LabelSolve, "label-solve": LabelSolve, "kip": KIP}
IPC = {"random": 50, "label-solve": 50, "kip": 10}
STEPS = {"random": 0}


@click.command()
@click.option("--cifar10", "folder", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--method", "methods", multiple=True, default=tuple(METHODS))
@click.option("--seed", "seeds", multiple=True, type=int, default=(0,))
@click.option("--threads", type=int, default=1, show_default=True)
def main(folder: Path, methods: tuple[str, ...], seeds: tuple[int, ...], threads: int) -> None:
    """Measures each method for each seed."""
    torch.set_num_threads(threads)
    held = cifar10(folder)
    train, labels = held.train, held.labels
    for name in methods:
        for seed in seeds:
            rng, ipc = torch.Generator().manual_seed(seed), IPC[name]
            method = METHODS[name](FCKernel(), **by_ipc(METHODS[name].paper, ipc))
            began = time.process_time()
            images = torch.cat([_drawn(train[labels == c], ipc, rng) for c in range(CLASSES)])
            hard = torch.eye(CLASSES).repeat_interleave(ipc, 0)
            s = SyntheticSet(images, hard, torch.zeros(()), held.normalization)
            real = RealSet(train, labels, CLASSES, rng, chunk=500)
            steps = STEPS.get(name, method.steps)
            losses = list(distill(method, s, real, steps=steps, rng=rng))
            taken = time.process_time() - began
            right = method.classifier(s, rng)(held.test).argmax(1) == held.truth
            line = {
                "method": name,
                "images": len(s.images),
                "seed": seed,
                "accuracy": round(100 * right.double().mean().item(), 2),
                "losses": [round(loss, 4) for loss in losses[:1] + losses[-1:]],
                "process_seconds": round(taken, 1),
            }
            click.echo(json.dumps(line))


def _drawn(images: Tensor, ipc: int, rng: torch.Generator) -> Tensor:
    return images[torch.randperm(len(images), generator=rng)[:ipc]]


if __name__ == "__main__":
    main()
