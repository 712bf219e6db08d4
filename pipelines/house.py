"""Commands about films, the installation and the disk of a house: options only, no logic.

Everything heavy is imported inside the commands, so that ``medidd --help`` is there at once.
"""

from typing import Any

import rich_click as click

from pipelines.options import ANY_PATH, FOLDER, as_json, config, films, labelled, unit
from pipelines.shown import followed, show


@click.command("inspect")
@click.argument("folder", type=FOLDER)
@labelled
@as_json
@config
def inspect_command(*, as_json: bool, **options: Any) -> None:
    """Say what is in a FOLDER of DICOM studies, from headers alone."""
    from pipelines import inspect

    show(followed(inspect.run(inspect.Inspect(**options))), as_json=as_json)


@click.command("ingest")
@films
@click.option("--out", type=ANY_PATH, required=True, help="Folder of the cohort.")
@unit
@as_json
@config
def ingest_command(*, as_json: bool, **options: Any) -> None:
    """Read the films alone, and list those that cannot be used.

    The same command again goes on where it was stopped.
    """
    from pipelines import ingest

    show(followed(ingest.run(ingest.Ingest(**options))), as_json=as_json)


COMMANDS = (inspect_command, ingest_command)
