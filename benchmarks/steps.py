r"""What one outer step of every method costs, beside its textbook form, as a table.

    python -m benchmarks.steps --to steps.md
    python -m benchmarks.steps --row dm-64 --row mtt-64 --threads 1 --repeats 5

Run it in the root of the repository; torch, torchvision and click are enough, and monai for
minimax. Each row is measured in three forms that take turns, each time in a process of its own:
medidd with the allocator of its command line, the textbook form (benchmarks/textbook), and the
textbook form with that allocator too. Numbers are medians; in brackets stands how many times those
of medidd they are. The last column is the greatest difference between the gradients, relative to
the largest entry.
"""

import contextlib
import datetime
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import click
import torch

from benchmarks.measuring import FORMS, Cost, Gradients, Step, measured
from medidd.fields import fields
from medidd.machine.precision import PRECISIONS
from medidd.methods import METHODS

DIGITS = {"size": 32, "channels": 3, "classes": 10}
"""The shape of CIFAR-10."""

SHORT, LONG = {"inner_steps": 20}, {"inner_steps": 50}

ROWS = {
    "dm-64": Step("dm"),
    "dm-32": Step("dm", **DIGITS, ipc=10),
    "dm-128": Step("dm", 128),
    "dc-64": Step("dc"),
    "dc-32": Step("dc", **DIGITS, ipc=10),
    "dsa-64": Step("dsa"),
    "mtt-64": Step("mtt", values=LONG),
    "mtt-32": Step("mtt", **DIGITS, ipc=1, values=SHORT),
    "mtt-128": Step("mtt", 128, values=SHORT),
    "tesla-64": Step("tesla", values=SHORT),
    "idc-64": Step("idc"),
    "idc-32": Step("idc", **DIGITS, ipc=1),
    "dd-64": Step("dd"),
    "soft-label-64": Step("soft-label"),
    "kip-64": Step("kip"),
    "label-solve-64": Step("label-solve"),
    "rfad-64": Step("rfad"),
    "frepo-64": Step("frepo", values={"pool": 10, "online": 10}),
    "minimax-64": Step("minimax", values={"memory": 8}),
    "moments-64": Step("moments", values={"refined": 10}),
    "class-mean-64": Step("class-mean"),
    "dm-224": Step("dm", 224),
    "dc-224": Step("dc", 224),
    "dsa-224": Step("dsa", 224),
    "mtt-224": Step("mtt", 224, values=SHORT),
    "tesla-224": Step("tesla", 224, values=SHORT),
    "idc-224": Step("idc", 224),
}
QUICK = {
    "inner_steps": 3,
    "horizon": 4,
    "window": 3,
    "epochs": 3,
    "online": 3,
    "refined": 2,
    "memory": 2,
}

HEAD = ("step", "form", "seconds", "process seconds", "kernels", "peak MiB", "GPU busy", "differs")


@click.command()
@click.option(
    "--row", "names", multiple=True, type=click.Choice(list(ROWS)), help="By default all."
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@click.option("--threads", type=int, default=torch.get_num_threads(), show_default=True)
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True)
@click.option("--width", type=int, default=128, show_default=True, help="Filters of the ConvNet.")
@click.option("--batch", type=int, default=256, show_default=True, help="Real images per class.")
@click.option("--precision", type=click.Choice(PRECISIONS), default="float32", show_default=True)
@click.option("--quick", is_flag=True, help="Tiny shapes, to see that it runs.")
@click.option("--to", type=click.Path(path_type=Path), help="Where the table is written as well.")
def main(
    names: tuple[str, ...],
    device: str,
    threads: int,
    repeats: int,
    width: int,
    batch: int,
    precision: str,
    quick: bool,
    to: Path | None,
) -> None:
    """Measures each row and prints it."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"

    def said(line: str) -> None:
        click.echo(line)
        if to is not None:
            with to.open("a") as file:
                file.write(line + "\n")

    if quick:
        width, batch = 4, 4
    said(f"{datetime.date.today()}, torch {torch.__version__}, {_processor(device)},")
    said(f"threads {threads}, {precision}, width {width}, batch {batch}, median of {repeats}\n")
    said(_line(HEAD))
    said(_line(["---"] * len(HEAD)))
    for name in names or ROWS:
        step = replace(ROWS[name], width=width, batch=batch)
        step = _tiny(step) if quick else step
        how = {"device": device, "threads": threads, "precision": precision}
        for line in _row(step, repeats, how):
            said(line)


def _row(step: Step, repeats: int, how: Mapping[str, Any]) -> list[str]:
    """Returns the lines of one step, one for each form."""
    costs: dict[str, list[Cost]] = {form: [] for form in FORMS}
    gradients: dict[str, Gradients] = {}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(repeats):
            for form in FORMS:
                if form in failed:
                    continue
                found = measured(step, form, Path(folder), **how)
                if isinstance(found, str):
                    failed[form] = found
                else:
                    costs[form].append(found[0])
                    gradients[form] = found[1]
    lines = []
    for form in FORMS:
        cells = [failed[form]] if form in failed else _cells(costs[form], costs[FORMS[0]])
        cells += [""] * (len(HEAD) - 3 - len(cells))
        both = form in gradients and FORMS[0] in gradients and form != FORMS[0]
        off = f"{_differ(gradients[FORMS[0]], gradients[form]):.0e}" if both else ""
        lines.append(_line([_named(step) if form == FORMS[0] else "", form, *cells, off]))
    return lines


def _cells(costs: list[Cost], ours: list[Cost]) -> list[str]:
    """Returns the medians of one form, and how many times those of medidd they are."""
    busy = [cost.busy for cost in costs if cost.busy is not None]
    of: list[tuple[Callable[[Cost], float], str]] = [
        (lambda cost: cost.seconds, ".3g"),
        (lambda cost: cost.process_seconds, ".3g"),
        (lambda cost: cost.kernels, ".0f"),
        (lambda cost: cost.peak / 2**20, ".0f"),
    ]
    cells = []
    for number, form in of:
        value = median(map(number, costs))
        base = median(map(number, ours)) if ours and ours is not costs else 0
        cells.append(f"{value:{form}}" + (f" ({value / base:.2f}x)" if base else ""))
    return [*cells, f"{median(busy):.0%}" if busy else ""]


def _differ(ours: Gradients, theirs: Gradients) -> float:
    """Returns the greatest difference of any gradient, relative to its largest entry."""
    pairs = [
        (one[name], other[name]) for one, other in zip(ours, theirs, strict=True) for name in one
    ]
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1e-30)) for a, b in pairs)


def _named(step: Step) -> str:
    told = "".join(f", {name} {value}" for name, value in (step.values or {}).items())
    shape = f"{step.channels}x{step.size}x{step.size}"
    return f"{step.method} {shape}, {step.classes} classes, ipc {step.ipc}{told}"


def _tiny(step: Step) -> Step:
    known = fields(METHODS[step.method])
    values = {name: value for name, value in QUICK.items() if name in known}
    few = {"classes": min(step.classes, 3), "ipc": min(step.ipc, 2)}
    return replace(step, size=16, **few, values=values)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _processor(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
