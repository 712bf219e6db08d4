"""Options about the films; a command gets them as one ``Studies``.

Nothing heavy is imported here, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import rich_click as click

from pipelines.cli.options.groups import FILMS
from pipelines.cli.options.labels import labelled, unit
from pipelines.cli.options.patches import cut
from pipelines.cli.options.reading import reading
from pipelines.cli.options.shared import FOLDER, finite, options

Command = TypeVar("Command", bound=Callable[..., Any])

max_refused = click.option(
    "--max-rejected",
    "max_refused",
    type=click.FloatRange(min=0),
    callback=finite,
    default=0.2,
    show_default=True,
    help="How many files may be unusable, per usable film.",
    panel=FILMS,
)

size = click.option(
    "--size",
    type=click.IntRange(16, 256),
    default=64,
    show_default=True,
    help="Height and width of the images, in pixels.",
    panel=FILMS,
)


def films(command: Command) -> Command:
    """Adds the options about films, which reach the command as one ``Studies``."""

    @functools.wraps(command)
    def gathered(*args: Any, **given: Any) -> Any:
        studies, rest = _studies(**given)
        if studies is None:
            raise click.UsageError("Name the films by --dicom-dir or by --images, by one of both.")
        return command(*args, studies=studies, **rest)

    return _about_films(cast("Command", gathered))


def films_or_none(command: Command) -> Command:
    """Adds the same options; without a folder the command gets None, and the size beside it."""

    @functools.wraps(command)
    def gathered(*args: Any, **given: Any) -> Any:
        studies, rest = _studies(**given)
        return command(*args, studies=studies, size=given["size"], **rest)

    return _about_films(cast("Command", gathered))


def _studies(*, dicom_dir: Path | None, images: Path | None, **given: Any) -> tuple[Any, Any]:
    """Returns the ``Studies`` of the options, None without a folder, and all other options."""
    from pipelines.run.films import Studies

    own = ("labels", "size", "unit", "max_refused", "reading", "strict")
    how, folder = {name: given.pop(name) for name in own}, dicom_dir or images
    if dicom_dir and images:
        raise click.UsageError("Name the films by --dicom-dir or by --images, by one of both.")
    if images:
        how["reading"] = replace(how["reading"], files="pictures")
    try:
        return folder and Studies(folder, **how), given
    except ValueError as error:
        raise click.UsageError(f"--unit: {error}.") from None


_about_films = options(
    click.option(
        "--dicom-dir",
        type=FOLDER,
        help="Folder of DICOM studies. This option or --images is required.",
        panel=FILMS,
    ),
    click.option(
        "--images",
        type=FOLDER,
        help="Folder of gray PNG, JPEG or TIFF films without DICOM. Name the patients by "
        "--patient-column or --patient-pattern, else no audit can pass.",
        panel=FILMS,
    ),
    labelled,
    size,
    unit,
    click.option(
        "--strict",
        is_flag=True,
        help="Refuse films that contradict themselves about whose they are: a study with several "
        "PatientIDs, a PatientID with several issuers, an accession number or a key of the table "
        "of labels that finds several patients. Without this option, they are counted.",
        panel=FILMS,
    ),
    max_refused,
    reading,
    cut,
)
