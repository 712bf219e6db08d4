"""The commands on methods and networks: options only, no logic.

Everything heavy is imported inside the commands, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from pipelines.cli.groups import AUDIT, FILMS, METHOD, RUN, grouped
from pipelines.cli.guarantee_options import guaranteed, planned
from pipelines.cli.options import (
    ANY_PATH,
    FOLDER,
    as_json,
    computing,
    config,
    films,
    films_or_none,
    finite,
    network,
    processing,
    resume,
    settings,
    workers,
)
from pipelines.cli.show import followed, show


@click.command("methods")
@click.option("--markdown", is_flag=True, help="Print the table for the README.", panel=RUN)
@grouped
def methods_command(*, markdown: bool) -> None:
    """List the methods with their fields, and the starts."""
    from pipelines.commands import methods

    click.echo(methods.markdown() if markdown else methods.table())


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
    from pipelines.commands import experts, summary

    show(summary.of_experts(followed(experts.run(experts.Experts(**options)))), as_json=as_json)


@click.command("evaluate")
@click.argument("run", type=FOLDER)
@network("resnet18")
@workers
@as_json
@grouped
def evaluate_command(run: Path, network: str, workers: Any, *, as_json: bool) -> None:
    """Evaluate a finished run with another network architecture."""
    from pipelines.commands import evaluate, summary

    result = followed(evaluate.run(evaluate.Evaluate(run, network, workers)))
    show(summary.of_metrics(network, result), as_json=as_json)


@click.command("plan")
@films_or_none
@click.option(
    "--films",
    type=click.IntRange(min=1),
    help="Films in all, if no folder is named. --patients says of how many patients.",
    panel=FILMS,
)
@click.option(
    "--classes",
    type=click.IntRange(min=2),
    default=2,
    show_default=True,
    help="Classes, if no folder is named.",
    panel=FILMS,
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    help="A method, or a start as a baseline. Can be repeated. Default: as for medidd distill.",
    panel=METHOD,
)
@click.option(
    "--ipc",
    type=click.IntRange(min=1),
    multiple=True,
    required=True,
    help="Images per class. Can be repeated: there is a run for each method, number and seed.",
    panel=METHOD,
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of seeds.",
    panel=METHOD,
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help="Updates of the images. Default: each method's own.",
    panel=METHOD,
)
@click.option(
    "--preset",
    type=click.Choice(["default", "paper"]),
    default="default",
    show_default=True,
    help="Where fields that are not set come from.",
    panel=METHOD,
)
@settings
@click.option(
    "--experts-count",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Experts for mtt and tesla, trained as medidd experts does by default.",
    panel=METHOD,
)
@planned
@click.option(
    "--audit",
    type=click.Choice(["none", "screen", "standard", "full"]),
    default="standard",
    show_default=True,
    help="How thoroughly each run is audited. none also leaves out the screening that medidd "
    "distill always makes.",
    panel=AUDIT,
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that share the work, each with a core or a GPU of its own.",
    panel=RUN,
)
@processing
@as_json
@config
@grouped
def plan_command(*, as_json: bool, **options: Any) -> None:
    """Estimate time, memory and disk of a whole study, before anything runs."""
    from pipelines.planning import plan, study

    show(followed(plan.run(study.Study(**options))), as_json=as_json)


COMMANDS = (plan_command, methods_command, experts_command, evaluate_command)
