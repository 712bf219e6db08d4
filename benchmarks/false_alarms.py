"""How often the audits refuse a release that leaks nothing about its members.

    python benchmarks/false_alarms.py --data kermany_pneumonia_128_dev.npz --splits 200

In each split patients are drawn into three groups. The release is made of the third, so whatever
the audits find about members and controls is chance. Null releases are made of the controls in
five folds, in the way the release is made: each image is the mean of some films of a class with a
little noise, which is what matching embeddings comes to and costs nothing. The policy is the
default one without the gates that look at files. Prints the verdicts, and how often each audit
fails by itself.
"""

from collections import Counter
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from medidd.evaluate import Training
from pipelines.auditing import recipients
from pipelines.auditing.matched_statistics import matched
from pipelines.learning.recipe import recipe
from privacy import Evidence, Films, Level, Nulls, Policy, Release, Verdict, decide, folds
from privacy.policy import load_policy
from privacy.suite import audit

SIDE, IPC, BEHIND = 32, 3, 20


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--splits", type=int, default=200)
@click.option("--first", type=int, default=0, help="Number of the first split.")
@click.option("--members", type=int, default=150)
@click.option("--controls", type=int, default=150)
@click.option("--steps", type=int, default=50, help="Of each recipient's training.")
def main(data: Path, splits: int, first: int, members: int, controls: int, steps: int) -> None:
    """Draws, audits and counts."""
    torch.set_num_threads(1)
    recipients.RECIPIENT = Training(steps=steps)
    films, policy = read(data), without_files(load_policy())
    verdicts: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for split in range(first, first + splits):
        evidence = drawn(films, split, members, controls)
        rng = torch.Generator().manual_seed(split)
        findings = audit(evidence, policy, Level.STANDARD, rng)
        verdicts[decide(findings, policy, Level.STANDARD).verdict.value] += 1
        failed.update(f.audit for f in findings if f.verdict is Verdict.FAIL)
        click.echo(f"{split}: {dict(verdicts)} {dict(failed)}", err=True)
    click.echo("| verdict | splits |\n|---|---|")
    for verdict, times in verdicts.most_common():
        click.echo(f"| {verdict} | {times} of {splits} |")
    click.echo("\n| audit | fails alone |\n|---|---|")
    for name in policy.required[Level.STANDARD]:
        click.echo(f"| {name} | {failed[name]} of {splits} |")


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


def drawn(films: Films, split: int, members: int, controls: int) -> Evidence:
    """Returns the evidence of one split."""
    rng = torch.Generator().manual_seed(split)
    order = [films.ids[i] for i in torch.randperm(len(films.ids), generator=rng).tolist()]
    cut = members + controls
    inside, outside = films.of(set(order[:members])), films.of(set(order[members:cut]))
    others = films.of(set(order[cut : cut + members]))
    fold_of = folds(inside, rng) | folds(outside, rng)
    nulls = tuple(
        made(outside.of({one for one in outside.ids if fold_of[one] != k}), rng) for k in range(5)
    )
    how = recipe("dm", start="noise", ipc=IPC, settings={}, classes=2, size=SIDE, width=16)
    device = torch.device("cpu")
    return Evidence(
        made(others, rng),
        inside,
        outside,
        nulls=Nulls(nulls, fold_of),
        fits=recipients.recipients(how, seed=split, device=device),
        matches=matched(how, seed=split, device=device),
        unit="patient",
    )


def made(films: Films, rng: torch.Generator) -> Release:
    """Returns a release whose images are means of films, six in all."""
    images: list[Tensor] = []
    for label in range(2):
        rows = (films.labels == label).nonzero().flatten()
        for _ in range(IPC):
            chosen = rows[torch.randperm(len(rows), generator=rng)[:BEHIND]]
            mean = films.images[chosen].mean(0)
            images.append(mean + 0.02 * torch.randn(mean.shape, generator=rng))
    labels = F.one_hot(torch.arange(2).repeat_interleave(IPC), 2).float()
    return Release(torch.stack(images).clamp(0, 1), labels)


if __name__ == "__main__":
    main()
