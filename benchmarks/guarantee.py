"""What a release with a guarantee is worth: one line of JSON per row, resumable.

    python benchmarks/guarantee.py --data kermany_pneumonia_128_dev.npz --to kermany.jsonl
    python benchmarks/guarantee.py --data ... --to curve.jsonl --method moments --patients 300
    python benchmarks/guarantee.py --to kermany.jsonl --table
    python benchmarks/guarantee.py --to curve.jsonl --figure docs/guarantee.png

``--data`` holds ``images`` (n, H, W) uint8, ``labels``, ``patient_ids`` and ``fold`` (0 to 4, by
patient). Seed s holds out fold s. Every release is made as ``medidd distill`` makes it, with noise
from the operating system, and rounded as it would leave. Judged are networks trained on it as a
recipient trains ("images"), the same where each image gets fresh noise at every step ("noisy"), and
the method's own classifier ("own"), on the films of the fold that was held out. ``full`` trains a
network on all films and has no guarantee.
"""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from medidd.data import NORMALIZATION
from medidd.distill import Classifies, Decodes, distill
from medidd.evaluate import RECIPIENT, log_probabilities, train
from medidd.experts.teachers import TEACHING
from medidd.machine.allocator import keep_memory
from medidd.scores.films import score
from pipelines.learning.asking import asking
from pipelines.learning.recipe import Recipe, recipe
from pipelines.run.budget import Budget
from pipelines.run.release_file import quantized
from privacy.release import Films

METHODS = ("moments", "class-mean", "dm", "kip", "soft-label", "dc")
WIDTH = 32
NOISE = 0.3
"""Standard deviation of a recipient's noise in training, in standardised units."""

ROWS = ("images", "noisy", "own")


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path))
@click.option("--to", type=click.Path(path_type=Path), required=True, help="JSON lines.")
@click.option("--method", "methods", multiple=True, default=METHODS)
@click.option("--epsilon", "epsilons", multiple=True, default=("3", "1", "10", "none"))
@click.option("--ipc", "ipcs", type=int, multiple=True, default=(3, 10))
@click.option("--size", type=int, default=32)
@click.option("--seed", "seeds", type=int, multiple=True, default=(0, 1, 2))
@click.option("--patients", "counts", type=int, multiple=True, default=(0,), help="0 for all.")
@click.option("--nets", type=int, default=2, help="Networks per row.")
@click.option("--table", is_flag=True, help="Print the rows there are, and make none.")
@click.option("--figure", type=click.Path(path_type=Path), help="Draw AUC over patients.")
def main(data: Path | None, to: Path, *, table: bool, figure: Path | None, **options: Any) -> None:
    """Makes and judges all rows, the first seeds of all rows first."""
    torch.set_num_threads(1)
    keep_memory()
    lines = to.read_text().splitlines() if to.exists() else []
    if figure is not None:
        draw_curves([json.loads(line) for line in lines], figure)
        return
    if table or data is None:
        print_table([json.loads(line) for line in lines])
        return
    known = {_key(json.loads(line)) for line in lines}
    for asked in _rows(options):
        if (data.stem, options["size"], *asked.values()) in known:
            continue
        begun = time.process_time()
        cell = Cell(np.load(data), options["size"], asked["seed"], asked["patients"])
        found = cell.judged(asked["method"], asked["ipc"], asked["epsilon"], options["nets"])
        seconds = round(time.process_time() - begun, 1)
        line = {"data": data.stem, "size": options["size"], **asked, **found, "seconds": seconds}
        with to.open("a") as file:
            file.write(json.dumps(line) + "\n")
        click.echo(json.dumps(line))


def _rows(options: Any) -> Iterator[dict[str, Any]]:
    for ipc in options["ipcs"]:
        for seed in options["seeds"]:
            for method in options["methods"]:
                for epsilon in options["epsilons"]:
                    for patients in options["counts"]:
                        yield {
                            "method": method,
                            "ipc": ipc,
                            "epsilon": epsilon,
                            "patients": patients,
                            "seed": seed,
                        }


def _key(line: dict[str, Any]) -> tuple[Any, ...]:
    names = ("data", "size", "method", "ipc", "epsilon", "patients", "seed")
    return tuple(line[name] for name in names)


