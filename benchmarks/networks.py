r"""What it costs to train the networks of an evaluation at once, beside one after another.

    python -m benchmarks.networks --device cuda
    python -m benchmarks.networks --count 3 --steps 20 --threads 1

All are trained on the same few images, each from its own generator. Both ways take turns in one
process; numbers are medians, and in brackets stands how many times those of one after another they
are. Operators are counted on a CPU alone, where those that compute something stand for kernels.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import click
import torch

from benchmarks.counters import Kernels, on_gpu, wait
from medidd.architectures import ARCHITECTURES
from medidd.evaluate import RECIPIENT, train, train_together
from medidd.network import Weights

Way = Callable[[], list[Weights]]


@click.command()
@click.option("--count", type=click.IntRange(1), default=20, show_default=True, help="Networks.")
@click.option("--steps", type=click.IntRange(1), default=300, show_default=True)
@click.option("--images", type=click.IntRange(2), default=6, show_default=True, help="In the set.")
@click.option("--size", type=int, default=64, show_default=True)
@click.option("--width", type=int, default=128, show_default=True)
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=int, default=torch.get_num_threads(), show_default=True)
def main(
    count: int,
    steps: int,
    images: int,
    size: int,
    width: int,
    repeats: int,
    device: str,
    threads: int,
) -> None:
    """Measures both ways and prints them."""
    torch.set_num_threads(threads)
    on, how = torch.device(device), replace(RECIPIENT, steps=steps)
    f = ARCHITECTURES["convnet"](2, 1, size, width=width)
    x = torch.randn(images, 1, size, size, generator=torch.Generator().manual_seed(0)).to(on)
    y = torch.eye(2, device=on)[torch.arange(images, device=on) % 2]

    def rngs() -> list[torch.Generator]:
        return [torch.Generator().manual_seed(seed) for seed in range(count)]

    ways: dict[str, Way] = {
        "one after another": lambda: [train(f, x, y, how, rng) for rng in rngs()],
        "at once": lambda: train_together(f, [(x, y)] * count, how, rngs()),
    }
    kernels = {name: _kernels(way, on) for name, way in ways.items()}
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            costs[name].append(_seconds(way, on))
    click.echo(f"{count} networks of {steps} steps, {images} images of {size} px, width {width}")
    base = None
    for name, taken in costs.items():
        found = (*(median(part) for part in zip(*taken, strict=True)), kernels[name])
        base = base or found
        wall, process, many = (
            f"{value:.4g} ({value / of:.2f}x)" for value, of in zip(found, base, strict=True)
        )
        click.echo(f"{name}: {wall} seconds, {process} process seconds, {many} kernels")


def _kernels(way: Way, device: torch.device) -> int:
    if device.type == "cuda":
        return on_gpu(lambda: _done(way))[0]
    with Kernels() as counter:
        way()
    return counter.count


def _done(way: Way) -> None:
    way()


def _seconds(way: Way, device: torch.device) -> tuple[float, float]:
    """Returns the seconds on the wall and of all threads."""
    wait(device)
    wall, process = time.perf_counter(), time.process_time()
    way()
    wait(device)
    return time.perf_counter() - wall, time.process_time() - process


if __name__ == "__main__":
    main()
