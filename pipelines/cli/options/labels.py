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
    from medidd.dicom.labels.labelling import Blank, Uncertain
    from medidd.dicom.labels.votes import Readers

from pipelines.cli.options.groups import FILMS, LABELS

Command = TypeVar("Command", bound=Callable[..., Any])

KEYS = (
    *("path", "SOPInstanceUID", "file", "StudyInstanceUID", "AccessionNumber", "StudyID"),
    "PatientID",
)
UNCERTAINS: tuple[Uncertain, ...] = ("drop", "positive", "negative")
BLANKS: tuple[Blank, ...] = ("drop", "negative", "positive")
READERS: tuple[Readers, ...] = ("majority", "any", "all")


def labelled(command: Command) -> Command:
    """Adds the options about labels, which reach the command as one object."""

    @functools.wraps(command)
    def gathered(
        *args: Any,
        labels: Path | None,
        key: str | None,
        target: str | None,
        uncertain: Uncertain,
        patient_column: str | None,
        blank: Blank,
        readers: Readers | None,
        splits: Path | None,
        patient_pattern: str | None,
        **rest: Any,
    ) -> Any:
        from medidd.dicom.labels.labelling import Labelling

        try:
            how = Labelling(
                labels,
                key,
                target,
                uncertain,
                patient_column=patient_column,
                patient_pattern=patient_pattern,
                blank=blank,
                readers=readers,
                splits=splits,
            )
        except ValueError as error:
            about = "--patient-pattern" if "patient" in str(error) else "--target"
            raise click.UsageError(f"{about}: {error}.") from None
        return command(*args, labels=how, **rest)

    added = cast("Command", gathered)
    for option in reversed(_ABOUT_LABELS):
        added = option(added)
    return added


_ABOUT_LABELS = (
    click.option(
        "--labels",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="CSV table (also .csv.gz or .csv.zip) or MONAI datalist (JSON) with the labels. "
        "Default: labels.csv or labels.json in the folder or next to it; else one folder per "
        "class.",
        panel=LABELS,
    ),
    click.option(
        "--splits",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Second table with the column split, if the table of labels has no splits. It finds "
        "films by its own key.",
        panel=LABELS,
    ),
    click.option(
        "--label-key",
        "key",
        type=click.Choice(KEYS, case_sensitive=False),
        metavar="COLUMN",
        help=f"Column that says which film a row is about: {', '.join(KEYS)}. Default: the first "
        "of these that the table has.",
        panel=LABELS,
    ),
    click.option(
        "--target",
        metavar="NAME",
        help="The finding to learn: one of several columns, or one of several findings in a "
        "cell. All other films are the other class.",
        panel=LABELS,
    ),
    click.option(
        "--uncertain",
        type=click.Choice(UNCERTAINS),
        default="drop",
        show_default=True,
        help="How to count a film whose target is -1, ? or uncertain.",
        panel=LABELS,
    ),
    click.option(
        "--patient-column",
        metavar="NAME",
        help="Where each film's patient is, if PatientID is a placeholder: a column of the table "
        "of labels, or a DICOM attribute such as AccessionNumber or ClinicalTrialSubjectID.",
        panel=FILMS,
    ),
    click.option(
        "--blank",
        type=click.Choice(BLANKS),
        default="drop",
        show_default=True,
        help="How to count a film whose target is an empty cell.",
        panel=LABELS,
    ),
    click.option(
        "--readers",
        type=click.Choice(READERS),
        help="How many of a film's readers must see the target, if the table has several rows per "
        "film. Default: all rows must agree.",
        panel=LABELS,
    ),
    click.option(
        "--patient-pattern",
        metavar="REGEX",
        help="Where each film's patient is in its file name: a regular expression with one group, "
        "such as '^(\\d+)_'. With a / in it, it looks at the path below the folder.",
        panel=FILMS,
    ),
)

unit = click.option(
    "--unit",
    type=click.Choice(["patient", "study", "image"]),
    default="patient",
    show_default=True,
    help="What counts as one patient. If films have no PatientID, no audit can pass with patient. "
    "With study or image you confirm that no patient has two of them.",
    panel=FILMS,
)
