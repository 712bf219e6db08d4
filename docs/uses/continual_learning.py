"""One classifier, cohort after cohort: what a memory of a few images per cohort saves.

    python -m docs.uses.continual_learning --out continual.json

Seed s holds out fold s of every cohort, and trains one network per row. After each stage the
network is judged on the held-out patients of all cohorts. docs/uses/continual-learning.md tells
what came of it.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch.nn.functional import cross_entropy

from docs.uses.cohorts import (
    CLASSES,
    DATA,
    FILES,
    WIDTH,
    Cohort,
    Set,
    budget_for,
    made,
    read,
    recipe_of,
    seen,
)
from docs.uses.judging import Floats, HeldOut, interval
from medidd.architectures import convnet
from medidd.augment import draw
from medidd.evaluate import Training
from medidd.machine.allocator import keep_memory
from medidd.network import Network, Weights
from pipelines.learning.plan import planned
from privacy.release import Films

EPSILON = 2.0

Keep = Callable[[Films, int, torch.Generator], Set | None]
"""Takes a cohort's training films, ipc and a generator; returns what the memory keeps of it."""


def nothing(films: Films, ipc: int, rng: torch.Generator) -> None:
    """Keeps nothing."""


def everything(films: Films, ipc: int, rng: torch.Generator) -> Set:  # noqa: ARG001
    """Keeps all films."""
    return seen(films)


def guaranteed(films: Films, ipc: int, rng: torch.Generator) -> Set | None:
    """Keeps images with a guarantee; nothing of a cohort that is too small for one."""
    budget, size = budget_for(films, EPSILON), films.images.shape[-1]
    plan = planned(recipe_of("moments", size, ipc, private=True), budget, size)
    if not plan.can_work(budget.patients):
        return None
    return made("moments", films, ipc, rng, budget)


KEEPS: Mapping[str, Keep] = {
    "nothing": nothing,
    "moments, epsilon 2": guaranteed,
    "rfad": partial(made, "rfad"),
    "random films": partial(made, "random"),
    "herding films": partial(made, "herding"),
    "k-means": partial(made, "kmeans"),
    "all films": everything,
}
"""What a memory may keep of a cohort."""

WHOLE = ("nothing", "all films")
"""Rows that have no number of images."""


