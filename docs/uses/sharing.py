"""Sharing between sites: three hospitals distil and export, a collaborator trains on the union.

    python docs/uses/sharing.py --kermany kermany_pneumonia_128_dev.npz \
        --nih nih_pneumonia_224_dev.npz --work WORK --step sites
    python docs/uses/sharing.py --work WORK --step bundles      # through the command line, once
    python docs/uses/sharing.py --work WORK --step comparison   # every row, folds 0 to 2
    python docs/uses/sharing.py --work WORK --step table

Without ``--step`` all four. Work that is done is not repeated. docs/uses/sharing.md is about it.
Each ``.npz`` holds ``images`` (n, H, W) uint8, ``labels`` (0 and 1) and ``patient_ids``.
"""

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import torch
from sharing_comparison import PARTS, Fold, Rows
from sharing_releases import Scale
from sharing_sites import FOLDS, SITES, Site, left_over, shared_out, write_studies

from medidd.machine.allocator import keep_memory
from pipelines.run.films import open_cohort
from pipelines.run.patients import films_of
from pipelines.run.store import Run

ROOT = Path(__file__).parents[2]

STEPS = ("sites", "bundles", "comparison", "table")

QUICK = Scale(
    size=16,
    width=4,
    ipc=2,
    steps=4,
    film_steps=8,
    rounds=2,
    settings={"moments": {"refined": 2}, "rfad": {"steps": 3, "batch": 8}},
)
"""Tiny sizes: whether everything works, and nothing about how well."""


@click.command()
@click.option("--kermany", type=click.Path(exists=True, path_type=Path), help="Sites A and B.")
@click.option("--nih", type=click.Path(exists=True, path_type=Path), help="Site C.")
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder for all.")
@click.option("--step", "steps", type=click.Choice(STEPS), multiple=True, default=STEPS)
@click.option("--seed", "seeds", type=click.IntRange(0, len(FOLDS) - 1), multiple=True)
@click.option("--ipc", type=click.IntRange(1), default=3, show_default=True)
@click.option("--size", type=click.IntRange(16, 256), default=64, show_default=True)
@click.option("--width", type=click.IntRange(1), default=16, show_default=True)
@click.option("--quick", is_flag=True, help="Tiny sizes, to see whether everything works.")
def main(work: Path, steps: tuple[str, ...], **options: Any) -> None:
    """Runs the steps."""
    torch.set_num_threads(1)
    keep_memory()
    given = {name: options[name] for name in ("ipc", "size", "width")}
    scale = QUICK if options["quick"] else Scale(**given)
    seeds = options["seeds"] or tuple(range(len(FOLDS)))
    if "sites" in steps:
        sites(work, options["kermany"], options["nih"], scale)
    if "bundles" in steps:
        for site in SITES:
            bundle(work, site, scale)
        collaborate(work, scale)
    results = work / f"results-{scale.size}-ipc{scale.ipc}.jsonl"
    if "comparison" in steps:
        for seed in seeds:
            compare(work, seed, scale, results)
    if "table" in steps:
        for line in table([json.loads(line) for line in results.read_text().splitlines()]):
            click.echo(line)


def sites(work: Path, kermany: Path | None, nih: Path | None, scale: Scale) -> None:
    """Writes each site's studies and reads them with ``medidd ingest``."""
    if kermany is None or nih is None:
        raise click.ClickException("--step sites needs films: name --kermany and --nih")
    small = (6, 4) if scale is QUICK else (300, 200)
    held = shared_out(np.load(kermany), np.load(nih), small)
    for site in SITES:
        folder, mine = work / site.name, held[site.name]
        to = folder / f"films-{scale.size}"
        if to.exists():
            continue
        with TemporaryDirectory() as empty:
            moved = left_over(site.device, mine.images[:30], Path(empty), scale.size)
        click.echo(f"{site.name}: moved by {moved[0]:.4f} as stored, {moved[1]:.4f} as read")
        if not (folder / "labels.csv").exists():
            write_studies(site, mine, folder)
        medidd(site.name, work, "ingest", *_films_of(site, work, scale), "--out", to)


