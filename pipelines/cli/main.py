"""The medidd command: options only, no logic.

Everything heavy is imported inside the commands, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import rich_click as click

from medidd.allocator import keep_memory
from pipelines.cli import film_commands
from pipelines.cli.audit_options import accepting, encoder, foreign_set, leaving, policy, reference
from pipelines.cli.groups import AUDIT, EXPORT, METHOD, RUN, STYLE, grouped
from pipelines.cli.options import (
    ANY_PATH,
    FILE,
    FOLDER,
    as_json,
    computing,
    config,
    films,
    finite,
    named,
    network,
    parsed,
    resume,
    unit,
)
from pipelines.cli.show import followed, show
from pipelines.run import installation
from pipelines.run.errors import Exit, Stop

_AGAIN = "repeat the command, with --resume where it has that option,"


def main(arguments: list[str] | None = None) -> None:
    """Runs the command; ends with one line and an exit code, never a traceback.

    A traceback shows values, and here values are patients'. Whoever looks for a defect on invented
    films sets MEDIDD_TRACEBACK=1.
    """
    installation.harden()
    keep_memory()
    try:
        medidd.main(arguments, prog_name="medidd", standalone_mode=False)
    except Stop as stop:
        _end(str(stop), stop.code)
    except click.ClickException as error:
        _end(f"{error.format_message()} See {_asked(error)} --help", Exit.USAGE)
    except (KeyboardInterrupt, click.Abort):
        _end(f"interrupted; {_AGAIN} to go on", 130)
    except Exception as error:
        if os.environ.get("MEDIDD_TRACEBACK"):
            raise
        if isinstance(error, OSError):
            why = error.strerror or "input or output failed"
            _end(f"{why}; mend it and {_AGAIN} for nothing is lost", 1)
        _end(
            f"a defect of medidd ({type(error).__name__}); please report it, and set "
            "MEDIDD_TRACEBACK=1 to see where, on films that are nobody's",
            1,
        )


def _end(message: str, code: int) -> None:
    line = " ".join(message.split())
    click.echo(f"medidd: {line}", err=True)
    sys.exit(code)


def _asked(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return context.command_path if context is not None else "medidd"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.rich_config(help_config=STYLE)
@click.command_panel("From films to a bundle", commands=["distill", "audit", "export", "verify"])
@click.command_panel("What is in a folder", commands=["inspect", "ingest"])
@click.command_panel("More on methods", commands=["methods", "experts", "evaluate"])
@click.command_panel("This installation", commands=["doctor", "cache"])
@click.version_option(package_name="medidd")
def medidd() -> None:
    """Distill radiographs into a few synthetic images, audit them, and only then export them."""


@medidd.command("distill")
@films
@click.option(
    "--ipc", type=click.IntRange(min=1), required=True, help="Images per class.", panel=METHOD
)
@click.option(
    "--method",
    default="dm",
    show_default=True,
    help="Distillation method, or a start as a baseline. medidd methods lists both.",
    panel=METHOD,
)
@click.option(
    "--start",
    default="noise",
    show_default=True,
    help="What the images are before the first step.",
    panel=METHOD,
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help="Updates of the images. Default: the method's own.",
    panel=METHOD,
)
@click.option(
    "--preset",
    type=click.Choice(["default", "paper"]),
    default="default",
    show_default=True,
    help="Where fields that are not set come from: the method's defaults, or the values of its "
    "paper for this ipc.",
    panel=METHOD,
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    callback=parsed,
    metavar="NAME=VALUE",
    help="Sets a field of the method. medidd methods lists them. Can be repeated.",
    panel=METHOD,
)
@click.option(
    "--experts",
    type=FOLDER,
    help="Folder that medidd experts wrote. mtt and tesla need it.",
    panel=METHOD,
)
@computing
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
@grouped
def distill_command(*, as_json: bool, dry: bool, **options: Any) -> None:
    """Learn a synthetic set from a folder of DICOM studies."""
    from pipelines.commands import distill, dry_run, summary

    job = distill.Distill(**options)
    if dry:
        show(dry_run.run(job), as_json=as_json)
        return
    watch = summary.Watch()
    made = followed(distill.run(job))
    show(summary.of(made, watch.seconds()), as_json=as_json)


@medidd.command("experts")
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
@computing
@resume
@as_json
@config
@grouped
def experts_command(*, as_json: bool, **options: Any) -> None:
    """Train the networks that mtt and tesla match. They never leave the hospital."""
    from pipelines.commands import experts, summary

    show(summary.of_experts(followed(experts.run(experts.Experts(**options)))), as_json=as_json)


@medidd.command("audit")
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

    For a set made elsewhere, give --release, --members and --controls, and no RUN. --level and
    --reference need a RUN. --policy and --encoder work with both. All other options need a set.
    """
    from pipelines.commands import audit, audit_foreign, summary

    job = audit_foreign.job_of(named(context), options)
    if isinstance(job, audit_foreign.Foreign):
        show(followed(audit_foreign.run(job)), as_json=as_json)
        return
    show(summary.of_audit(job.run, followed(audit.run(job))), as_json=as_json)


@medidd.command("export")
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


@medidd.command("verify")
@click.argument("bundle", type=ANY_PATH)
@click.option(
    "--signers",
    type=FILE,
    help="Keys whose signature you accept: an allowed_signers file of OpenSSH.",
    panel=RUN,
)
@as_json
@grouped
def verify_command(*, as_json: bool, **options: Any) -> None:
    """Check that a bundle is complete and unchanged. Needs no run, works on any computer."""
    from pipelines.commands import verify

    show(verify.run(verify.Verify(**options)), as_json=as_json)


@medidd.command("evaluate")
@click.argument("run", type=FOLDER)
@network("resnet18")
@as_json
@grouped
def evaluate_command(run: Path, network: str, *, as_json: bool) -> None:
    """Evaluate a finished run with another network architecture."""
    from pipelines.commands import evaluate, summary

    result = followed(evaluate.run(evaluate.Evaluate(run, network)))
    show(summary.of_metrics(network, result), as_json=as_json)


@medidd.command("methods")
@click.option("--markdown", is_flag=True, help="Print the table for the README.", panel=RUN)
@grouped
def methods_command(*, markdown: bool) -> None:
    """List the methods with their fields, and the starts."""
    from pipelines.cli import methods

    click.echo(methods.markdown() if markdown else methods.table())


for one in film_commands.COMMANDS:
    medidd.add_command(one)


if __name__ == "__main__":
    main()