def learn(
    f: Network,
    theta: Weights,
    pools: Sequence[Set],
    shares: Sequence[float],
    how: Training,
    rng: torch.Generator,
) -> Weights:
    """Trains a network further, from its weights: experience replay.

    Chaudhry et al. 2019, arXiv:1902.10486: a batch is drawn from the new films and from the memory.
    Here each of its images comes from a pool with the pool's share as probability.

    Args:
        f: the architecture.
        theta: its weights; they stay.
        pools: the new films, and what the memory keeps of each earlier cohort.
        shares: probability of each pool.
        how: steps, batch, rates and augmentation, as in ``medidd.evaluate.train``.
        rng: draws the batches and the augmentation.
    """
    theta = {name: weight.clone().requires_grad_() for name, weight in theta.items()}
    x, y = (torch.cat([pool[part] for pool in pools]) for part in (0, 1))
    each = zip(pools, shares, strict=True)
    chances = torch.cat([torch.full((len(pool[0]),), share / len(pool[0])) for pool, share in each])
    optimizer = torch.optim.SGD(
        theta.values(), lr=how.lr, momentum=how.momentum, weight_decay=how.weight_decay
    )
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [how.steps // 2], gamma=0.1)
    for _ in range(how.steps):
        rows = chances.multinomial(how.batch, replacement=True, generator=rng)
        batch = x[rows]
        if how.augment is not None:
            batch = how.augment(rng, images=len(batch))(batch)
        optimizer.zero_grad()
        cross_entropy(f(theta, batch), y[rows]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return {name: weight.detach() for name, weight in theta.items()}


def shares(memories: int) -> list[float]:
    """Returns half for the new films, and half for all memories together; all if there is none."""
    return [0.5, *[0.5 / memories] * memories] if memories else [1.0]


class Trial:
    """One sequence of cohorts with one fold of each held out, and the network after stage one."""

    def __init__(self, cohorts: Mapping[str, Cohort], seed: int, how: Training) -> None:
        self._seed, self._how = seed, how
        self.films = [cohort.without([seed]) for cohort in cohorts.values()]
        self._tests = [
            HeldOut.of(c.within([seed]), 100 * seed + i) for i, c in enumerate(cohorts.values())
        ]
        self._f = convnet(CLASSES, 1, self.films[0].images.shape[-1], width=WIDTH)
        self._fresh = self._f.init(self._rng(0))
        begun = time.process_time()
        self._first = self._learnt(self._fresh, [seen(self.films[0])], 0)
        self._seconds = time.process_time() - begun

    def row(self, keep: Keep, ipc: int) -> dict[str, Any]:
        """Returns AUCs (stages, cohorts, 1 + replicates) with one kind of memory, and seconds."""
        theta, memory, kept = self._first, [], []
        aucs, making, training = [self._judged(theta)], 0.0, self._seconds
        for stage in range(1, len(self.films)):
            begun = time.process_time()
            one = keep(self.films[stage - 1], ipc, self._rng(1000 + stage))
            memory += [] if one is None else [one]
            kept.append(0 if one is None else len(one[0]))
            made_at = time.process_time()
            theta = self._learnt(theta, [seen(self.films[stage]), *memory], stage)
            making += made_at - begun
            training += time.process_time() - made_at
            aucs.append(self._judged(theta))
        return {"auc": np.stack(aucs), "kept": kept, "making": making, "training": training}

    def joint(self) -> dict[str, Any]:
        """Returns the same for a fresh network that has all cohorts at once, as often."""
        pools = [seen(films) for films in self.films]
        how = replace(self._how, steps=self._how.steps * len(pools))
        begun = time.process_time()
        alike = [1 / len(pools)] * len(pools)
        theta = learn(self._f, self._fresh, pools, alike, how, self._rng(2000))
        training = time.process_time() - begun
        auc = np.full((len(pools), *self._judged(theta).shape), np.nan)
        auc[-1] = self._judged(theta)
        return {"auc": auc, "kept": [], "making": 0.0, "training": training}

    def _learnt(self, theta: Weights, pools: Sequence[Set], stage: int) -> Weights:
        return learn(self._f, theta, pools, shares(len(pools) - 1), self._how, self._rng(stage))

    def _judged(self, theta: Weights) -> Floats:
        return np.stack([tested.auc(self._f, theta) for tested in self._tests])

    def _rng(self, number: int) -> torch.Generator:
        return torch.Generator().manual_seed(10_000 * self._seed + number)


def final(auc: Floats) -> Floats:
    """Returns the mean AUC over cohorts after the last stage of AUCs (..., stages, cohorts, B)."""
    mean: Floats = auc[..., -1, :, :].mean(-2)
    return mean


def learned(auc: Floats) -> Floats:
    """Returns the mean AUC of each cohort when it had just been learned."""
    mean: Floats = np.stack([auc[..., i, i, :] for i in range(auc.shape[-2])]).mean(0)
    return mean


def forgetting(auc: Floats) -> Floats:
    """Returns how far earlier cohorts fell from their best (Chaudhry et al., ECCV 2018)."""
    lost: Floats = (auc[..., :-1, :-1, :].max(-3) - auc[..., -1, :-1, :]).mean(-2)
    return lost


def backward(auc: Floats) -> Floats:
    """Returns what later stages gave earlier cohorts (Lopez-Paz & Ranzato, NeurIPS 2017)."""
    gains = [auc[..., -1, j, :] - auc[..., j, j, :] for j in range(auc.shape[-2] - 1)]
    mean: Floats = np.stack(gains).mean(0)
    return mean


def summary(found: Mapping[tuple[str, int], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Returns a line per row: its AUCs and measures over seeds, and differences to other rows."""
    auc = {key: np.stack([one["auc"] for one in rows]) for key, rows in found.items()}
    lines = []
    for (name, ipc), rows in found.items():
        own = auc[name, ipc]
        line: dict[str, Any] = {"memory": name, "ipc": ipc, "kept": [one["kept"] for one in rows]}
        line["auc"] = [
            [interval(own[:, i, j]) for j in range(own.shape[2])] for i in range(own.shape[1])
        ]
        for measure in (final, learned, forgetting, backward):
            line[measure.__name__] = interval(measure(own))
        for other in (("nothing", 0), ("random films", ipc)):
            if other in auc and other != (name, ipc):
                line[f"final, above {other[0]}"] = interval(final(own) - final(auc[other]))
        for part in ("making", "training"):
            line[f"{part} seconds"] = round(float(np.mean([one[part] for one in rows])), 1)
        lines.append(line)
    return lines


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), default=DATA)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="JSON.")
@click.option("--seeds", type=click.IntRange(1, 5), default=5, help="Folds that are held out.")
@click.option("--ipc", "ipcs", type=int, multiple=True, default=(3, 10))
@click.option(
    "--memory", "names", type=click.Choice(list(KEEPS)), multiple=True, default=tuple(KEEPS)
)
@click.option("--order", type=click.Choice(list(FILES)), multiple=True, default=tuple(FILES))
@click.option("--steps", type=int, default=200, help="Updates per stage.")
@click.option("--size", type=int, default=32)
@click.option("--quick", is_flag=True, help="One seed, few steps: to see that it runs.")
def main(data: Path, out: Path, *, quick: bool, **options: Any) -> None:
    """Trains all rows, seed by seed, and writes what is known after each seed."""
    torch.set_num_threads(1)
    keep_memory()
    options |= {"seeds": 1, "ipcs": (3,), "steps": 20, "size": 16} if quick else {}
    cohorts = read(data, options["order"], options["size"])
    how = Training(steps=options["steps"], batch=64, augment=draw)
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for seed in range(options["seeds"]):
        run = Trial(cohorts, seed, how)
        for name in options["names"]:
            for ipc in (0,) if name in WHOLE else options["ipcs"]:
                found.setdefault((name, ipc), []).append(run.row(KEEPS[name], ipc))
        found.setdefault(("joint", 0), []).append(run.joint())
        out.write_text(json.dumps({**options, "rows": (lines := summary(found))}, indent=1))
        click.echo(f"after seed {seed}:")
        for line in lines:
            click.echo(f"  {line['memory']} {line['ipc']}: final {line['final']}")


if __name__ == "__main__":
    main()
