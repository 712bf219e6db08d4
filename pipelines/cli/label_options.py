"""The options about labels, which several commands share.

Nothing heavy is imported here, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import rich_click as click

if TYPE_CHECKING:
    from medidd.dicom.labels.labelling import Uncertain

Command = TypeVar("Command", bound=Callable[..., Any])

KEYS = ("path", "SOPInstanceUID", "StudyInstanceUID", "AccessionNumber", "PatientID")
UNCERTAINS: tuple[Uncertain, ...] = ("drop", "positive", "negative")


def labelled(command: Command) -> Command:
    """Adds the options about labels, which reach the command as one object."""

    @functools.wraps(command)
    def gathered(
        *args: Any,
        labels: Path | None,
        key: str | None,
        target: str | None,
        uncertain: Uncertain,
        **rest: Any,
    ) -> Any:
        from medidd.dicom.labels.labelling import Labelling

        try:
            how = Labelling(labels, key, target, uncertain)
        except ValueError as error:
            raise click.UsageError(f"--target: {error}.") from None
        return command(*args, labels=how, **rest)

    added = cast("Command", gathered)
    for option in reversed(_ABOUT_LABELS):
        added = option(added)
    return added


_ABOUT_LABELS = (
    click.option(
        "--labels",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="CSV or datalist (JSON) of labels. Default: labels.csv or labels.json in the folder "
        "or beside it, else a folder per class.",
    ),
    click.option(
        "--label-key",
        "key",
        type=click.Choice(KEYS, case_sensitive=False),
        help="Column that finds the films. Default: the table's first of these.",
    ),
    click.option(
        "--target",
        metavar="NAME",
        help="Of several columns the one to learn, or of several findings in a cell the one to "
        "tell from all others.",
    ),
    click.option(
        "--uncertain",
        type=click.Choice(UNCERTAINS),
        default="drop",
        show_default=True,
        help="What a film counts as whose target is -1, ? or uncertain.",
    ),
)
