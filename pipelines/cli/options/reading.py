"""Options that say how films are read; a command gets them as one ``Reading``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar, cast

import rich_click as click

from medidd.dicom.reading import BURNED_IN, CROPS, DEFAULT, FRAMES, VOIS, Reading
from medidd.dicom.views import CHOICES
from pipelines.cli.options.groups import FILMS

Command = TypeVar("Command", bound=Callable[..., Any])

NAMES = frozenset(field.name for field in fields(Reading)) - {"files", "patches"}
"""Parameters that are gathered into one, ``reading``. What the films are, their folder's option
says, and how they are cut, ``patches.cut``."""


def _gathered(command: Command) -> Command:
    """Hands the choices of ``Reading`` to the command as one of them."""

    @functools.wraps(command)
    def gathering(*args: Any, **values: Any) -> Any:
        chosen = {name: values.pop(name) for name in NAMES}
        try:
            values["reading"] = Reading(**chosen)
        except ValueError as error:
            raise click.UsageError(f"--{error}.", click.get_current_context()) from None
        return command(*args, **values)

    return cast("Command", gathering)


def accepted(_: click.Context, __: click.Parameter, given: str) -> tuple[str, ...]:
    """Reads kinds, parted by commas."""
    return tuple(kind for kind in given.lower().replace(" ", "").split(",") if kind)


def _views(_: click.Context, __: click.Parameter, given: str) -> tuple[str, ...]:
    return tuple(view for view in given.upper().replace(" ", "").split(",") if view)


_OPTIONS = (
    click.option(
        "--voi",
        type=click.Choice(VOIS),
        default=DEFAULT.voi,
        show_default=True,
        help="How stored values become display values: by the film's own look-up table or window, "
        "by percentiles, or by the whole range. Use percentile if devices are mixed.",
        panel=FILMS,
    ),
    click.option(
        "--views",
        default="",
        callback=_views,
        metavar="VIEW,...",
        help=f"Use only these views: {', '.join(CHOICES)}. Default: all.",
        panel=FILMS,
    ),
    click.option(
        "--frames",
        type=click.Choice(FRAMES),
        default=DEFAULT.frames,
        show_default=True,
        help="Which frame to use if a file has several.",
        panel=FILMS,
    ),
    click.option(
        "--burned-in",
        type=click.Choice(BURNED_IN),
        default=DEFAULT.burned_in,
        show_default=True,
        help="What to do with films whose header says that identifiers are burned into the "
        "image: reject the film, mask the text, or keep it. Films that only seem to show text are "
        "counted.",
        panel=FILMS,
    ),
    click.option(
        "--crop",
        type=click.Choice(CROPS),
        default=DEFAULT.crop,
        show_default=True,
        help="What to cut away: nothing, what shutter and collimator cover, or (auto) flat edges.",
        panel=FILMS,
    ),
    click.option(
        "--fast-j2k",
        is_flag=True,
        help="Decode JPEG 2000 at a lower resolution if that is enough.",
        panel=FILMS,
    ),
    click.option(
        "--accept",
        default="",
        callback=accepted,
        metavar="KIND,...",
        help="Use files that are refused by default: radiographs saved as secondary-capture, films "
        "with no-uid (SOP class, SOP instance or study UID is missing), and files behind symlinks.",
        panel=FILMS,
    ),
)


def reading(command: Command) -> Command:
    """Adds the options, in this order."""
    decorated = _gathered(command)
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