class Cell:
    """One set of films with one fold held out, and some of the other patients to learn from."""

    def __init__(self, held: Any, size: int, seed: int, patients: int) -> None:
        pixels = torch.from_numpy(held["images"]).float()[:, None] / 255
        small = interpolate(pixels, size=(size, size), mode="bilinear", antialias=True)
        labels = torch.from_numpy(held["labels"].astype("int64"))
        of, test = held["patient_ids"].astype(str), held["fold"] == seed
        chosen = np.unique(of[~test])
        if patients:
            chosen = np.random.default_rng(seed).permutation(chosen)[:patients]
        rows = np.flatnonzero(~test & np.isin(of, chosen))
        self._films = Films(small[rows], labels[rows], of[rows].tolist())
        self._seen, self._truth = NORMALIZATION.standardize(small[test]), labels[test]
        self._of_test, self._seed, self._size = of[test], seed, size
        self._count, self._classes = len(chosen), int(labels.max()) + 1

    def judged(self, name: str, ipc: int, epsilon: str, nets: int) -> dict[str, Any]:
        """Returns the AUC of the rows, each with its interval over patients and networks.

        "making" are the processor seconds until the release.
        """
        rng = torch.Generator().manual_seed(self._seed)
        if name == "full":
            made = self._recipe("moments", 1, private=False)
            x = NORMALIZATION.standardize(self._films.images)
            y = torch.eye(self._classes)[self._films.labels]
            fits = [self._fit(made, x, y, TEACHING, net) for net in range(nets)]
            return {"members": self._count, "images": self._auc(fits)}
        budget = None if epsilon == "none" else Budget(float(epsilon))
        made = self._recipe(name, ipc, private=budget is not None)
        begun, images = time.process_time(), NORMALIZATION.standardize(self._films.images)
        s = made.begun(images, self._films.labels, rng)
        real = asking(budget, None)(
            made.releases, made.classes, self._films, torch.device("cpu"), rng
        )
        method: Any = made.method
        for _ in distill(method, s, real, steps=made.steps, rng=rng):
            pass
        s = method.decode(s) if isinstance(method, Decodes) else s
        facts = {"step sizes": s.log_lr.detach().exp().tolist()}
        released = quantized(s, facts).synthetic(torch.device("cpu"))
        found = {"members": self._count, "making": round(time.process_time() - begun, 1)}
        for row, how in (("images", RECIPIENT), ("noisy", replace(RECIPIENT, noise=NOISE))):
            fits = [self._fit(made, released.images, released.labels, how, n) for n in range(nets)]
            found[row] = self._auc(fits)
        if isinstance(method, Classifies):
            found["own"] = self._auc([method.classifier(released, rng)])
        return found

    def _recipe(self, name: str, ipc: int, *, private: bool) -> Recipe:
        return recipe(
            name,
            start="noise",
            ipc=ipc,
            settings={},
            classes=self._classes,
            size=self._size,
            width=WIDTH,
            private=private,
        )

    def _fit(
        self, made: Recipe, x: Tensor, y: Tensor, how: Any, net: int
    ) -> Callable[[Tensor], Tensor]:
        network = made.networks["convnet"]
        theta = train(network, x, y, how, torch.Generator().manual_seed(1000 * self._seed + net))
        return lambda seen: log_probabilities(network, theta, seen).exp()

    def _auc(self, classifiers: list[Callable[[Tensor], Tensor]]) -> list[float]:
        predicted = [classifier(self._seen) for classifier in classifiers]
        auc = score(predicted, self._truth, self._of_test, seed=self._seed)["auc"]
        return [round(value, 4) for value in (auc.mean, auc.low, auc.high)]


def print_table(lines: list[dict[str, Any]]) -> None:
    """Prints the mean over seeds, and the mean ends of their intervals."""
    groups = defaultdict(list)
    for line in lines:
        names = ("data", "size", "method", "ipc", "patients", "epsilon")
        groups[tuple(line[name] for name in names)].append(line)
    head = ("data", "px", "method", "ipc", "patients", "epsilon", "seeds", *ROWS, "s")
    click.echo(f"| {' | '.join(head)} |")
    click.echo(f"|{'---|' * len(head)}")
    for key, found in sorted(groups.items(), key=str):
        data, size, method, ipc, patients, epsilon = key
        shown = (data, size, method, ipc, patients or "all", epsilon, len(found))
        cells = [_shown([line[row] for line in found if row in line]) for row in ROWS]
        making = [line["making"] for line in found if "making" in line]
        seconds = f"{np.mean(making):.0f}" if making else ""
        click.echo(f"| {' | '.join(map(str, [*shown, *cells, seconds]))} |")


def draw_curves(lines: list[dict[str, Any]], to: Path) -> None:
    """Draws the mean AUC over patients, a line per epsilon: own classifier, and images."""
    import matplotlib

    matplotlib.use("svg" if to.suffix == ".svg" else "agg")
    from matplotlib import pyplot

    groups = defaultdict(list)
    for line in lines:
        for row in ("own", "images"):
            groups[row, line["epsilon"], line["members"]].append(line[row][0])
    drawn, axes = pyplot.subplots(1, 2, figsize=(8, 3.4), sharey=True, layout="constrained")
    titles = {"own": "the method's own classifier", "images": "a network trained on six images"}
    epsilons = sorted({key[1] for key in groups}, key=lambda e: float(e) if e != "none" else 99)
    for axis, (row, title) in zip(axes, titles.items(), strict=True):
        for number, epsilon in enumerate(epsilons):
            counts = sorted({key[2] for key in groups if key[:2] == (row, epsilon)})
            means = [float(np.mean(groups[row, epsilon, count])) for count in counts]
            color = matplotlib.colormaps["viridis"](number / max(len(epsilons), 2))
            label = "no guarantee" if epsilon == "none" else f"epsilon {epsilon}"
            axis.plot(counts, means, marker="o", markersize=3, color=color, label=label)
        axis.set_xscale("log")
        axis.set_xticks(shown := sorted({key[2] for key in groups}), [str(n) for n in shown])
        axis.set_xticks([], minor=True)
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("patients learned from")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("AUC on other patients")
    axes[1].legend(fontsize=8, loc="lower right")
    drawn.savefig(to, dpi=130)


def _shown(rows: list[list[float]]) -> str:
    if not rows:
        return ""
    mean, low, high = np.mean(rows, axis=0)
    return f"{mean:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
