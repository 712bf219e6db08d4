"""Which of ten networks is best? Asked of a few images, and answered by all films.

    python -m docs.uses.architecture_search --out search.json

Every network is trained on each small set and judged on validation patients. How well that ranks
the networks is measured by their AUCs on test patients after training on all films. No small set is
ever judged on test patients. docs/uses/architecture-search.md tells what came of it.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from scipy.stats import rankdata

from docs.uses.cohorts import CLASSES, DATA, WIDTH, Cohort, Set, budget_for, made, read, seen
from docs.uses.judging import REPLICATES, Floats, HeldOut, interval
from medidd.architectures import alexnet, convnet, lenet, mlp, vgg11
from medidd.augment import draw
from medidd.evaluate import RECIPIENT, Training, train
from medidd.machine.allocator import keep_memory
from medidd.network import Architecture, Network, Weights
from privacy.release import Films

EPSILON = 2.0

TEST, VALIDATION, TRAINING = (0,), (1,), (2, 3, 4)
"""Folds of patients."""

ON_FILMS = Training(steps=200, batch=64, augment=draw)
"""Training on all films: five epochs of 2,500 films."""

ON_FEW = replace(RECIPIENT, steps=100)
"""Training on a few images."""

NETWORKS: Mapping[str, Callable[[int, int, int], Architecture]] = {
    "convnet": partial(convnet, width=WIDTH),
    "convnet, width 4": partial(convnet, width=4),
    "convnet, width 8": partial(convnet, width=8),
    "convnet, one block": partial(convnet, width=WIDTH, depth=1),
    "convnet, no norm": partial(convnet, width=WIDTH, norm="none"),
    "convnet, max pooling": partial(convnet, width=WIDTH, pooling="max"),
    "mlp": mlp,
    "lenet": lenet,
    "alexnet": partial(alexnet, width=8),
    "vgg11": partial(vgg11, width=8),
}
"""The networks to choose from. Sets are learned with the first."""


def guaranteed(films: Films, ipc: int, rng: torch.Generator) -> Set:
    """Returns images with a guarantee."""
    return made("moments", films, ipc, rng, budget_for(films, EPSILON))


SETS: Mapping[str, Callable[[Films, int, torch.Generator], Set]] = {
    "rfad": partial(made, "rfad"),
    "moments, epsilon 2": guaranteed,
    "k-means": partial(made, "kmeans"),
    "random films": partial(made, "random"),
}
"""How a small set is made."""

EARLY = "all films, stopped early"
"""The row that trains on all films for as long as ``rfad`` of the same ipc takes."""

WHOLE = "all films"

Key = tuple[str, int]
"""A row of the table: what networks are trained on, and images per class (0 for all)."""


class Search:
    """One set of patients, parted, and the networks."""

    def __init__(
        self, cohort: Cohort, on_films: Training = ON_FILMS, on_few: Training = ON_FEW
    ) -> None:
        self.films = cohort.within(TRAINING)
        self._validation = HeldOut.of(cohort.within(VALIDATION), 1)
        self._test = HeldOut.of(cohort.within(TEST), 0)
        size = self.films.images.shape[-1]
        self.networks = {name: of(CLASSES, 1, size) for name, of in NETWORKS.items()}
        self._on_films, self._on_few = on_films, on_few

    def found(self, ipcs: tuple[int, ...], seed: int) -> dict[str, Any]:
        """Trains every network on everything, once.

        All films, a small set and the early stop each begin with weights of their own, so that no
        ranking agrees with another because of a lucky draw.

        Returns:
            "test": AUCs after training on all films, (networks, 1 + replicates). By row:
            "validation", (networks,), "training", seconds per network, and "making", seconds.
        """
        validation: dict[Key, list[float]] = {}
        training: dict[Key, list[float]] = {}
        making: dict[Key, float] = {(WHOLE, 0): 0.0}
        test = []
        everyone = seen(self.films)
        for f in self.networks.values():
            theta, seconds = self._trained(f, everyone, self._on_films, _rng(seed, 2))
            self._note(validation, training, (WHOLE, 0), self._auc(f, theta), seconds)
            test.append(self._test.auc(f, theta))
        for ipc in ipcs:
            for name, of in SETS.items():
                begun = time.process_time()
                few = of(self.films, ipc, _rng(seed, 1))
                making[name, ipc] = time.process_time() - begun
                for f in self.networks.values():
                    theta, seconds = self._trained(f, few, self._on_few, _rng(seed, 3))
                    self._note(validation, training, (name, ipc), self._auc(f, theta), seconds)
            making[EARLY, ipc] = 0.0
            budgets = zip(training[WHOLE, 0], training["rfad", ipc], strict=True)
            for f, (long, short) in zip(self.networks.values(), list(budgets), strict=True):
                steps = max(round(self._on_films.steps * short / long), 1)
                how = replace(self._on_films, steps=steps)
                theta, seconds = self._trained(f, everyone, how, _rng(seed, 4))
                self._note(validation, training, (EARLY, ipc), self._auc(f, theta), seconds)
        return {
            "test": np.stack(test),
            "validation": {key: np.array(aucs) for key, aucs in validation.items()},
            "training": training,
            "making": making,
        }

    @staticmethod
    def _trained(f: Network, on: Set, how: Training, rng: torch.Generator) -> tuple[Weights, float]:
        begun = time.process_time()
        theta = train(f, *on, how, rng)
        return theta, time.process_time() - begun

    def _auc(self, f: Network, theta: Weights) -> float:
        return float(self._validation.auc(f, theta)[0])

    @staticmethod
    def _note(validation: Any, training: Any, key: Key, auc: float, seconds: float) -> None:
        validation.setdefault(key, []).append(auc)
        training.setdefault(key, []).append(seconds)


def spearman(one: Floats, other: Floats) -> float:
    """Returns the rank correlation of (n,) with (n,); NaN if all of one are equal."""
    a, b = (rankdata(values) - (len(values) + 1) / 2 for values in (one, other))
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else float("nan")


def agreement(proxy: Floats, truth: Floats) -> list[float]:
    """Returns Spearman's correlation of mean AUCs, with a 95 % interval over networks and seeds.

    Args:
        proxy: AUCs by which networks would be ranked, (networks, seeds).
        truth: AUCs after training on all films, (networks, seeds).
    """
    rng = np.random.default_rng(0)
    networks, seeds = proxy.shape

    def redrawn() -> float:
        rows = rng.integers(networks, size=networks)
        sides = (side[rows][:, rng.integers(seeds, size=seeds)].mean(1) for side in (proxy, truth))
        return spearman(*sides)

    drawn = [redrawn() for _ in range(REPLICATES)]
    middle = spearman(proxy.mean(1), truth.mean(1))
    return [round(float(v), 3) for v in (middle, *np.nanquantile(drawn, [0.025, 0.975]))]


def regret(proxy: Floats, test: Floats) -> list[float] | None:
    """Returns what is lost if the network that a proxy prefers is trained on all films.

    The AUC of the network that is best on the test patients minus that of the one chosen, each the
    mean over seeds; a choice per seed, and its interval over patients and choices.

    Args:
        proxy: (networks, seeds).
        test: (seeds, networks, 1 + replicates).
    """
    mean = test.mean(0)
    best = mean[:, 0].argmax()
    return interval(np.stack([mean[best] - mean[one] for one in proxy.argmax(0)]))


def summary(found: list[dict[str, Any]], networks: Mapping[str, Network]) -> dict[str, Any]:
    """Returns the AUC of every network, and a line per row."""
    test = np.stack([one["test"] for one in found])  # (seeds, networks, 1 + replicates)
    truth = test[:, :, 0].mean(0)
    best = truth.argsort()[len(truth) // 2 :]
    names = list(networks)
    rows: list[dict[str, Any]] = []
    for key in found[0]["validation"]:
        proxy = np.stack([one["validation"][key] for one in found], axis=1)
        training = float(np.mean([np.sum(one["training"][key]) for one in found]))
        making = float(np.mean([one["making"][key] for one in found]))
        rows.append(
            {
                "trained on": key[0],
                "ipc": key[1],
                "validation": dict(zip(names, proxy.mean(1).round(4).tolist(), strict=True)),
                "spearman": agreement(proxy, test[:, :, 0].T),
                "spearman, by seed": [round(spearman(one, truth), 3) for one in proxy.T],
                "spearman, better half": round(spearman(proxy.mean(1)[best], truth[best]), 3),
                "chosen": [names[one] for one in proxy.argmax(0)],
                "regret": regret(proxy, test),
                "making seconds": round(making, 1),
                "training seconds": round(training, 1),
            }
        )
    inits = [f.init(_rng(0, 0)).values() for f in networks.values()]
    sizes = np.array([[sum(weight.numel() for weight in init)] for init in inits])
    pairs = combinations(test[:, :, 0], 2)
    return {
        "test": {name: interval(test[:, i]) for i, name in enumerate(names)},
        "test, by seed": test[:, :, 0].round(4).tolist(),
        "between seeds": [round(spearman(*pair), 3) for pair in pairs],
        "number of weights": agreement(sizes.repeat(len(test), 1), test[:, :, 0].T),
        "rows": rows,
    }


def _rng(seed: int, number: int) -> torch.Generator:
    return torch.Generator().manual_seed(1000 * seed + number)


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), default=DATA)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="JSON.")
@click.option("--seeds", type=click.IntRange(1), default=3)
@click.option("--ipc", "ipcs", type=int, multiple=True, default=(3, 10))
@click.option("--size", type=int, default=32)
@click.option("--quick", is_flag=True, help="One seed, few steps: to see that it runs.")
def main(data: Path, out: Path, *, quick: bool, **options: Any) -> None:
    """Trains all networks on all sets, and writes what is known after each seed."""
    torch.set_num_threads(1)
    keep_memory()
    options |= {"seeds": 1, "ipcs": (3,), "size": 16} if quick else {}
    cohort = read(data, ["children"], options["size"])["children"]
    fewer = [replace(how, steps=10) for how in (ON_FILMS, ON_FEW)]
    search = Search(cohort, *fewer) if quick else Search(cohort)
    found = []
    for seed in range(options["seeds"]):
        found.append(search.found(tuple(options["ipcs"]), seed))
        out.write_text(
            json.dumps({**options, **(lines := summary(found, search.networks))}, indent=1)
        )
        click.echo(f"after seed {seed}:")
        for row in lines["rows"]:
            click.echo(f"  {row['trained on']} {row['ipc']}: {row['spearman']} {row['regret']}")


if __name__ == "__main__":
    main()
