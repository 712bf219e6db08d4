"""Options that say how films are read; a command gets them as one ``Reading``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar, cast

import rich_click as click

from medidd.dicom.reading import BURNED_IN, CROPS, DEFAULT, FRAMES, VOIS, Reading
from medidd.dicom.views import CHOICES

Command = TypeVar("Command", bound=Callable[..., Any])

NAMES = frozenset(field.name for field in fields(Reading))
"""Parameters that are gathered into one, ``reading``."""


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


def _views(_: click.Context, __: click.Parameter, given: str) -> tuple[str, ...]:
    return tuple(view for view in given.upper().replace(" ", "").split(",") if view)


_OPTIONS = (
    click.option(
        "--voi",
        type=click.Choice(VOIS),
        default=DEFAULT.voi,
        show_default=True,
        help="What makes display values: the films' own look-up table or window, percentiles, or "
        "the whole range. Take percentile where devices are mixed.",
    ),
    click.option(
        "--views",
        default="",
        callback=_views,
        metavar="VIEW,...",
        help=f"Use these views alone, of {', '.join(CHOICES)}. Default: all.",
    ),
    click.option(
        "--frames",
        type=click.Choice(FRAMES),
        default=DEFAULT.frames,
        show_default=True,
        help="Which frame of several is used.",
    ),
    click.option(
        "--burned-in",
        type=click.Choice(BURNED_IN),
        default=DEFAULT.burned_in,
        show_default=True,
        help="Films that say they show identifiers: reject them (and count those that seem to), "
        "mask the text, or keep it.",
    ),
    click.option(
        "--crop",
        type=click.Choice(CROPS),
        default=DEFAULT.crop,
        show_default=True,
        help="Cut away nothing, what shutter and collimator cover, or flat edges.",
    ),
    click.option(
        "--fast-j2k",
        is_flag=True,
        help="Decode JPEG 2000 at a lower resolution, where that is enough.",
    ),
)


def reading(command: Command) -> Command:
    """Adds the options, in this order."""
    decorated = _gathered(command)
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
