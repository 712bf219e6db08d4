"""Commands about films, the installation and the disk of a house: options only, no logic.

Everything heavy is imported inside the commands, so that ``medidd --help`` is there at once.
"""

from typing import Any

import rich_click as click

from pipelines.cli.label_options import labelled
from pipelines.cli.options import ANY_PATH, FOLDER, as_json, config, films
from pipelines.cli.show import followed, show


@click.command("inspect")
@click.argument("folder", type=FOLDER)
@labelled
@as_json
@config
def inspect_command(*, as_json: bool, **options: Any) -> None:
    """Say what is in a FOLDER of DICOM studies, from headers alone."""
    from pipelines.commands import inspect

    show(followed(inspect.run(inspect.Inspect(**options))), as_json=as_json)


@click.command("ingest")
@films
@click.option("--out", type=ANY_PATH, required=True, help="Folder of the cohort.")
@as_json
@config
def ingest_command(*, as_json: bool, **options: Any) -> None:
    """Read the films alone, and list those that cannot be used.

    The same command again goes on where it was stopped.
    """
    from pipelines.commands import ingest

    show(followed(ingest.run(ingest.Ingest(**options))), as_json=as_json)


@click.command("doctor")
@as_json
def doctor_command(*, as_json: bool) -> None:
    """Check software, decoders, folders and permissions; names no host, user or folder."""
    from pipelines.commands import doctor

    checks = doctor.run()
    show(doctor.answer(checks), as_json=as_json)
    doctor.require_sound(checks)


@click.group("cache")
def cache() -> None:
    """What runs keep of the films."""


@cache.command("purge")
@click.argument("folders", type=FOLDER, nargs=-1)
@click.option("--yes", is_flag=True, help="Delete. Without, only say what would be deleted.")
@as_json
def purge_command(*, as_json: bool, **options: Any) -> None:
    """Delete the films that runs keep: of these FOLDERS, or of all under runs.

    A FOLDER is a run, or holds runs. What a run released, its audit and its report stay, but it can
    be audited, resumed and exported no more. Bundles, the ledger and the key are not touched.
    """
    from pipelines.commands import purge

    show(purge.run(purge.Purge(**options)), as_json=as_json)


COMMANDS = (inspect_command, ingest_command, doctor_command, cache)
