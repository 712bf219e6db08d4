"""What coarser digits cost: one release of each kind, rounded in three ways, same networks.

    python benchmarks/digits.py --data kermany_pneumonia_128_dev.npz --to digits.jsonl
    python benchmarks/digits.py --to digits.jsonl --table

``--data`` is as in benchmarks/guarantee.py; seed s holds out fold s. Each release is made once, as
``medidd distill`` makes it, and leaves in 12 bits with labels in thousandths (fine), or in 8 bits
with labels in hundredths, each intensity rounded to the nearest level (nearest) or with its error
passed on to the neighbours (diffused). All train the same networks from the same weights with the
same batches, so that nothing but digits differs. Free labels are for kernels and train no network.
``labels`` are the least and the greatest label before rounding.
"""

import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from guarantee import WIDTH
from torch import Tensor
from torch.nn.functional import interpolate

from medidd.data import NORMALIZATION, SyntheticSet
from medidd.distill import Classifies, Decodes, distill
from medidd.evaluate import RECIPIENT, log_probabilities, train
from medidd.machine.allocator import keep_memory
from medidd.scores.films import weighted_auc
from pipelines.learning.asking import asking
from pipelines.learning.recipe import recipe, usual_start
from pipelines.run.budget import Budget
from pipelines.run.release_file import diffused, rounded
from privacy.release import Digits, Films

ROWS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "moments, epsilon 2": ("moments", "2", {}),
    "moments": ("moments", "none", {}),
    "rfad": ("rfad", "none", {}),
    "kip": ("kip", "none", {}),
    "kip, free labels": ("kip", "none", {"lr_labels": 0.02, "constraint": "none"}),
    "label-solve": ("label-solve", "none", {}),
    "label-solve, free labels": ("label-solve", "none", {"constraint": "none"}),
    "soft-label": ("soft-label", "none", {}),
    "dm": ("dm", "none", {}),
}
"""Method, epsilon and fields of each row."""

WAYS = ("fine", "nearest", "diffused")


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path))
@click.option("--to", type=click.Path(path_type=Path), required=True, help="JSON lines.")
@click.option("--row", "rows", multiple=True, default=tuple(ROWS), type=click.Choice([*ROWS]))
@click.option("--seed", "seeds", type=int, multiple=True, default=(0, 1))
@click.option("--ipc", type=int, default=3)
@click.option("--size", type=int, default=32)
@click.option("--nets", type=int, default=3)
@click.option("--table", is_flag=True, help="Print the rows there are, and make none.")
def main(data: Path | None, to: Path, *, table: bool, **options: Any) -> None:
    """Makes and judges all rows that are not there yet."""
    torch.set_num_threads(1)
    keep_memory()
    known = [json.loads(line) for line in to.read_text().splitlines()] if to.exists() else []
    if table or data is None:
        print_table(known)
        return
    done = {(line["seed"], line["row"]) for line in known}
    for seed in options["seeds"]:
        for row in options["rows"]:
            if (seed, row) not in done:
                line = judged(np.load(data), row, seed, options)
                with to.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                click.echo(json.dumps(line))


def judged(held: Any, row: str, seed: int, options: Any) -> dict[str, Any]:
    """Returns the AUC of each rounding: of networks one by one, and of the own classifier."""
    begun, (name, epsilon, settings) = time.process_time(), ROWS[row]
    pixels = torch.from_numpy(held["images"]).float()[:, None] / 255
    shape = (options["size"], options["size"])
    small = interpolate(pixels, size=shape, mode="bilinear", antialias=True)
    labels = torch.from_numpy(held["labels"].astype("int64"))
    test = held["fold"] == seed
    films = Films(small[~test], labels[~test], held["patient_ids"][~test].astype(str).tolist())
    seen, truth = NORMALIZATION.standardize(small[test]), labels[test].numpy() == 1
    budget = None if epsilon == "none" else Budget(float(epsilon))
    made = recipe(
        name,
        start=usual_start(name, private=budget is not None),
        ipc=options["ipc"],
        settings=settings,
        classes=2,
        size=options["size"],
        width=WIDTH,
        private=budget is not None,
    )
    rng = torch.Generator().manual_seed(seed)
    s = made.begun(NORMALIZATION.standardize(films.images), films.labels, rng)
    real = asking(budget, None)(made.releases, 2, films, torch.device("cpu"), rng)
    method: Any = made.method
    for _ in distill(method, s, real, steps=made.steps, rng=rng):
        pass
    s = method.decode(s) if isinstance(method, Decodes) else s

    def auc(classifier: Callable[[Tensor], Tensor]) -> float:
        scores = classifier(seen)[:, 1].double().numpy()
        return float(weighted_auc(scores, truth, np.ones((1, len(truth))))[0])

    found: dict[str, Any] = {}
    network = made.networks["convnet"]
    for digits in WAYS:
        left = _left(s, digits, made.digits)
        found[digits] = []
        for net in range(0 if made.digits.bound else options["nets"]):
            weights = torch.Generator().manual_seed(1000 * seed + net)
            theta = train(network, left.images, left.labels, RECIPIENT, weights)
            found[digits].append(auc(lambda x, t=theta: log_probabilities(network, t, x).exp()))
        if isinstance(method, Classifies):
            own = method.classifier(left, torch.Generator().manual_seed(seed))
            found[f"{digits}, own"] = [auc(own)]
    return {
        "row": row,
        "seed": seed,
        **{kind: [round(value, 4) for value in values] for kind, values in found.items()},
        "labels": [round(float(end), 3) for end in s.labels.detach().aminmax()],
        "seconds": round(time.process_time() - begun, 1),
    }


def _left(s: SyntheticSet, way: str, digits: Digits) -> SyntheticSet:
    """Returns S as it leaves."""
    display = NORMALIZATION.display(s.images.detach()).clamp(0, 1)
    if way == "fine":
        shown, digits = (display * 4095).round() / 4095, replace(digits, parts=1000)
    elif way == "nearest":
        shown = (display * 255).round() / 255
    else:
        shown = (diffused(display, 255) / 255).float()
    labels = rounded(s.labels.detach(), digits)
    return SyntheticSet(NORMALIZATION.standardize(shown), labels, s.log_lr.detach())


def print_table(lines: list[dict[str, Any]]) -> None:
    """Prints means over seeds and networks, and the differences, with those of each seed."""
    groups = defaultdict(list)
    for line in sorted(lines, key=lambda line: line["seed"]):
        for kind in ("", ", own"):
            if line.get(f"fine{kind}"):
                means = [np.mean(line[f"{way}{kind}"]) for way in WAYS]
                groups[line["row"] + kind].append(means)
    click.echo("| row | 12 bits, thousandths | 8 bits, hundredths | the same, diffused |")
    click.echo("|---|---|---|---|")
    for row, found in groups.items():
        table = np.array(found)
        cells = [f"{table[:, 0].mean():.4f}"]
        for column in (1, 2):
            apart = table[:, column] - table[:, 0]
            each = ", ".join(f"{one:+.4f}" for one in apart)
            cells.append(f"{apart.mean():+.4f} ({each})")
        click.echo(f"| `{row}` | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
