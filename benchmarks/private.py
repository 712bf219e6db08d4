"""What moments and class means are worth under a patient's guarantee: one line of JSON per release.

    python benchmarks/private.py --data kermany_pneumonia_128_dev.npz --to private.jsonl

``--data`` holds ``images`` (n, H, W) uint8, ``labels``, ``patient_ids`` and ``fold`` (0 to 4, by
patient). Nobody of the fold that is held out is learned from. Each draw is a release of its own,
with fresh noise. ``own`` is the AUC of the method's classifier, read off the images as they are
released, with 16 bits a pixel; ``net`` that of ConvNets trained as a recipient trains, the mean
over networks. Rows that stand in the output already are not repeated; for noise that cannot be
repeated they differ from run to run.
"""

import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

sys.path.insert(0, str(Path(__file__).parents[1]))

from medidd.architectures import convnet
from medidd.data import NORMALIZATION, RealSet, Source, SyntheticSet
from medidd.distill import Classifies, Method, distill
from medidd.evaluate import log_probabilities, train, weighted_auc
from medidd.features import LowFrequencies
from medidd.methods.class_mean import ClassMean
from medidd.methods.moments import Moments
from pipelines.evaluation.utility import RECIPIENT
from privacy.dp.accounting import series_for
from privacy.dp.mechanism import PatientGaussian
from privacy.dp.phantoms import phantoms
from privacy.dp.source import PrivateSource

LEVELS = 2**16 - 1
METHODS: dict[str, Method] = {
    "class-mean": ClassMean(),
    "moments": Moments(LowFrequencies()),
}


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--to", type=click.Path(path_type=Path), required=True, help="JSON lines.")
@click.option("--method", "methods", multiple=True, default=tuple(METHODS))
@click.option("--epsilon", "epsilons", multiple=True, default=("1", "3", "10", "none"))
@click.option("--delta", type=float, default=1e-5)
@click.option("--patients", type=int, help="Declared; by default rounded to two digits.")
@click.option("--size", type=int, default=32)
@click.option("--ipc", "ipcs", type=int, multiple=True, default=(1, 3, 10))
@click.option("--fold", "folds", type=int, multiple=True, default=(0, 1, 2))
@click.option("--draw", "draws", type=int, multiple=True, default=(0, 1, 2))
@click.option("--nets", type=int, default=1, help="Networks per release.")
@click.option("--width", type=int, default=32)
def main(data: Path, to: Path, **options: Any) -> None:
    """Makes and judges all releases."""
    torch.set_num_threads(1)
    done = {_key(json.loads(line)) for line in to.read_text().splitlines()} if to.exists() else ()
    held = dict(np.load(data))
    chosen = (options[of] for of in ("folds", "epsilons", "methods", "ipcs", "draws"))
    for fold, epsilon, method, ipc, draw in itertools.product(*chosen):
        row = {
            "data": data.stem,
            "size": options["size"],
            "fold": fold,
            "epsilon": epsilon,
            "method": method,
            "ipc": ipc,
            "draw": draw,
        }
        if _key(row) in done or (epsilon == "none" and draw > 0):
            continue
        line = json.dumps(row | _judged(held, row, options))
        click.echo(line)
        with to.open("a") as file:
            file.write(line + "\n")


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[of] for of in ("data", "size", "fold", "epsilon", "method", "ipc", "draw"))


def _judged(held: dict[str, Any], row: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Makes a release from the patients of the other folds, and judges it on those of this one."""
    films = torch.from_numpy(held["images"])[:, None].float() / 255
    films = interpolate(films, size=(row["size"], row["size"]), mode="area")
    films, labels = NORMALIZATION.standardize(films), torch.from_numpy(held["labels"])
    inside = torch.from_numpy(held["fold"] != row["fold"])
    patients = held["patient_ids"][inside.numpy()].tolist()
    classes = int(labels.max()) + 1
    members = films[inside], labels[inside]
    real: Source = RealSet(*members, classes, torch.Generator().manual_seed(0))
    declared = options["patients"] or _rounded(len(set(patients)))
    if row["epsilon"] != "none":
        series = series_for(float(row["epsilon"]), options["delta"])
        public = NORMALIZATION.standardize(phantoms(8, row["size"]))
        mechanism = PatientGaussian(series, declared)
        real = PrivateSource(*members, patients, classes, mechanism, public)
    method, started = METHODS[row["method"]], time.perf_counter()
    many = classes * row["ipc"]
    s = SyntheticSet(
        torch.zeros(many, *films.shape[1:]),
        torch.eye(classes).repeat_interleave(row["ipc"], 0),
        torch.zeros(()),
    )
    list(distill(method, s, real, steps=1, rng=torch.Generator().manual_seed(0)))
    seconds = time.perf_counter() - started
    display = (NORMALIZATION.display(s.images.detach()) * LEVELS).round() / LEVELS
    s = SyntheticSet(NORMALIZATION.standardize(display), s.labels, s.log_lr)
    seen, truth = films[~inside], labels[~inside]
    own = None
    if isinstance(method, Classifies):
        own = _auc(method.classifier(s, torch.Generator())(seen.double()), truth)
    f, nets = convnet(classes, 1, row["size"], width=options["width"]), []
    for net in range(options["nets"]):
        rng = torch.Generator().manual_seed(100 * row["draw"] + net)
        theta = train(f, s.images, s.labels, RECIPIENT, rng)
        nets.append(_auc(log_probabilities(f, theta, seen), truth))
    return {
        "own": own,
        "net": round(float(np.mean(nets)), 4),
        "patients": len(set(patients)),
        "declared": declared,
        "seconds": round(seconds, 2),
    }


def _rounded(number: int) -> int:
    digits = 10 ** max(len(str(number)) - 2, 0)
    return round(number / digits) * digits


def _auc(scores: Tensor, truth: Tensor) -> float:
    """Returns the AUC, of several classes the mean of each against the rest."""
    once = np.ones((1, len(truth)))
    of = range(scores.shape[1]) if scores.shape[1] > 2 else [1]
    areas = [weighted_auc(scores[:, k].double().numpy(), (truth == k).numpy(), once) for k in of]
    return round(float(np.mean(areas)), 4)


if __name__ == "__main__":
    main()
