"""Whether the sender's own films look like images that noise has drawn towards gray.

    python benchmarks/shift_sets.py --shared ../shared/data --to releases
    python benchmarks/shift_few.py --shared ../shared/data --releases releases --part choose
    python benchmarks/shift_few.py --shared ../shared/data --releases releases --part report

Releases of ``moments`` at epsilon 2 from few patients and from many, with several values of
``NOISY`` in ``pipelines/models/shift.py``; 1 is what releases without a guarantee get. "choose" is
about Kermany and one half of the patients of fold 0; "report" about the other half, NIH and drawn
films. Layout and turn are judged as always, so that some sets of wrong films are found by these.
"""

from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import torch
from shift import held_out, opened, right, sets_of
from shift_kinds import CHANGES
from shift_sets import FEW, RELEASES, Asked

from pipelines.models.coarse import Floats, cells_of
from pipelines.models.shift import distances

COUNTS = (20, 100)
"""Films in a set; the row ends with all films there are as one set."""

SIZE = 64


@click.command()
@click.option("--shared", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--releases", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--part", type=click.Choice(["choose", "report"]), required=True)
@click.option("--source", "sources", multiple=True, default=("kermany", "nih", "drawn"))
@click.option("--most", multiple=True, type=float, default=(1, 1.5, 2, 3))
def main(
    shared: Path, releases: Path, part: str, sources: tuple[str, ...], most: tuple[float, ...]
) -> None:
    """Prints the tables in Markdown."""
    torch.set_num_threads(1)
    for source in ("kermany",) if part == "choose" else sources:
        films = held_out(source, shared, SIZE, int(part == "report"))
        kinds = right(films) | {name: change(films.images) for name, change in CHANGES.items()}
        cells = {name: cells_of(images) for name, images in kinds.items()}
        for line in table(source, cells, releases, most):
            click.echo(line)


def groups(source: str, releases: Path) -> dict[str, list[Asked]]:
    """Returns the releases that tell intensities, by how many patients they are of."""
    found: dict[str, list[Asked]] = {"few": [], "many": []}
    for asked in (*RELEASES, *FEW):
        fits = asked.source == source and asked.size == SIZE and asked.method == "moments"
        if fits and asked.epsilon and (releases / f"{asked.name}.npz").exists():
            few = asked.patients or source != "kermany"
            if opened(asked, releases)[2]:
                found["few" if few else "many"].append(asked)
    return {group: there for group, there in found.items() if there}


def table(
    source: str, cells: dict[str, Floats], releases: Path, most: tuple[float, ...]
) -> Iterator[str]:
    """Yields the percent of sets beyond the limits, by kind; columns by group and ``most``."""
    there = groups(source, releases)
    for group, asked in there.items():
        yield f"\n{source}, {group}: {', '.join(one.name for one in asked)}"
    heads = [f"{group}, {by:g}" for group in there for by in most]
    yield f"\n| films | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}"
    for name, films in cells.items():
        row = [said(films, asked, releases, by) for asked in there.values() for by in most]
        yield f"| {name} | {' | '.join(row)} |"


def said(films: Floats, there: list[Asked], releases: Path, most: float) -> str:
    """Returns the mean shares over releases, in percent, of sets of each size."""
    parts = []
    for count in (*(n for n in COUNTS if n <= len(films)), len(films)):
        shares = []
        for asked in there:
            means, _, intensity = opened(asked, releases)
            whole = films.mean(0, keepdims=True)
            rng = np.random.default_rng(asked.seed)
            drawn = whole if count == len(films) else sets_of(films, count, rng)
            shares.append((distances(drawn, means, count, intensity, most) > 1).mean())
        percent = 100 * float(np.mean(shares))
        parts.append(f"{percent:.0f}" if percent >= 10 else f"{percent:.2g}")
    return " / ".join(parts)


if __name__ == "__main__":
    main()
