"""Methods under their papers' protocol on MNIST, Fashion-MNIST and CIFAR-10: one line of JSON each.

    python benchmarks/papers.py --data bench --images mnist --method dm --ipc 10

``--data`` is a folder of ``mnist.npz``, ``fashion_mnist.npz`` or ``cifar10.npz`` with
``train_images`` (n, H, W) or (n, H, W, 3), uint8, ``train_labels``, ``test_images`` and
``test_labels``. The fields are the paper's for that many images per class; ``--set`` shortens what
a CPU cannot finish, and what was changed stands in the line. Networks, standardisation, unbounded
images, the start (real images, noise for DC and KIP's labels) and the evaluation are the papers':
a ConvNet of three blocks of 128 filters, trained on S for 300 epochs of SGD (1000 with
augmentation), the step size cut tenfold half-way, judged on all test images.
"""

import json
import math
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor

from medidd.architectures import convnet
from medidd.augment import DIGIT, PHOTOGRAPH, draw
from medidd.data import Normalization, RealSet, SyntheticSet
from medidd.distill import Decodes, Prepares, by_ipc, distill
from medidd.evaluate import Training, log_probabilities, train
from medidd.methods import METHODS
from medidd.starts import STARTS, begin
from pipelines.cli import parsed
from pipelines.installation import keep_memory

DIGITS = ("mnist", "fashion_mnist")
CLASSES = 10


@click.command()
@click.option(
    "--data", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True
)
@click.option("--images", type=click.Choice([*DIGITS, "cifar10"]), default="mnist")
@click.option("--method", default="dm", help="A method, or a start for a baseline.")
@click.option("--start", default="random", help="Where the images begin.")
@click.option("--ipc", type=int, default=1)
@click.option("--set", "settings", multiple=True, callback=parsed)
@click.option("--nets", type=int, default=5, help="Networks trained on the result.")
@click.option("--epochs", type=int, help="Of these networks. Default: the paper's.")
@click.option("--seed", type=int, default=0)
@click.option("--device", default="cpu")
@click.option("--threads", type=int, default=1)
@click.option("--every", type=int, help="Judge also every so many steps.")
def main(data: Path, images: str, method: str, ipc: int, seed: int, **options: Any) -> None:
    """Distils and judges."""
    torch.set_num_threads(options["threads"])
    keep_memory()
    rng = torch.Generator().manual_seed(seed)
    x, y, seen, truth, normalization = loaded(data / f"{images}.npz", options["device"])
    f = convnet(CLASSES, x.shape[1], x.shape[2], depth=3)
    operations = DIGIT if images == "mnist" else PHOTOGRAPH
    begun = time.process_time()
    if method in STARTS:
        s = begin(STARTS[method], x, y, classes=CLASSES, ipc=ipc, rng=rng, network=f)
        report(method, s, f, operations, seen, truth, images, ipc, seed, options, 0, {}, begun)
        return
    kind = METHODS[method]
    fields = dict(by_ipc(kind.paper, ipc))
    if "augment" in fields:
        fields["augment"] = operations
    fields |= options["settings"]
    made = kind(network=f, **fields)
    s = beginning(made, x, y, options["start"], ipc, f, rng, normalization)
    real = RealSet(x, y, CLASSES, rng)
    judge = partial(
        report,
        method,
        f=f,
        operations=operations,
        seen=seen,
        truth=truth,
        images=images,
        ipc=ipc,
        seed=seed,
        options=options,
        fields=fields,
        begun=begun,
    )
    for step, loss in enumerate(distill(made, s, real, steps=made.steps, rng=rng), 1):
        if (options["every"] and step % options["every"] == 0) or step == made.steps:
            shown = made.decode(s) if isinstance(made, Decodes) else s
            judge(s=shown, step=step, loss=loss)


def loaded(file: Path, device: str) -> tuple[Tensor, Tensor, Tensor, Tensor, Normalization]:
    """Returns standardised images and labels to learn from, the same to test on, and the scale."""
    held = np.load(file)
    train_images, test_images = (_display(held[f"{part}_images"]) for part in ("train", "test"))
    mean = tuple(train_images.mean((0, 2, 3)).tolist())
    std = tuple(train_images.std((0, 2, 3)).tolist())
    normalization = Normalization(mean, std, -math.inf, math.inf)
    x, seen = (normalization.standardize(part).to(device) for part in (train_images, test_images))
    labels = (
        torch.from_numpy(held[f"{part}_labels"]).long().to(device) for part in ("train", "test")
    )
    y, truth = labels
    return x, y, seen, truth, normalization


def _display(pixels: np.ndarray) -> Tensor:
    tensor = torch.from_numpy(pixels).float() / 255
    return tensor[:, None] if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2).contiguous()


def beginning(
    method: Any, x: Tensor, y: Tensor, start: str, ipc: int, f: Any, rng: Any, scale: Normalization
) -> SyntheticSet:
    """Returns S as the method begins with it, unbounded."""
    shown = method.shown if isinstance(method, Decodes) else 1
    s = begin(STARTS[start], x, y, classes=CLASSES, ipc=ipc * shown, rng=rng, network=f)
    s = replace(s, normalization=scale)
    if isinstance(method, Decodes):
        s = method.encode(s)
    return method.prepare(s) if isinstance(method, Prepares) else s


def report(
    method: str,
    s: SyntheticSet,
    f: Any,
    operations: Any,
    seen: Tensor,
    truth: Tensor,
    images: str,
    ipc: int,
    seed: int,
    options: Any,
    step: int,
    fields: Any,
    begun: float,
    loss: float = 0.0,
) -> None:
    """Trains fresh networks on S and prints their accuracy."""
    spent = time.process_time() - begun
    # The authors of DC judge without augmentation, but for MNIST with shifts, scales and turns.
    used = () if method in ("dc",) else operations
    if method == "dc" and images == "mnist":
        used = ("crop", "scale", "rotate")
    epochs = options["epochs"] or (1000 if used else 300)
    accuracies = []
    for net in range(options["nets"]):
        rng = torch.Generator().manual_seed(1_000_003 * (seed + 1) + net)
        how = Training(
            steps=epochs * -(-len(s.images) // 256), augment=partial(draw, operations=used)
        )
        theta = train(f, s.images.detach(), s.labels.detach(), how, rng)
        hard = log_probabilities(f, theta, seen).argmax(1)
        accuracies.append(100 * (hard == truth).float().mean().item())
    line = {
        "images": images,
        "method": method,
        "ipc": ipc,
        "seed": seed,
        "step": step,
        "accuracy": round(float(np.mean(accuracies)), 2),
        "sd": round(float(np.std(accuracies)), 2),
        "nets": len(accuracies),
        "epochs": epochs,
        "loss": round(loss, 4),
        "process_seconds": round(spent),
        "fields": fields,
        "start": options["start"],
        "device": options["device"],
    }
    click.echo(json.dumps(line))


if __name__ == "__main__":
    main()
