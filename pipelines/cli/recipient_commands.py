"""The commands of a recipient of bundles: options only, no logic.

Everything heavy is imported inside the commands, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import rich_click as click

from medidd.dicom.reading import BURNED_IN, Files
from pipelines.cli.options.films import max_refused
from pipelines.cli.options.groups import FILMS, METHOD, RECIPIENT, RUN, grouped
from pipelines.cli.options.labels import labelled, unit
from pipelines.cli.options.machine import machine, network, seed
from pipelines.cli.options.reading import accepted
from pipelines.cli.options.shared import ANY_PATH, FILE, FOLDER, as_json, config, options
from pipelines.cli.show import followed, show

Command = TypeVar("Command", bound=Callable[..., Any])


def _matched(_: click.Context, __: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str]:
    """Reads OLD=NEW pairs."""
    renamed = {}
    for pair in pairs:
        old, equals, new = pair.partition("=")
        if not (old.strip() and equals and new.strip()):
            raise click.BadParameter(f"'{pair}' is not of the form OLD=NEW.")
        renamed[old.strip()] = new.strip()
    return renamed


_folders = options(
    click.option("--dicom-dir", type=FOLDER, help="Folder of DICOM studies.", panel=FILMS),
    click.option(
        "--images",
        type=FOLDER,
        help="Folder of gray PNG, JPEG or TIFF films, in place of --dicom-dir.",
        panel=FILMS,
    ),
    click.option(
        "--accept",
        default="",
        callback=accepted,
        metavar="KIND,...",
        help="Use files that are refused by default: secondary-capture, no-uid, symlinks.",
        panel=FILMS,
    ),
    click.option(
        "--burned-in",
        type=click.Choice(BURNED_IN),
        default="keep",
        show_default=True,
        help="What to do with films that have text burned in. All else about films is read as the "
        "sender read theirs.",
        panel=FILMS,
    ),
)


def _own(*, required: bool, with_labels: bool) -> Callable[[Command], Command]:
    """Returns a decorator that adds the options about own films, as one ``OwnFilms`` or None."""

    def decorated(command: Command) -> Command:
        @functools.wraps(command)
        def gathered(
            *args: Any,
            dicom_dir: Path | None,
            images: Path | None,
            accept: Any,
            burned_in: Any,
            **rest: Any,
        ) -> Any:
            from pipelines.models.films import OwnFilms

            folder = dicom_dir or images
            if (required and folder is None) or (dicom_dir and images):
                raise click.UsageError(
                    "Name the films by --dicom-dir or by --images, by one of both."
                )
            about = {
                name: rest.pop(name) for name in ("labels", "unit", "max_refused") if with_labels
            }
            films = None
            if folder is not None:
                files: Files = "pictures" if images else "dicom"
                films = OwnFilms(folder, files, accept=accept, burned_in=burned_in, **about)
            return command(*args, films=films, **rest)

        added = cast("Command", gathered)
        if with_labels:
            added = options(labelled, unit, max_refused)(added)
        return _folders(added)

    return decorated


_rename = click.option(
    "--rename",
    "renamed",
    multiple=True,
    callback=_matched,
    metavar="OLD=NEW",
    help="Another name for a class, where sites name one finding differently. Can be repeated.",
    panel=RECIPIENT,
)


_threshold = click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="If the sender's films were cut into patches: call positive what has more than this share "
    "of the votes. Default: 0.5.",
    panel=RECIPIENT,
)


@click.command("train")
@click.argument("bundles", type=ANY_PATH, nargs=-1, required=True)
@network("convnet")
@click.option(
    "--weight",
    "weights",
    type=click.FloatRange(min=0, min_open=True),
    multiple=True,
    help="How much a bundle counts. Once for each bundle, in their order, and last for the own "
    "films. Default: all alike.",
    panel=RECIPIENT,
)
@_rename
@click.option(
    "--size",
    type=click.IntRange(16, 256),
    help="Resample images of bundles of different sizes to this many pixels. Without it, medidd "
    "refuses them.",
    panel=RECIPIENT,
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help="Updates of each network. Default: the sender's.",
    panel=METHOD,
)
@_own(required=False, with_labels=True)
@seed
@machine
@click.option("--out", type=ANY_PATH, required=True, help="Folder of the model.", panel=RUN)
@as_json
@config
@grouped
def train_command(*, as_json: bool, films: Any, **options: Any) -> None:
    """Train a classifier on the images of one BUNDLE, or of several sites together.

    Films of your own (--dicom-dir or --images) are mixed in if you name some. No guarantee and no
    audit covers them.
    """
    from pipelines.recipient import train

    show(followed(train.run(train.Train(own=films, **options))), as_json=as_json)


@click.command("test")
@click.argument("subject", type=ANY_PATH, metavar="MODEL|BUNDLE")
@_own(required=True, with_labels=True)
@_rename
@_threshold
@seed
@machine
@click.option("--out", type=ANY_PATH, required=True, help="Folder of the report.", panel=RUN)
@as_json
@config
@grouped
def test_command(*, as_json: bool, **options: Any) -> None:
    """Test a MODEL on films of your own, or what a BUNDLE trains.

    Warns if these films do not look like those that the synthetic images stand for.
    """
    from pipelines.recipient import test

    show(followed(test.run(test.Test(**options))), as_json=as_json)


@click.command("predict")
@click.argument("model", type=ANY_PATH)
@_own(required=True, with_labels=False)
@_threshold
@machine
@click.option("--out", type=ANY_PATH, required=True, help="Table to write, as CSV.", panel=RUN)
@as_json
@config
@grouped
def predict_command(*, as_json: bool, **options: Any) -> None:
    """Classify films with a MODEL. Needs no labels, and is not for diagnosis."""
    from pipelines.recipient import predict

    show(followed(predict.run(predict.Predict(**options))), as_json=as_json)


@click.command("verify")
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
    from pipelines.recipient import verify

    found = verify.run(verify.Verify(**options))
    show(found, as_json=as_json)
    found.require_usable()


COMMANDS = (verify_command, train_command, test_command, predict_command)
