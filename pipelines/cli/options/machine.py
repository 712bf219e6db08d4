"""Options about the computer, the processes that share the work, and the seed.

Nothing heavy is imported here, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import rich_click as click

from pipelines.cli.options.groups import MACHINE, METHOD, RUN
from pipelines.cli.options.shared import options

Command = TypeVar("Command", bound=Callable[..., Any])

seed = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of everything that is random.",
    panel=RUN,
)

_device = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to compute. auto takes a GPU if there is one.",
    panel=MACHINE,
)

_width = click.option(
    "--width",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    help="Filters per block of the ConvNet.",
    panel=METHOD,
)

_threads = click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="CPU threads. Small networks gain little from more than one.",
    panel=MACHINE,
)

_precision = click.option(
    "--precision",
    type=click.Choice(["float32", "tf32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Precision of convolutions. tf32 is faster on a GPU; bfloat16 on a GPU, and on a CPU with "
    "AMX.",
    panel=MACHINE,
)


def shared(_: click.Context, __: click.Parameter, text: object) -> Any:
    """Returns who shares the work; see ``pipelines.workers.choice``."""
    from pipelines.workers.choice import workers

    try:
        return workers(str(text))
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


workers = click.option(
    "--workers",
    callback=shared,
    default="2",
    show_default=True,
    metavar="N|local|ray",
    help="Processes that share the work. local is one per processor; ray is the cluster of "
    "RAY_ADDRESS, or a new one of this computer; ray://HOST:PORT is another cluster.",
    panel=MACHINE,
)

machine = options(_device, _threads)
processing = options(_device, _width, _threads, _precision)
computing = options(seed, processing)
alone = options(seed, _device, _threads, _precision)
"""For a command that trains no ConvNet."""


NETWORKS = ("convnet", "mlp", "lenet", "alexnet", "vgg11", "resnet18", "densenet121")
"""Architectures that a user can name."""


def network(default: str) -> Callable[[Command], Command]:
    """Returns the option that names an architecture."""
    return click.option(
        "--network",
        type=click.Choice(NETWORKS),
        default=default,
        show_default=True,
        help="Architecture of the networks.",
        panel=METHOD,
    )


def _networks(_: click.Context, __: click.Parameter, text: str | None) -> tuple[str, ...]:
    """Reads names of architectures, parted by commas; each counts once."""
    names = (text or "").lower().replace(" ", "").split(",")
    chosen = tuple(dict.fromkeys(name for name in names if name))
    if unknown := [name for name in chosen if name not in NETWORKS]:
        raise click.BadParameter(
            f"unknown network '{unknown[0]}'; there are: {', '.join(NETWORKS)}."
        )
    return chosen


networks = click.option(
    "--network",
    "networks",
    callback=_networks,
    metavar="NETWORK,...",
    help=f"Architectures of the networks: {', '.join(NETWORKS)}. Default: resnet18; with "
    "--ranking, convnet.",
    panel=METHOD,
)