def bundle(work: Path, site: Site, scale: Scale) -> None:
    """Makes a site's bundle as the site would: distil, audit, export, verify."""
    folder = work / site.name
    run, to = folder / f"run-{scale.size}", folder / f"bundle-{scale.size}"
    if to.exists():
        return
    distilled = [*_films_of(site, work, scale), "--ipc", scale.ipc, "--width", scale.width]
    for name, by in scale.settings.get("moments", {}).items():
        distilled += ["--set", f"{name}={by}"]
    guarantee = ["--patients", site.patients]
    medidd(site.name, work, "distill", *distilled, *guarantee, "--seed", 0, "--out", run)
    medidd(site.name, work, "audit", run)
    medidd(site.name, work, "export", run, "--to", to)
    medidd(site.name, work, "verify", to)


def _films_of(site: Site, work: Path, scale: Scale) -> list[object]:
    studies, labels = (work / site.name / name for name in ("studies", "labels.csv"))
    return ["--dicom-dir", studies, "--labels", labels, "--size", scale.size]


def medidd(who: str, work: Path, *arguments: object) -> None:
    """Runs a command of somebody who has an installation of their own.

    Raises:
        ClickException: the command failed.
    """
    words = [str(word) for word in arguments]
    click.echo(f"{who}$ medidd {' '.join(words)}")
    surroundings = {
        "MEDIDD_HOME": str((work / who / "home").resolve()),
        "PYTHONPATH": str(ROOT),
    }
    ran = subprocess.run(
        [sys.executable, "-m", "pipelines.cli.main", *words], env=os.environ | surroundings
    )
    if ran.returncode:
        raise click.ClickException(f"medidd {words[0]} ended with code {ran.returncode}; see above")


def collaborate(work: Path, scale: Scale) -> None:
    """Trains on the union of the bundles; then each site tests the model on films it held out."""
    bundles = [work / site.name / f"bundle-{scale.size}" for site in SITES]
    model = work / f"model-{scale.size}"
    if not model.exists():
        medidd("collaborator", work, "train", *bundles, "--out", model)
    for site in SITES:
        studies, labels = (work / site.name / name for name in ("studies", "labels.csv"))
        to = work / site.name / f"test-{scale.size}"
        if not to.exists():
            films = ["--dicom-dir", studies, "--labels", labels]
            medidd(site.name, work, "test", model, *films, "--out", to)


def opened(work: Path, seed: int, scale: Scale) -> Fold:
    """Returns the films of all sites, as medidd read them, with one fold held out."""
    learned, judged = {}, {}
    for site in SITES:
        cohort = open_cohort(Run(work / site.name / f"films-{scale.size}"))
        out = cohort.splits == FOLDS[seed]
        learned[site.name] = films_of(cohort, np.flatnonzero(~out).tolist())
        judged[site.name] = films_of(cohort, np.flatnonzero(out).tolist())
    return Fold(learned, judged, seed)


def compare(work: Path, seed: int, scale: Scale, to: Path) -> None:
    """Adds the rows of a fold to a file, but for parts that are there."""
    lines = to.read_text().splitlines() if to.exists() else []
    known = {(one["seed"], one["part"]) for one in map(json.loads, lines)}
    fold = opened(work, seed, scale)
    for part in PARTS:
        if (seed, part) in known:
            continue
        made = [{"part": part, **line} for line in Rows(fold, scale).lines(part)]
        with to.open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in made)
        click.echo(f"fold {seed}: {part}")


def table(lines: list[dict[str, Any]]) -> Iterator[str]:
    """Yields a table: mean over folds, and the mean ends of the intervals, at each site.

    Process seconds of networks that are made together stand at the first of their rows.
    """
    groups = defaultdict(lambda: defaultdict(list))
    for line in lines:
        groups[line["row"]][line["site"]].append(line)
    yield f"| row | {' | '.join(site.name for site in SITES)} | mean | folds | process seconds |"
    yield "|---|---|---|---|---|---|---|"
    for row, by_site in groups.items():
        found = [np.mean([one["auc"] for one in by_site[site.name]], axis=0) for site in SITES]
        cells = [f"{mean:.3f} ({low:.3f} to {high:.3f})" for mean, low, high in found]
        some = next(iter(by_site.values()))
        seconds = np.mean([one["seconds"] for one in some])
        overall = np.mean([one[0] for one in found])
        yield f"| {row} | {' | '.join(cells)} | {overall:.3f} | {len(some)} | {seconds:.0f} |"


if __name__ == "__main__":
    main()
