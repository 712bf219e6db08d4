"""What verdicts releases get over many splits of the patients.

    python benchmarks/splits.py --data NPZ --splits 200
    python benchmarks/splits.py --data NPZ --of members --by dm --members 80 --splits 20

In each split patients are drawn into members, controls and others. A release of strangers is made
of the others, so whatever the audits find is chance; one of members may leak. It is made by DM, or
each image is the mean of some films of a class with a little noise, which is what matching
embeddings comes to and costs nothing. Null releases are made of the controls in five folds, in the
same way. The policy is the default one without the gates that look at files. Prints the verdicts at
both levels, and how often each audit fails by itself.
"""

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from medidd.data import NORMALIZATION, RealSet
from medidd.distill import distill
from medidd.evaluate import Training
from pipelines.auditing.matched_statistics import matched
from pipelines.evaluation import recipients
from pipelines.learning.recipe import Recipe, recipe
from pipelines.run.release_file import LEVELS as LEVEL
from pipelines.run.release_file import quantized
from privacy import Evidence, Films, Level, Nulls, Policy, Release, Verdict, decide, folds
from privacy.policy import load_policy
from privacy.suite import audit

SIDE, BEHIND, WIDTH = 32, 20, 16
LEVELS = (Level.SCREEN, Level.STANDARD)
SHOWN = ("A1", "A2", "A3", "A5", "A9")


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--of", type=click.Choice(["strangers", "members"]), default="strangers")
@click.option("--by", type=click.Choice(["means", "dm"]), default="means")
@click.option("--splits", type=int, default=200)
@click.option("--first", type=int, default=0, help="Number of the first split.")
@click.option("--members", type=int, default=150)
@click.option("--controls", type=int, default=150)
@click.option("--ipc", type=int, default=3)
@click.option("--distil-steps", type=int, default=200, help="Of DM.")
@click.option("--steps", type=int, default=50, help="Of each recipient's training.")
def main(data: Path, splits: int, first: int, steps: int, **options: Any) -> None:
    """Draws, audits and counts."""
    torch.set_num_threads(1)
    recipients.RECIPIENT = Training(steps=steps)
    films, policy, drawing = read(data), without_files(load_policy()), Drawing(**options)
    verdicts: dict[Level, Counter[str]] = {level: Counter() for level in LEVELS}
    failed: dict[Level, Counter[str]] = {level: Counter() for level in LEVELS}
    for split in range(first, first + splits):
        case = drawing.drawn(films, split)
        told = []
        for level in LEVELS:
            evidence = case if level is Level.STANDARD else replace(case, nulls=None)
            rng = torch.Generator().manual_seed(split)
            findings = audit(evidence, policy, level, rng)
            verdict = decide(findings, policy, level).verdict.value
            verdicts[level][verdict] += 1
            failed[level].update(f.audit for f in findings if f.verdict is Verdict.FAIL)
            told += [verdict, *(f"{f.audit} {f.value:.2f}" for f in findings if f.audit in SHOWN)]
        click.echo(f"{split}: {' '.join(told)}", err=True)
    click.echo("| verdict | screen | standard |\n|---|---|---|")
    for verdict in Verdict:
        counts = (str(verdicts[level][verdict.value]) for level in LEVELS)
        click.echo(f"| {verdict.value} | {' | '.join(counts)} |")
    click.echo("\n| audit | fails at screen | at standard |\n|---|---|---|")
    for name in policy.required[Level.STANDARD]:
        counts = (f"{failed[level][name]} of {splits}" for level in LEVELS)
        click.echo(f"| {name} | {' | '.join(counts)} |")


def read(path: Path) -> Films:
    """Returns the films at 32 px, known duplicates left out."""
    with np.load(path) as data:
        keep = data["duplicate_of"] < 0 if "duplicate_of" in data else slice(None)
        images = torch.from_numpy(data["images"][keep]).float().unsqueeze(1) / 255
        labels = torch.from_numpy(data["labels"][keep]).long()
        return Films(
            F.adaptive_avg_pool2d(images, SIDE), labels, data["patient_ids"][keep].tolist()
        )


def without_files(policy: Policy) -> Policy:
    """Returns the policy without the audits of files, which are no matter of chance."""
    named = {
        level: tuple(name for name in names if name.startswith("A"))
        for level, names in policy.required.items()
    }
    return policy.model_copy(update={"required": named})


@dataclass(frozen=True)
class Drawing:
    """How a split is drawn and a release made.

    Attributes:
        of: "strangers" or "members".
        by: "means" or "dm".
        members: patients who may be learned from.
        controls: patients held out.
        ipc: images per class.
        distil_steps: of DM.
    """

    of: str
    by: str
    members: int
    controls: int
    ipc: int
    distil_steps: int

    def drawn(self, films: Films, split: int) -> Evidence:
        """Returns the evidence of one split."""
        rng = torch.Generator().manual_seed(split)
        order = [films.ids[i] for i in torch.randperm(len(films.ids), generator=rng).tolist()]
        cut = self.members + self.controls
        inside, outside = (
            films.of(set(order[: self.members])),
            films.of(set(order[self.members : cut])),
        )
        learned = inside
        if self.of == "strangers":
            learned = films.of(set(order[cut : cut + self.members]))
        fold_of = folds(inside, rng) | folds(outside, rng)
        how = recipe(
            "dm", start="noise", ipc=self.ipc, settings={}, classes=2, size=SIDE, width=WIDTH
        )
        make = self._means if self.by == "means" else partial(self._dm, how)
        nulls = tuple(
            make(outside.of({one for one in outside.ids if fold_of[one] != k}), rng)
            for k in range(5)
        )
        device = torch.device("cpu")
        return Evidence(
            make(learned, rng),
            inside,
            outside,
            nulls=Nulls(nulls, fold_of),
            fits=recipients.recipients(how, seed=split, device=device),
            matches=matched(how, seed=split, device=device),
            unit="patient",
        )

    def _means(self, films: Films, rng: torch.Generator) -> Release:
        images: list[Tensor] = []
        for label in range(2):
            rows = (films.labels == label).nonzero().flatten()
            for _ in range(self.ipc):
                chosen = rows[torch.randperm(len(rows), generator=rng)[:BEHIND]]
                mean = films.images[chosen].mean(0)
                images.append(mean + 0.02 * torch.randn(mean.shape, generator=rng))
        labels = F.one_hot(torch.arange(2).repeat_interleave(self.ipc), 2).float()
        return Release((torch.stack(images).clamp(0, 1) * LEVEL).round() / LEVEL, labels)

    def _dm(self, how: Recipe, films: Films, rng: torch.Generator) -> Release:
        x, y = NORMALIZATION.standardize(films.images), films.labels
        s = how.begun(x, y, rng)
        assert how.method is not None
        real = RealSet(x, y, 2, rng)
        for _ in distill(how.method, s, real, steps=self.distil_steps, rng=rng):
            pass
        made = quantized(s, {}, how.digits)
        return Release(made.display, made.labels)


if __name__ == "__main__":
    main()
