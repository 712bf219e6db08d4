"""Methods under their papers' protocol on MNIST, Fashion-MNIST and CIFAR-10: one line of JSON each.

    python benchmarks/papers.py --data bench/mnist.npz --method dm --ipc 10
    python benchmarks/papers.py --data FOLDER/package --method mtt --ipc 1 --device cuda

``--data`` is a file, or the folder of CIFAR-10; images.py says where they come from. Fields are the
paper's for that many images per class; ``--set`` shortens what a CPU cannot finish, and all of them
stand in the line. Networks, standardisation, unbounded images and evaluation are the papers': a
ConvNet of three blocks of 128 filters, trained on S for 300 epochs of SGD, or 1000 with
augmentation, the step size cut tenfold half-way, judged on all test images. A method's own
classifier, if it has one, is judged on them too (``own``). Two things are not the papers': digits
are not padded to 32 px, and MTT's images are not whitened.
"""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import torch
from images import CLASSES, Images, cifar10, mnist

from medidd.architectures import convnet
from medidd.augment import DIGIT, PHOTOGRAPH, draw
from medidd.data import RealSet, SyntheticSet
from medidd.distill import Classifies, Decodes, Prepares, by_ipc, distill
from medidd.evaluate import log_probabilities, published, train
from medidd.experts.trajectories import Experts, Trajectories
from medidd.fields import fields, make
from medidd.machine.allocator import keep_memory
from medidd.methods import METHODS
from medidd.network import Network
from medidd.starts import STARTS, begin
from pipelines.cli.options.shared import parsed

EXPERTS = {"count": 100, "epoch_steps": 195}
"""The papers' experts: 195 batches of 256 are an epoch of 50,000 images."""


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--method", default="dm", help="A method, or a start for a baseline.")
@click.option("--start", default="random", help="Where the images begin.")
@click.option("--ipc", type=int, default=1)
@click.option("--set", "settings", multiple=True, callback=parsed)
@click.option("--width", type=int, default=128, help="Of the networks, here and in judging.")
@click.option("--nets", type=int, default=5, help="Networks trained on the result.")
@click.option("--seed", type=int, default=0)
@click.option("--device", default="cpu")
@click.option("--threads", type=int, default=1)
@click.option("--every", type=int, default=0, help="Judge also every so many steps.")
@click.option("--experts", type=int, default=100, help="Experts of mtt and tesla.")
def main(data: Path, method: str, ipc: int, settings: dict[str, Any], **options: Any) -> None:
    """Distils and judges."""
    torch.set_num_threads(options["threads"])
    keep_memory()
    held = (cifar10 if data.is_dir() else mnist)(data).to(options["device"])
    f = convnet(CLASSES, *held.train.shape[1:3], depth=3, width=options["width"])
    name = "cifar10" if data.is_dir() else data.stem
    rng = torch.Generator().manual_seed(options["seed"])
    judge = torch.Generator().manual_seed(options["seed"] + 1)
    begun = time.process_time()

    def report(step: int, s: SyntheticSet, used: dict[str, Any], made: Any = None) -> None:
        seconds = round(time.process_time() - begun)
        accuracies = judged(f, s, held, used_for(method, name), options["nets"], options["seed"])
        own = [made.classifier(s, judge)] if isinstance(made, Classifies) else []
        line = {
            "images": name,
            "method": method,
            "ipc": ipc,
            "seed": options["seed"],
            "step": step,
            "accuracy": round(float(np.mean(accuracies)), 2),
            "sd": round(float(np.std(accuracies)), 2),
            "nets": len(accuracies),
            "own": [round(accuracy(classify(held.test), held), 2) for classify in own],
            "width": options["width"],
            "process_seconds": seconds,
            "start": options["start"],
            "device": options["device"],
            "fields": used,
        }
        click.echo(json.dumps(line))

    if method in STARTS:
        report(0, started(method, f, held, ipc, rng), {})
        return
    with TemporaryDirectory() as folder:
        made, used = configured(method, name, ipc, settings, f, held, Path(folder), options)
        shown = made.shown if isinstance(made, Decodes) else 1
        s = started(options["start"], f, held, ipc * shown, rng)
        s = made.encode(s) if isinstance(made, Decodes) else s
        s = made.prepare(s) if isinstance(made, Prepares) else s
        real = RealSet(held.train, held.labels, CLASSES, rng)
        for step, _ in enumerate(distill(made, s, real, steps=made.steps, rng=rng), 1):
            if step == made.steps or (options["every"] and step % options["every"] == 0):
                report(step, made.decode(s) if isinstance(made, Decodes) else s, used, made)


def started(start: str, f: Network, held: Images, ipc: int, rng: torch.Generator) -> SyntheticSet:
    """Returns S as it begins, unbounded."""
    s = begin(STARTS[start], held.train, held.labels, classes=CLASSES, ipc=ipc, rng=rng, network=f)
    return replace(s, normalization=held.normalization)


def configured(
    method: str,
    images: str,
    ipc: int,
    settings: Any,
    f: Network,
    held: Images,
    folder: Path,
    options: Any,
) -> tuple[Any, dict[str, Any]]:
    """Returns the method with the paper's fields but for ``settings``, and these fields."""
    kind = METHODS[method]
    used = dict(by_ipc(kind.paper, ipc))
    if used.get("augment") and images == "mnist":
        used["augment"] = DIGIT
    used |= settings
    given = {"network": f} if "network" in fields(kind) else {}
    if "experts" in fields(kind):
        training = EXPERTS | {"count": options["experts"], "augment": PHOTOGRAPH}
        experts = Experts(f, epochs=used["last_start"] + used["expert_epochs"], **training)

        def source(_: int, rng: torch.Generator) -> RealSet:
            return RealSet(held.train, held.labels, CLASSES, rng)

        for _ in experts.make(folder, source, {}, held.train):
            pass
        given["experts"] = Trajectories(folder, f, {})
    return make(kind, given | used), used


def used_for(method: str, images: str) -> tuple[str, ...]:
    """Returns the augmentation that networks are trained with, as the authors of DC and DSA do."""
    if method == "dc":
        return ("crop", "scale", "rotate") if images == "mnist" else ()
    return DIGIT if images == "mnist" else PHOTOGRAPH


def judged(
    f: Network, s: SyntheticSet, held: Images, operations: tuple[str, ...], nets: int, seed: int
) -> list[float]:
    """Returns the accuracy on the test images, in percent, of fresh networks trained on S."""
    accuracies = []
    augment: Callable[..., Any] | None = (
        partial(draw, operations=operations) if operations else None
    )
    how = published(len(s.images), epochs=1000 if operations else 300)
    for net in range(nets):
        rng = torch.Generator().manual_seed(1_000_003 * (seed + 1) + net)
        theta = train(f, s.images.detach(), s.labels.detach(), replace(how, augment=augment), rng)
        accuracies.append(accuracy(log_probabilities(f, theta, held.test), held))
    return accuracies


def accuracy(scores: torch.Tensor, held: Images) -> float:
    """Returns how many of 100 test images are called by their name."""
    return 100 * float((scores.argmax(1) == held.truth).double().mean())


if __name__ == "__main__":
    main()
