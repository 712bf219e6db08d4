"""The commands from films to a bundle: options only, no logic.

Everything heavy is imported inside the commands, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

from typing import Any

import rich_click as click

from medidd.machine.ranks import Ranks
from pipelines.cli.options.audit import (
    accepting,
    encoder,
    foreign_set,
    leaving,
    named,
    policy,
    redo,
    reference,
)
from pipelines.cli.options.films import films
from pipelines.cli.options.groups import AUDIT, EXPORT, METHOD, RUN, grouped
from pipelines.cli.options.labels import unit
from pipelines.cli.options.learning import learning
from pipelines.cli.options.machine import computing, workers
from pipelines.cli.options.shared import ANY_PATH, FOLDER, as_json, config, resume
from pipelines.cli.show import followed, show


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
@learning
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


COMMANDS = (distill_command, audit_command, export_command)
