"""Commands about films, the installation and the disk: options only, no logic.

Everything heavy is imported inside the commands, so that ``medidd --help`` is there at once.
"""

from typing import Any

import rich_click as click

from pipelines.cli.options.films import films
from pipelines.cli.options.groups import RUN, grouped
from pipelines.cli.options.labels import labelled
from pipelines.cli.options.shared import ANY_PATH, FOLDER, as_json, config
from pipelines.cli.show import followed, show


@click.command("inspect")
@click.argument("folder", type=FOLDER)
@labelled
@as_json
@config
@grouped
def inspect_command(*, as_json: bool, **options: Any) -> None:
    """Say what is in a FOLDER of DICOM studies. Reads headers only."""
    from pipelines.commands import inspect

    show(followed(inspect.run(inspect.Inspect(**options))), as_json=as_json)


@click.command("ingest")
@films
@click.option("--out", type=ANY_PATH, required=True, help="Folder of the cohort.", panel=RUN)
@as_json
@config
@grouped
def ingest_command(*, as_json: bool, **options: Any) -> None:
    """Read the films only, and list the files that cannot be used.

    If the command was stopped, the same command continues.
    """
    from pipelines.commands import ingest

    show(followed(ingest.run(ingest.Ingest(**options))), as_json=as_json)


@click.command("doctor")
@as_json
@grouped
def doctor_command(*, as_json: bool) -> None:
    """Check software, decoders, folders and permissions. Names no host, user or folder."""
    from pipelines.commands import doctor

    checks = doctor.run()
    show(doctor.answer(checks), as_json=as_json)
    doctor.require_sound(checks)


@click.group("cache")
def cache() -> None:
    """Films that runs keep on disk."""


@cache.command("purge")
@click.argument("folders", type=FOLDER, nargs=-1)
@click.option(
    "--yes",
    is_flag=True,
    help="Delete. Without this option, only say what would be deleted.",
    panel=RUN,
)
@as_json
@grouped
def purge_command(*, as_json: bool, **options: Any) -> None:
    """Delete the films that runs keep: in these FOLDERS, or in all of runs.

    A FOLDER is a run or contains runs. A run keeps its release, its audit and its report, but it
    can no longer be audited, resumed or exported. Bundles, the ledger and the key are not touched.
    """
    from pipelines.commands import purge

    show(purge.run(purge.Purge(**options)), as_json=as_json)


COMMANDS = (inspect_command, ingest_command, doctor_command, cache)
