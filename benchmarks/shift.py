"""Whether films unlike the distilled ones are noticed: the limits, and how often they are right.

    python benchmarks/shift_sets.py --shared ../shared/data --to releases
    python benchmarks/shift.py --shared ../shared/data --releases releases --part choose
    python benchmarks/shift.py --shared ../shared/data --releases releases --part report

"choose" prints the limits of ``pipelines/models/shift.py``: for releases of Kermany of seed 0 at
64 px and one half of the patients of fold 0. "report" prints shares of single films and of sets
beyond the limits for everything else: the other half of these patients with the other releases of
Kermany, and the releases of NIH and of the drawn films with their own patients of fold 0. Sets are
drawn without replacement; a column is empty where there are too few films.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from shift_kinds import CHANGES, MILD, pictures, zoo
from shift_sets import RELEASES, Asked, read, rows, women
from torch import Tensor

from pipelines.models.coarse import Floats, cells_of, class_means, measures, telling
from pipelines.models.shift import LIMITS, Limit, distances
from privacy.release import Films

COUNTS = (1, 5, 20, 100)
"""Films in a set."""

DRAWS = 200
MOST = 600
"""Films of another hospital at most."""

FALSE_ALARMS = {1: 0.02, 5: 0.01, 20: 0.01, 100: 0.01}
"""Share of right films and sets that may exceed any limit."""

SHARES = {"layout": 0.6, "turn": 0.1, "brightness": 0.1, "contrast": 0.1}
"""Share of the false alarms that each limit may cause; contrast has two limits."""

MANY = 10**9

FLOOR = {"layout": 0.02, "turn": 0.005, "brightness": 0.05, "contrast": 0.1}
"""Limits for very many films are at least these, because hospitals differ more than one does from
itself: a tenth of contrast, a twentieth of brightness."""


@click.command()
@click.option("--shared", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--releases", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--part", type=click.Choice(["choose", "report"]), required=True)
@click.option("--source", "sources", multiple=True, default=("kermany", "nih", "drawn"))
def main(shared: Path, releases: Path, part: str, sources: tuple[str, ...]) -> None:
    """Prints the limits, or the tables in Markdown."""
    torch.set_num_threads(1)
    there = [asked for asked in RELEASES if (releases / f"{asked.name}.npz").exists()]
    if part == "choose":
        for limit in chosen([asked for asked in there if chooses(asked)], shared, releases):
            click.echo(f"    {limit!r},")
        return
    for source in sources:
        mine = [asked for asked in there if asked.source == source and not chooses(asked)]
        for line in table(mine, shared, releases):
            click.echo(line)


def chooses(asked: Asked) -> bool:
    """Returns whether limits are chosen with this release."""
    return asked.source == "kermany" and asked.seed == 0 and asked.size == 64


def opened(asked: Asked, releases: Path) -> tuple[Floats, bool, bool]:
    """Returns the cells of the classes' means, and what the images tell."""
    with np.load(releases / f"{asked.name}.npz") as held:
        images, labels = torch.from_numpy(held["images"]), torch.from_numpy(held["labels"])
    means = class_means(images, labels)
    return means, *telling(images, means)


def held_out(source: str, shared: Path, size: int, half: int) -> Films:
    """Returns the films of fold 0; of Kermany those of one half of its patients."""
    films, fold = read(source, shared, size)
    films = rows(films, fold == 0)
    if source != "kermany":
        return films
    ids = np.random.default_rng(0).permutation(sorted(films.ids))[half::2]
    return rows(films, np.isin(films.patients, ids))


def right(films: Films) -> dict[str, Tensor]:
    """Returns films that are like the members', by what is mildly different about them."""
    found = {name: change(films.images) for name, change in MILD.items()}
    for label in (0, 1):
        found[f"class {label} only"] = films.images[films.labels == label]
    return found


def wrong(source: str, films: Films, shared: Path, size: int) -> dict[str, Tensor]:
    """Returns films that are not, by what is different."""
    found = {name: change(films.images) for name, change in CHANGES.items()}
    for other in ("kermany", "nih", "covid", "drawn"):
        if other != source:
            images = read(other, shared, size)[0].images
            some = np.random.default_rng(0).permutation(len(images))[:MOST]
            found[f"films of {other}"] = images[some]
    return found | pictures(shared, size)


