"""The commands on methods and networks: options only, no logic.

Everything heavy is imported inside the commands, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from medidd.dicom.reading import Files
from pipelines.cli.options.films import max_refused
from pipelines.cli.options.groups import FILMS, LABELS, METHOD, RUN, grouped
from pipelines.cli.options.machine import networks, workers
from pipelines.cli.options.shared import FILE, FOLDER, as_json
from pipelines.cli.show import followed, show


@click.command("methods")
@click.option("--markdown", is_flag=True, help="Print the table of docs/methods.md.", panel=RUN)
@grouped
def methods_command(*, markdown: bool) -> None:
    """List the methods with their fields, and the starts."""
    from pipelines.commands import methods

    click.echo(methods.markdown() if markdown else methods.table())


@click.command("evaluate")
@click.argument("run", type=FOLDER)
@networks
@click.option(
    "--ranking",
    is_flag=True,
    help="Compare the release with baselines of its size under equal conditions: hard labels and "
    "labels of the same teachers, with augmentation and without (docs/evaluate.md).",
    panel=METHOD,
)
@click.option(
    "--test",
    type=FOLDER,
    help="Folder of DICOM studies of another hospital, to test the same networks on, too. Its "
    "films are read as those of the run were.",
    panel=FILMS,
)
@click.option(
    "--test-images",
    type=FOLDER,
    help="Folder of gray PNG, JPEG or TIFF films, in place of --test.",
    panel=FILMS,
)
@click.option(
    "--test-labels",
    type=FILE,
    help="Table with the labels of these films. Default: as for --labels of medidd distill.",
    panel=LABELS,
)
@max_refused
@workers
@as_json
@grouped
def evaluate_command(
    *,
    test: Path | None,
    test_images: Path | None,
    test_labels: Path | None,
    max_refused: float,
    as_json: bool,
    **options: Any,
) -> None:
    """Evaluate a finished RUN with other networks, on other films, or beside its baselines."""
    from pipelines.commands import evaluate
    from pipelines.evaluation.elsewhere import Abroad

    if test and test_images:
        raise click.UsageError("Name the films by --test or by --test-images, by one of both.")
    folder = test or test_images
    if test_labels and not folder:
        raise click.UsageError("--test-labels: name the films, too, by --test or --test-images.")
    files: Files = "pictures" if test_images else "dicom"
    abroad = Abroad(folder, files, test_labels, max_refused) if folder else None
    show(followed(evaluate.run(evaluate.Evaluate(**options, abroad=abroad))), as_json=as_json)


COMMANDS = (methods_command, evaluate_command)
