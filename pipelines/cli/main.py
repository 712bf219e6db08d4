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
@click.version_option(package_name="medidd")
def medidd() -> None:
    """Distil radiographs into a few synthetic images, audit them, and only then export them."""


@medidd.command("distill")
@films
@click.option("--ipc", type=click.IntRange(min=1), required=True, help="Images per class.")
@click.option(
    "--method",
    default="dm",
    show_default=True,
    help="A method, or a start for a baseline; medidd methods lists them.",
)
@click.option("--start", default="noise", show_default=True, help="Where the images begin.")
@click.option("--steps", type=click.IntRange(min=1), help="Updates. Default: the method's own.")
@click.option(
    "--preset",
    type=click.Choice(["default", "paper"]),
    default="default",
    show_default=True,
    help="Fields that are not set: the method's defaults, or its authors' values for this ipc.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    callback=parsed,
    metavar="NAME=VALUE",
    help="A field of the method; medidd methods lists them. May be repeated.",
)
@click.option("--experts", type=FOLDER, help="What medidd experts made; mtt and tesla need it.")
@computing
@click.option("--out", type=ANY_PATH, help="Folder of the run. Default: one under runs.")
@resume
@as_json
@click.option(
    "--dry-run", "dry", is_flag=True, help="Say what would be done, and what it would take."
)
@config
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
@click.option("--out", type=ANY_PATH, required=True, help="Folder of the experts.")
@network("convnet")
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Experts. A larger number adds to those there are, with --resume.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Snapshots of the weights, besides the first.",
)
@click.option(
    "--epoch-steps",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Updates between two snapshots.",
)
@click.option(
    "--lr",
    type=click.FloatRange(min=0, min_open=True),
    callback=finite,
    default=0.01,
    show_default=True,
    help="Step size.",
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    help="Films per update.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float16"]),
    default="float32",
    show_default=True,
    help="Of the snapshots on disk.",
)
@computing
@resume
@as_json
@config
def experts_command(*, as_json: bool, **options: Any) -> None:
    """Train the networks whose paths mtt and tesla match. They never leave."""
    from pipelines.commands import experts, summary

    show(summary.of_experts(followed(experts.run(experts.Experts(**options)))), as_json=as_json)


@medidd.command("audit")
@click.argument("run", type=FOLDER, required=False)
@click.option(
    "--level",
    type=click.Choice(["screen", "standard", "full"]),
    default="standard",
    show_default=True,
)
@policy
@encoder
@reference
@foreign_set
@unit
@computing
@click.option("--out", type=ANY_PATH, help="Folder of the audit of a set. Default: under runs.")
@as_json
@click.pass_context
def audit_command(context: click.Context, /, *, as_json: bool, **options: Any) -> None:
    """Audit what a RUN would release, or a set that somebody else made.

    For a set, name --release, --members and --controls, and no RUN. --level and --reference go with
    a RUN, --policy and --encoder with both, all others with a set.
    """
    from pipelines.commands import audit, audit_foreign, summary

    job = audit_foreign.job_of(named(context), options)
    if isinstance(job, audit_foreign.Foreign):
        show(followed(audit_foreign.run(job)), as_json=as_json)
        return
    show(summary.of_audit(job.run, followed(audit.run(job))), as_json=as_json)


@medidd.command("export")
@click.argument("run", type=FOLDER)
@click.option("--to", type=ANY_PATH, required=True, help="Folder to write.")
@policy
@accepting
@leaving
@as_json
def export_command(*, as_json: bool, **options: Any) -> None:
    """Write the bundle for outsiders, if the audits pass."""
    from pipelines.commands import export, summary

    bundle = followed(export.run(export.Export(**options)))
    show(summary.of_bundle(bundle), as_json=as_json)


@medidd.command("verify")
@click.argument("bundle", type=ANY_PATH)
@click.option(
    "--signers", type=FILE, help="Who may have signed it: an allowed_signers file of OpenSSH."
)
@as_json
def verify_command(*, as_json: bool, **options: Any) -> None:
    """Check that a bundle is whole: on any computer, without the run."""
    from pipelines.commands import verify

    show(verify.run(verify.Verify(**options)), as_json=as_json)


@medidd.command("evaluate")
@click.argument("run", type=FOLDER)
@network("resnet18")
@as_json
def evaluate_command(run: Path, network: str, *, as_json: bool) -> None:
    """Judge a finished run with another architecture."""
    from pipelines.commands import evaluate, summary

    result = followed(evaluate.run(evaluate.Evaluate(run, network)))
    show(summary.of_metrics(network, result), as_json=as_json)


@medidd.command("methods")
@click.option("--markdown", is_flag=True, help="The table of the README.")
def methods_command(*, markdown: bool) -> None:
    """List the methods with their fields, and the starts."""
    from pipelines.cli import methods

    click.echo(methods.markdown() if markdown else methods.table())


for one in film_commands.COMMANDS:
    medidd.add_command(one)


if __name__ == "__main__":
    main()
