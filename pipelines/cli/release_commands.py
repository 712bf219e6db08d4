"""The commands from films to a bundle: options only, no logic.

Everything heavy is imported inside the commands, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

from typing import Any

import rich_click as click

from medidd.machine.ranks import Ranks
from pipelines.cli.audit_options import (
    accepting,
    encoder,
    foreign_set,
    leaving,
    named,
    policy,
    redo,
    reference,
)
from pipelines.cli.groups import AUDIT, EXPORT, FILMS, METHOD, RUN, grouped
from pipelines.cli.guarantee_options import guaranteed, planned
from pipelines.cli.label_options import unit
from pipelines.cli.options import (
    ANY_PATH,
    FOLDER,
    as_json,
    computing,
    config,
    films,
    films_or_none,
    options,
    processing,
    resume,
    settings,
    steps,
    workers,
)
from pipelines.cli.show import followed, show

_preset = click.option(
    "--preset",
    type=click.Choice(["default", "paper"]),
    default="default",
    show_default=True,
    help="Where fields that are not set come from: the method's defaults, or the values of its "
    "paper for this ipc.",
    panel=METHOD,
)

_several = options(
    click.option(
        "--ipc",
        "ipcs",
        type=click.IntRange(min=1),
        multiple=True,
        required=True,
        help="Images per class; can be given several times.",
        panel=METHOD,
    ),
    click.option(
        "--method",
        "methods",
        multiple=True,
        help="Method, or a start as a baseline; can be given several times. Default: as for medidd "
        "distill.",
        panel=METHOD,
    ),
    click.option(
        "--seeds",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Runs of each method and ipc, each with a seed of its own.",
        panel=RUN,
    ),
)
"""Which runs a study has: one for each method, number of images per class and seed."""

_learning = options(
    click.option(
        "--start",
        help="What the images are before the first step. Default: the method's own, mostly noise.",
        panel=METHOD,
    ),
    steps,
    _preset,
    settings,
    click.option(
        "--experts",
        type=FOLDER,
        help="Folder that medidd experts wrote. mtt and tesla need it.",
        panel=METHOD,
    ),
    click.option(
        "--teachers",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Label the images by the mean prediction of so many networks trained on the films.",
        panel=METHOD,
    ),
    guaranteed,
    computing,
    workers,
)
"""How a synthetic set is learned, but for the method, the images per class and the folder."""


@click.command("distill")
@films
@click.option(
    "--ipc", type=click.IntRange(min=1), required=True, help="Images per class.", panel=METHOD
)
@click.option(
    "--method",
    help="Distillation method, or a start as a baseline. medidd methods lists both. Default: "
    "moments; with --epsilon none, rfad.",
    panel=METHOD,
)
@_learning
@click.option(
    "--out", type=ANY_PATH, help="Folder of the run. Default: a new one in runs.", panel=RUN
)
@resume
@as_json
@click.option(
    "--dry-run",
    "dry",
    is_flag=True,
    help="Only say what the command would do, how long it takes and how much memory.",
    panel=RUN,
)
@config
@click.make_pass_decorator(Ranks, ensure=True)
@grouped
def distill_command(ranks: Ranks, /, *, as_json: bool, dry: bool, **options: Any) -> None:
    """Learn a synthetic set from a folder of DICOM studies."""
    from pipelines.commands import accompany, distill, summary
    from pipelines.planning import dry_run

    job = distill.Distill(**options)
    if not ranks.leads:
        frozen = job.frozen()
        accompany.accompany(frozen, job.place(frozen), ranks)
        return
    if dry:
        show(dry_run.run(job), as_json=as_json)
        return
    watch = summary.Watch()
    made = followed(distill.run(job, ranks))
    show(summary.of(made, watch.seconds()), as_json=as_json)


@click.command("sweep")
@films
@_several
@_learning
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
@_several
@steps
@_preset
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


@click.command("audit")
@click.argument("run", type=FOLDER, required=False)
@click.option(
    "--level",
    type=click.Choice(["screen", "standard", "full"]),
    default="standard",
    show_default=True,
    help="How thorough. screen is quick and can allow no export; standard adds null releases; full "
    "also adds planted patients.",
    panel=AUDIT,
)
@policy
@encoder
@reference
@redo
@workers
@foreign_set
@unit
@computing
@click.option(
    "--out",
    type=ANY_PATH,
    help="Folder of the audit of such a set. Default: a new one in runs.",
    panel=RUN,
)
@as_json
@click.pass_context
@grouped
def audit_command(context: click.Context, /, *, as_json: bool, **options: Any) -> None:
    """Audit the release of a RUN, or a set that somebody else made.

    For a set made elsewhere, give --release, --members and --controls, and no RUN. --level, --redo,
    --reference and --workers need a RUN. --policy and --encoder work with both. All other options
    need a set.
    """
    from pipelines.commands import audit, audit_foreign, summary

    job = audit_foreign.job_of(named(context), options)
    if isinstance(job, audit_foreign.Foreign):
        show(followed(audit_foreign.run(job)), as_json=as_json)
        return
    show(summary.of_audit(job.run, followed(audit.run(job))), as_json=as_json)


@click.command("export")
@click.argument("run", type=FOLDER)
@click.option(
    "--to", type=ANY_PATH, required=True, help="Folder to write the bundle to.", panel=EXPORT
)
@policy
@accepting
@leaving
@as_json
@grouped
def export_command(*, as_json: bool, **options: Any) -> None:
    """Write the bundle for collaborators, if the audits pass."""
    from pipelines.commands import export, summary

    bundle = followed(export.run(export.Export(**options)))
    show(summary.of_bundle(bundle), as_json=as_json)


COMMANDS = (distill_command, sweep_command, plan_command, audit_command, export_command)
