"""How the cost of one outer step grows with what one asks for: a figure of small multiples.

    python -m benchmarks.growth --to docs/cost.png
    python -m benchmarks.growth --to cost.png --quick

Process seconds and peak memory over images per class, size, inner steps and real images per class,
one of them at a time, the others being those of ``BASE``; measured as in steps.py.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import click
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from benchmarks.measuring import Cost, Step, measured

INK, SOFT, LINE = "#1b2430", "#5b6775", "#d9dee5"

COLORS = {
    "dm": "#0b6bcb",
    "dc": "#c2571a",
    "idc": "#7a5aa6",
    "mtt": "#2f8f6b",
    "tesla": "#b03a5b",
    "dd": "#7a6a2f",
    "soft-label": "#5aa9e6",
    "rfad": INK,
    "moments": "#8a94a0",
}

BASE = {"size": 64, "ipc": 3, "batch": 64}

FEW = {"mtt": {"inner_steps": 10}, "moments": {"refined": 10}}
"""Inner steps where another number grows, for methods that have them; else the defaults."""

INNER: dict[str, Callable[[int], dict[str, int]]] = {
    "mtt": lambda n: {"inner_steps": n},
    "tesla": lambda n: {"inner_steps": n},
    "dd": lambda n: {"epochs": n},
    "soft-label": lambda n: {"horizon": n, "window": n},
    "dc": lambda n: {"net_epochs": n},
}
"""The fields that make a method take n steps on S for one update of it."""

OUTER = ("dm", "dc", "idc", "mtt", "rfad", "moments")


@dataclass(frozen=True)
class Axis:
    """What grows.

    Attributes:
        title: for people.
        values: its values.
        methods: which are measured.
        at: makes the step of a method at a value.
    """

    title: str
    values: tuple[int, ...]
    methods: tuple[str, ...]
    at: Callable[[str, int], Step]


def _grown(field: str) -> Callable[[str, int], Step]:
    return lambda method, n: replace(Step(method, **BASE, values=FEW.get(method)), **{field: n})


AXES = (
    Axis("images per class", (1, 3, 10, 50), OUTER, _grown("ipc")),
    Axis("size, pixels", (32, 64, 128, 224), OUTER, _grown("size")),
    Axis(
        "inner steps",
        (10, 50, 100, 200),
        tuple(INNER),
        lambda method, n: Step(method, **BASE, values=INNER[method](n)),
    ),
    Axis("real images per class", (16, 64, 256, 1024), OUTER, _grown("batch")),
)

Points = dict[str, list[tuple[int, Cost]]]


@click.command()
@click.option("--to", type=click.Path(path_type=Path), required=True, help="A PNG.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=int, default=torch.get_num_threads(), show_default=True)
@click.option("--repeats", type=click.IntRange(1), default=1, show_default=True)
@click.option("--width", type=int, default=32, show_default=True, help="Filters of the ConvNet.")
@click.option("--quick", is_flag=True, help="The two least values of each, at width 4.")
def main(to: Path, device: str, threads: int, repeats: int, width: int, quick: bool) -> None:
    """Measures each point, prints it, and draws them all."""
    found: list[Points] = []
    for axis in AXES:
        points: Points = {method: [] for method in axis.methods}
        for method in axis.methods:
            for value in axis.values[:2] if quick else axis.values:
                step = replace(axis.at(method, value), width=4 if quick else width)
                cost = _median(step, repeats, device=device, threads=threads)
                if cost is None:
                    click.echo(f"{method}, {axis.title} {value}: out of memory")
                    break
                points[method].append((value, cost))
                click.echo(
                    f"{method}, {axis.title} {value}: {cost.process_seconds:.3g} process seconds, "
                    f"{cost.peak / 2**20:.0f} MiB"
                )
        found.append(points)
    draw(found).savefig(to, dpi=150)


def _median(step: Step, repeats: int, *, device: str, threads: int) -> Cost | None:
    """Returns the cost in the middle by its process seconds; None if memory does not suffice."""
    costs = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            got = measured(step, "medidd", Path(folder), device=device, threads=threads)
        if isinstance(got, str):
            return None
        costs.append(got[0])
    middle = median(cost.process_seconds for cost in costs)
    return min(costs, key=lambda cost: abs(cost.process_seconds - middle))


def draw(found: list[Points]) -> Figure:
    """Returns the figure: a column for each axis, seconds above memory."""
    figure = Figure(figsize=(11, 5.6), layout="constrained")
    rows = figure.subplots(2, len(AXES), sharex="col", sharey="row")
    of: list[Callable[[Cost], float]] = [
        lambda cost: cost.process_seconds,
        lambda cost: max(cost.peak / 2**20, 1),
    ]
    for row, number in zip(rows, of, strict=True):
        for axes, axis, points in zip(row, AXES, found, strict=True):
            for method, line in points.items():
                x, y = [value for value, _ in line], [number(cost) for _, cost in line]
                axes.plot(x, y, color=COLORS[method], label=method, marker="o", markersize=3.5)
            quiet(axes, axis.values)
    for axes, axis in zip(rows[1], AXES, strict=True):
        axes.set_xlabel(axis.title, color=INK)
    for row, title in zip(rows, ("process seconds", "peak memory, MiB"), strict=True):
        row[0].set_ylabel(title, color=INK)
    drawn = {line.get_label(): line for axes in rows[0] for line in axes.lines}
    lines = [drawn[method] for method in COLORS if method in drawn]
    figure.legend(handles=lines, loc="outside upper center", ncols=len(lines), frameon=False)
    return figure


def quiet(axes: Axes, values: tuple[int, ...]) -> None:
    """Gives both axes a logarithmic scale, plain numbers, and few lines."""
    axes.set(xscale="log", yscale="log", xlim=(values[0] / 1.3, values[-1] * 1.3))
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.yaxis.set_major_locator(LogLocator(10))
    for side in (axes.xaxis, axes.yaxis):
        side.set_minor_locator(NullLocator())
        side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(colors=SOFT, length=0)
    axes.grid(color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


if __name__ == "__main__":
    main()
