"""Options about patches: films are cut, and each patch has a class of its own.

Nothing heavy is imported here, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import rich_click as click

from medidd.dicom.patches import FRAME, LARGEST, NOTHING, Patches
from pipelines.cli.options.groups import PATCHES

Command = TypeVar("Command", bound=Callable[..., Any])


def cut(command: Command) -> Command:
    """Adds the options; they reach the command in its ``Reading`` and its ``Labelling``."""

    @functools.wraps(command)
    def gathered(
        *args: Any,
        patch_size: int | None,
        stride: int | None,
        film_size: int,
        regions: Path | None,
        background: str,
        **given: Any,
    ) -> Any:
        if patch_size is None:
            if stride is not None or regions is not None:
                raise click.UsageError("--stride, --regions: need --patch-size.")
            return command(*args, **given)
        try:
            patches = Patches(patch_size, stride or patch_size, film_size, background)
            given["reading"] = replace(given["reading"], patches=patches)
        except ValueError as error:
            raise click.UsageError(f"--{error}.") from None
        given["labels"] = replace(given["labels"], regions=regions)
        return command(*args, **given)

    added = cast("Command", gathered)
    for option in reversed(_ABOUT_PATCHES):
        added = option(added)
    return added


_ABOUT_PATCHES = (
    click.option(
        "--patch-size",
        type=click.IntRange(8, LARGEST),
        help="Cut each film into squares of so many pixels of the film, which are then resampled "
        "to --size. Audits and guarantees still count patients.",
        panel=PATCHES,
    ),
    click.option(
        "--stride",
        type=click.IntRange(1, LARGEST),
        help="Pixels from one patch to the next. Default: --patch-size, so that none overlap.",
        panel=PATCHES,
    ),
    click.option(
        "--film-size",
        type=click.IntRange(16, LARGEST),
        default=FRAME,
        show_default=True,
        help="Films are framed to squares of so many pixels before they are cut, so that all give "
        "as many patches.",
        panel=PATCHES,
    ),
    click.option(
        "--regions",
        type=click.Path(exists=True, path_type=Path),
        help="What patches show: a CSV table of boxes (x, y, width, height in pixels of the stored "
        "film; label if it is another than the film's), or a folder of masks, named after the "
        "films. Default: each patch has the class of its film.",
        panel=PATCHES,
    ),
    click.option(
        "--background",
        metavar="NAME",
        default=NOTHING,
        show_default=True,
        help="Class of the patches outside all regions. Films of this class need no region.",
        panel=PATCHES,
    ),
)
