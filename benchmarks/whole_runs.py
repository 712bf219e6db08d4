"""What a whole run costs over images per class and size: minimax beside mtt and dm. A figure.

    python -m benchmarks.whole_runs --to docs/cost-of-runs.png

Process seconds of one thread with the methods' own defaults: what is trained beforehand (ten
experts of 20 epochs for mtt; the denoiser of the preset for two cores), all updates, and drawing
images. Each is measured on noise from a few updates and multiplied, as ``medidd plan`` does.
"""

import time
from pathlib import Path

import click
import torch
from matplotlib.figure import Figure

from benchmarks.growth import INK, quiet
from medidd.machine.allocator import keep_memory
from pipelines.learning.step_time import noise, seconds_per_step
from pipelines.planning.study import Study
from pipelines.planning.trial import beforehand

COLORS = {"dm": "#0b6bcb", "mtt": "#2f8f6b", "minimax": "#c2571a"}
IPCS, SIZES = (1, 3, 10, 50), (32, 64, 128)
FILMS = 400
"""Films of the largest class."""


@click.command()
@click.option("--to", type=click.Path(path_type=Path), required=True, help="A PNG.")
@click.option("--ipc", "ipcs", type=int, multiple=True, default=IPCS)
@click.option("--size", "sizes", type=int, multiple=True, default=SIZES)
def main(to: Path, ipcs: tuple[int, ...], sizes: tuple[int, ...]) -> None:
    """Measures each point, prints it, and draws them all."""
    torch.set_num_threads(1)
    keep_memory()
    found: dict[tuple[str, int, int], float] = {}
    for size in sizes:
        trained: dict[str, float] = {}
        for method in COLORS:
            for ipc in ipcs:
                if size != sizes[0] and ipc != 3 and len(ipcs) > 1:
                    continue  # the figure has one line over ipc, one over size
                cost = seconds(method, ipc, size, trained)
                found[method, ipc, size] = cost
                click.echo(f"{method}, ipc {ipc}, {size} px: {cost:.0f} process seconds")
    draw(found, ipcs, sizes).savefig(to, dpi=150)


def seconds(method: str, ipc: int, size: int, trained: dict[str, float]) -> float:
    """Returns the process seconds of a run; what is trained beforehand is measured once."""
    (frozen,) = Study((ipc,), methods=(method,), size=size, device="cpu").kinds()
    recipe, clock = frozen.recipe(2), time.process_time
    if method not in trained:
        pieces = 10 if method == "mtt" else 1
        trained[method] = pieces * beforehand(frozen, recipe, FILMS, clock)
    step = seconds_per_step(recipe, FILMS, size, frozen.device, clock)
    images, labels = noise(2, max(2 * ipc, 4), size, frozen.device)
    synthetic = recipe.begun(images, labels, torch.Generator())
    begun = clock()
    if method == "minimax":
        recipe.method.decode(synthetic)
    return trained[method] + recipe.steps * step + clock() - begun


def draw(
    found: dict[tuple[str, int, int], float], ipcs: tuple[int, ...], sizes: tuple[int, ...]
) -> Figure:
    """Returns the figure: over images per class at the least size, and over size at ipc 3."""
    figure = Figure(figsize=(7.5, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for method, color in COLORS.items():
        over_ipc = [found[method, ipc, sizes[0]] for ipc in ipcs]
        left.plot(ipcs, over_ipc, color=color, label=method, marker="o", markersize=3.5)
        over_size = [found[method, 3, size] for size in sizes]
        right.plot(sizes, over_size, color=color, marker="o", markersize=3.5)
    quiet(left, ipcs)
    quiet(right, sizes)
    left.set_xlabel(f"images per class, {sizes[0]} px", color=INK)
    right.set_xlabel("size, pixels, 3 images per class", color=INK)
    left.set_ylabel("process seconds of a run", color=INK)
    figure.legend(loc="outside upper center", ncols=len(COLORS), frameon=False)
    return figure


if __name__ == "__main__":
    main()
