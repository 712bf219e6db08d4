"""The commands on studies of several runs: options only, no logic.

Everything heavy is imported inside the commands, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

from typing import Any

import rich_click as click

from pipelines.cli.options.films import films, films_or_none
from pipelines.cli.options.groups import AUDIT, FILMS, METHOD, RUN, grouped
from pipelines.cli.options.guarantee import planned
from pipelines.cli.options.learning import learning, preset, settings, several, steps
from pipelines.cli.options.machine import processing
from pipelines.cli.options.shared import ANY_PATH, FOLDER, as_json, config, resume
from pipelines.cli.show import followed, show


@click.command("sweep")
@films
@several
@learning
@click.option(
    "--out", type=ANY_PATH, required=True, help="Folder of the runs and of their table.", panel=RUN
)
@resume
@as_json
@config
@grouped
def sweep_command(*, as_json: bool, **options: Any) -> None:
    """Learn a synthetic set with each method, ipc and seed, and compare them in a table."""
    from pipelines.commands import distill, sweep

    own = {name: options.pop(name) for name in ("ipcs", "methods", "seeds")}
    place = {name: options[name] for name in ("out", "resume", "workers")}
    job = distill.Distill(**options, ipc=own["ipcs"][0])
    answer = followed(sweep.run(sweep.Sweep(job, **own, **place)))
    show(answer, as_json=as_json)
    sweep.require_all(answer)


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
@several
@steps
@preset
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


@click.command("compare")
@click.argument("folders", type=FOLDER, nargs=-1, required=True, metavar="RUN|SWEEP...")
@click.option("--out", type=ANY_PATH, help="New folder for the page of the comparison.", panel=RUN)
@click.option(
    "--tensorboard",
    type=ANY_PATH,
    help="New folder for losses, figures and synthetic images as TensorBoard reads them. Needs "
    "medidd[tensorboard].",
    panel=RUN,
)
@as_json
@grouped
def compare_command(*, as_json: bool, **options: Any) -> None:
    """Compare finished runs, or those of a sweep: utility, leakage, cost and images.

    The page and the figures are about patients, and must not leave the hospital.
    """
    from pipelines.comparison import compare

    answer = followed(compare.run(compare.Compare(**options)))
    show(answer, as_json=as_json)
    compare.require_all(answer)


COMMANDS = (sweep_command, plan_command, compare_command)
