"""What planted patients give away: known answers, and what A8 says of a method. Prints Markdown.

    python benchmarks/canaries.py --data kermany_pneumonia_128_dev.npz --ipc 1 --ipc 10

``--data`` holds ``images`` (n, H, W) uint8, ``labels`` and ``patient_ids``. The first table plants
one film 0, 1, 5 and 50 times among the members: what A1 makes of it, against runs without it, must
grow. The second makes the runs of A8 and judges them.
"""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from medidd.data import NORMALIZATION
from medidd.machine.allocator import keep_memory
from pipelines.auditing.canaries import RUNS, planted
from pipelines.evaluation.recipients import recipients
from pipelines.learning.learn import learn
from pipelines.learning.recipe import Recipe, recipe
from pipelines.run.release_file import quantized
from pipelines.run.seeds import derived, generator
from privacy.attacks.canary import worst_case
from privacy.attacks.tracing import leanings
from privacy.evidence import Canaries, Evidence, Match
from privacy.policy import load_policy
from privacy.release import Films, Release

COPIES = (0, 1, 5, 50)


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--method", default="dm")
@click.option("--ipc", "ipcs", type=int, multiple=True, default=(1, 3, 10))
@click.option("--size", type=int, default=28)
@click.option("--width", type=int, default=16)
@click.option("--steps", type=int, default=100)
@click.option("--members", type=int, default=200)
@click.option("--controls", type=int, default=150)
@click.option("--without", type=int, default=16, help="Runs without the film to compare with.")
@click.option("--networks", type=int, default=20, help="Networks of A1.")
@click.option("--seed", type=int, default=0)
@click.option("--table", "tables", multiple=True, default=("copies", "audit"))
def main(data: Path, ipcs: tuple[int, ...], tables: tuple[str, ...], **options: Any) -> None:
    """Measures both."""
    torch.set_num_threads(1)
    keep_memory()
    inside, outside = sides(data, options)
    for ipc in ipcs:
        made = recipe(
            options["method"],
            start="noise",
            ipc=ipc,
            settings={},
            classes=1 + int(inside.labels.max()),
            size=options["size"],
            width=options["width"],
            steps=options["steps"],
        )
        click.echo(f"\n{options['method']}, {ipc} per class, {len(inside.ids)} members\n")
        for table in tables:
            for line in TABLES[table](made, inside, outside, options):
                click.echo(line)
            click.echo()


def sides(data: Path, options: Any) -> tuple[Films, Films]:
    """Returns members and controls, drawn by patient within each class."""
    with np.load(data) as held:
        pixels = torch.from_numpy(held["images"]).float().unsqueeze(1) / 255
        labels = torch.from_numpy(held["labels"].astype("int64"))
        films = Films(
            adaptive_avg_pool2d(pixels, options["size"]), labels, held["patient_ids"].tolist()
        )
    films = films.at(films.first.tolist())
    rng = generator(options["seed"], "sides")
    classes = 1 + int(films.labels.max())
    rows: tuple[list[int], list[int]] = ([], [])
    for label in range(classes):
        here = (films.labels == label).nonzero().flatten()
        drawn = here[torch.randperm(len(here), generator=rng)].tolist()
        most = options["members"] // classes
        rows[0].extend(drawn[:most])
        rows[1].extend(drawn[most : most + options["controls"] // classes])
    return films.at(rows[0]), films.at(rows[1])


def released(made: Recipe, films: Films, seed: int) -> Release:
    """Returns the release that the recipe makes of the films."""
    with TemporaryDirectory() as folder:
        steps = learn(
            made,
            films,
            stage="",
            seed=seed,
            device=torch.device("cpu"),
            checkpoint=Path(folder) / "checkpoint",
            log=Path(folder) / "log",
        )
        while True:
            try:
                next(steps)
            except StopIteration as end:
                found = quantized(end.value, {})
                return Release(found.display, found.labels)


def embeddings(made: Recipe, options: Any) -> list[Match]:
    """Returns what DM matches, under random networks."""

    def match(number: int) -> Match:
        network = made.networks["convnet"]
        theta = network.init(generator(options["seed"], "match", number))

        def psi(images: Tensor, _: Tensor) -> Tensor:
            return network.embed(theta, NORMALIZATION.standardize(images))

        return lambda _: psi

    return [match(number) for number in range(options["networks"])]


def known_answers(made: Recipe, inside: Films, outside: Films, options: Any) -> list[str]:
    """Returns how many spreads above runs without it a film scores that was planted k times.

    The film is the most atypical control's, as A8 plants it, and one with a pattern.
    """
    seed, matches = options["seed"], embeddings(made, options)
    canaries = planted(outside, made.classes, generator(seed, "canaries"))
    kinds = list(canaries.traits["canary"])
    chosen = canaries.at([kinds.index("mislabelled"), kinds.index("pattern")])
    others = outside.of(set(outside.ids) - set(chosen.ids))
    seen = inside.beside(others).beside(chosen)

    def scores(releases: list[Release]) -> Tensor:
        return leanings(matches, releases, seen)[:, -len(chosen) :]

    absent = scores(
        [released(made, inside, derived(seed, "without", n)) for n in range(options["without"])]
    )
    lines = ["| copies | z, mislabelled | z, pattern |", "|---|---|---|"]
    for copies in COPIES:
        found = []
        for which in range(len(chosen)):
            films = inside
            for number in range(copies):
                one = chosen.at([which])
                films = films.beside(Films(one.images, one.labels, [f"copy {number}"]))
            here = scores([released(made, films, derived(seed, "with", copies, which))])[0, which]
            found.append(float((here - absent[:, which].mean()) / absent[:, which].std()))
        lines.append(f"| {copies} | {found[0]:.2f} | {found[1]:.2f} |")
    return lines


def judged(made: Recipe, inside: Films, outside: Films, options: Any) -> list[str]:
    """Returns what A8 says."""
    seed = options["seed"]
    films = planted(outside, made.classes, generator(seed, "canaries"))
    included = torch.rand(RUNS, len(films.ids), generator=generator(seed, "canary coins")) < 0.5
    begun = time.process_time()
    releases = tuple(
        released(
            made,
            inside.beside(films.at(row.nonzero().flatten().tolist())),
            derived(seed, "canary run", number),
        )
        for number, row in enumerate(included)
    )
    spent = time.process_time() - begun
    finding = worst_case(
        Evidence(
            releases[0],
            inside,
            outside,
            matches=embeddings(made, options),
            fits=recipients(made, seed=seed, device=torch.device("cpu")),
            canaries=Canaries(films, included, releases),
        ),
        load_policy(),
        generator(seed, "audit"),
    )
    lines = [
        "| attack | R | bounds | caught in | caught out | epsilon at least |",
        "|" + "---|" * 6,
    ]
    for name, row in finding.details["attacks"].items():
        numbers = [row[key] for key in ("risk", "low", "high", "caught in", "caught out")]
        r, low, high, hits, alarms = (f"{number:.2f}" for number in numbers)
        at_least = f"{row['epsilon at least']:.2f} of {row['epsilon ceiling']:.2f}"
        lines.append(f"| {name} | {r} | {low} to {high} | {hits} | {alarms} | {at_least} |")
    return [*lines, "", f"{finding.verdict}; {RUNS} runs took {spent:.0f} s of one processor."]


TABLES = {"copies": known_answers, "audit": judged}


if __name__ == "__main__":
    main()