def sets_of(cells: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Returns the mean cells of sets of films, (DRAWS, 8, 8), or each film if ``count`` is 1."""
    if count == 1:
        return cells
    drawn = [rng.choice(len(cells), count, replace=False) for _ in range(DRAWS)]
    return np.stack([cells[chosen].mean(0) for chosen in drawn])


def chosen(there: list[Asked], shared: Path, releases: Path) -> Iterator[Limit]:
    """Yields the least limits that keep the false alarms of every kind, and of all limits.

    They are shared among the limits as ``SHARES`` says, and counted over all releases together.
    """
    films = right(held_out("kermany", shared, 64, 0))
    found: dict[tuple[str, int], list[dict[str, Floats]]] = defaultdict(list)
    for asked in there:
        means, _, intensity = opened(asked, releases)
        for name, images in films.items():
            rng, cells = np.random.default_rng(asked.ipc), cells_of(images)
            for count in (n for n in COUNTS if n <= len(cells)):
                one = measures(sets_of(cells, count, rng), means)
                kept = SHARES if intensity else ("layout", "turn")
                found[name, count].append({measure: one[measure] for measure in kept})
    for limit in LIMITS:
        least = {MANY: FLOOR[limit.measure]}
        for (_, count), parts in found.items():
            told = [part[limit.measure] for part in parts if limit.measure in part]
            share = SHARES[limit.measure] * FALSE_ALARMS[count]
            at = float(np.quantile(limit.sign * np.concatenate(told), 1 - share))
            least[count] = max(least.get(count, FLOOR[limit.measure]), at)
        always, film = line(least, limit.power)
        yield Limit(limit.measure, always, film, limit.power, limit.sign)


def line(least: dict[int, float], power: float) -> tuple[float, float]:
    """Returns the lowest a, b >= 0 with a + b n^-power at least ``least`` for every n."""
    best = (max(least.values()), 0.0)
    for one in least:
        for other in least:
            if one < other:
                slope = (least[one] - least[other]) / (one**-power - other**-power)
                a, b = least[other] - slope * other**-power, slope
                above = all(a + b * n**-power >= at - 1e-9 for n, at in least.items())
                if (
                    min(a, b) >= 0
                    and above
                    and _sum(a, b, least, power) < _sum(*best, least, power)
                ):
                    best = a, b
    return round(best[0] + 5e-4, 3), round(best[1] + 5e-4, 3)


def _sum(a: float, b: float, least: dict[int, float], power: float) -> float:
    return sum((a + b * n**-power) / at for n, at in least.items())


def table(there: list[Asked], shared: Path, releases: Path) -> Iterator[str]:
    """Yields the shares beyond the limits, by kind; columns by what the images tell."""
    shares: dict[str, dict[tuple[bool, int], list[float]]] = {}
    for size in sorted({asked.size for asked in there}):
        films = held_out(there[0].source, shared, size, 1)
        kinds = right(films) | also_right(there[0].source, films, shared, size)
        kinds |= wrong(there[0].source, films, shared, size)
        kinds |= dict(zoo(shared, size))
        cells = {name: cells_of(images) for name, images in kinds.items() if len(images)}
        for asked in (one for one in there if one.size == size):
            means, _, intensity = opened(asked, releases)
            for name, one in cells.items():
                row = shares.setdefault(name, defaultdict(list))
                for count in (n for n in COUNTS if n <= len(one)):
                    drawn = sets_of(one, count, np.random.default_rng(asked.seed))
                    beyond = distances(drawn, means, count, intensity) > 1
                    row[intensity, count].append(float(beyond.mean()))
    yield f"\n{there[0].source}: {', '.join(asked.name for asked in there)}\n"
    columns = [(tells, count) for tells in (True, False) for count in COUNTS]
    heads = [f"{'all' if tells else 'layout'}, {count}" for tells, count in columns]
    yield f"| films | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}"
    for name, row in shares.items():
        given = [row.get(column) for column in columns]
        yield f"| {name} | {' | '.join(_percent(values) for values in given)} |"


def also_right(source: str, films: Films, shared: Path, size: int) -> dict[str, Tensor]:
    """Returns other films of the same hospital: of NIH other findings, drawn women or men only."""
    if source == "nih":
        others, _ = read("nih1000", shared, size)
        known = set(read("nih", shared, size)[0].patients)
        strange = np.array([patient not in known for patient in others.patients])
        return {"other findings, other patients": rows(others, strange).images}
    if source == "drawn":
        are: NDArray[np.bool_] = np.isin(films.patients, [*women()])
        return {
            "women only": rows(films, are).images,
            "men only": rows(films, ~are).images,
        }
    return {}


def _percent(values: list[float] | None) -> str:
    return "" if not values else f"{100 * np.mean(values):.1f}"


if __name__ == "__main__":
    main()
