"""The commands that train what methods need beforehand: options only, no logic.

Everything heavy is imported inside the commands, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

from typing import Any

import rich_click as click

from pipelines.cli.options.films import films
from pipelines.cli.options.groups import METHOD, RUN, grouped
from pipelines.cli.options.guarantee import guaranteed
from pipelines.cli.options.machine import alone, computing, network, workers
from pipelines.cli.options.shared import ANY_PATH, FILE, as_json, config, finite, resume
from pipelines.cli.show import followed, show


@click.command("experts")
@films
@click.option("--out", type=ANY_PATH, required=True, help="Folder of the experts.", panel=RUN)
@network("convnet")
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Number of experts. With --resume, a larger number adds to those that exist.",
    panel=METHOD,
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Snapshots of the weights after the first one.",
    panel=METHOD,
)
@click.option(
    "--epoch-steps",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Updates between two snapshots.",
    panel=METHOD,
)
@click.option(
    "--lr",
    type=click.FloatRange(min=0, min_open=True),
    callback=finite,
    default=0.01,
    show_default=True,
    help="Learning rate.",
    panel=METHOD,
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    help="Films per update.",
    panel=METHOD,
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float16"]),
    default="float32",
    show_default=True,
    help="Number format of the snapshots on disk.",
    panel=METHOD,
)
@guaranteed
@computing
@workers
@resume
@as_json
@config
@grouped
def experts_command(*, as_json: bool, **options: Any) -> None:
    """Train the networks that mtt and tesla match. They never leave the hospital."""
    from pipelines.commands import summary
    from pipelines.training import experts

    show(summary.of_experts(followed(experts.run(experts.Experts(**options)))), as_json=as_json)


@click.command("denoiser")
@films
@click.option("--out", type=ANY_PATH, required=True, help="Folder of the denoiser.", panel=RUN)
@click.option(
    "--preset",
    type=click.Choice(["cpu", "gpu"]),
    help="Size of the model and length of its training: minutes on two cores at 32 or 64 px, or "
    "hours on a GPU. Default: for the device.",
    panel=METHOD,
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help="Updates of the diffusion model. Default: the preset's.",
    panel=METHOD,
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    help="Films per update. Default: the preset's.",
    panel=METHOD,
)
@click.option(
    "--lr",
    type=click.FloatRange(min=0, min_open=True),
    callback=finite,
    help="Learning rate. Default: the preset's.",
    panel=METHOD,
)
@click.option(
    "--weights",
    type=FILE,
    help="File (safetensors) of a public model to begin with, of the preset's shape. Nothing is "
    "ever downloaded.",
    panel=METHOD,
)
@guaranteed
@alone
@resume
@as_json
@config
@grouped
def denoiser_command(*, as_json: bool, **options: Any) -> None:
    """Train the model that minimax draws from. It never leaves the hospital."""
    from pipelines.commands import summary
    from pipelines.training import denoiser

    made = followed(denoiser.run(denoiser.Denoiser(**options)))
    show(summary.of_denoiser(made), as_json=as_json)


COMMANDS = (experts_command, denoiser_command)
