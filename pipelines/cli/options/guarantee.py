"""Options of the guarantee: differential privacy per patient, or none if the user says so.

Nothing heavy is imported here, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import rich_click as click

from pipelines.cli.options.groups import GUARANTEE
from pipelines.cli.options.shared import options

Command = TypeVar("Command", bound=Callable[..., Any])

NONE = "none"


def number_or_none(_: click.Context, __: click.Parameter, value: str) -> float | None:
    """Reads a number above 0, or the word none, which becomes None."""
    if str(value).lower() == NONE:
        return None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number <= MOST:
        raise click.BadParameter(
            f"{value!r} must be a number above 0 and at most {MOST}, or none. A larger epsilon "
            "promises a patient next to nothing; none says so."
        )
    return number


MOST = 10
"""Largest epsilon. At 10 an attacker can reach an AUC of .92, and above it the number misleads."""

DEFAULT = 2.0
"""The guarantee of a release for which nothing else is asked: the largest round number that meets
the residual risk of the policy by itself. docs/guarantee.md has the figures."""

_shared = options(
    click.option(
        "--delta",
        type=click.FloatRange(min=1e-12, max=1e-3),
        default=1e-5,
        show_default=True,
        help="Probability that the guarantee leaves out, at most 1 in 10 times --patients.",
        panel=GUARANTEE,
    ),
    click.option(
        "--patients",
        type=click.IntRange(min=20),
        default=1000,
        show_default=True,
        help="About how many patients there are: a round number that everybody may know. It "
        "decides the share that is held out. Never count the films for it.",
        panel=GUARANTEE,
    ),
)

_claimed = options(
    click.option(
        "--epsilon",
        type=click.FloatRange(min=0, min_open=True, max=MOST),
        default=DEFAULT,
        show_default=True,
        help="The guarantee of differential privacy per patient: smaller is stronger.",
        panel=GUARANTEE,
    ),
    _shared,
)

_guaranteed = options(
    click.option(
        "--epsilon",
        callback=number_or_none,
        metavar="NUMBER|none",
        default=f"{DEFAULT:g}",
        show_default=True,
        help="Guarantee of differential privacy per patient: smaller is stronger. none makes a "
        "release without a guarantee.",
        panel=GUARANTEE,
    ),
    _shared,
    click.option(
        "--total-epsilon",
        type=click.FloatRange(min=0, min_open=True, max=MOST),
        help="Most that all releases of the same patients together may spend. The first release "
        "fixes it. Default: the epsilon of the first release, so there can be no second one.",
        panel=GUARANTEE,
    ),
)


def guaranteed(command: Command) -> Command:
    """Adds the options, which reach the command as one ``Budget``, or None for no guarantee."""

    @functools.wraps(command)
    def without_patients(*args: Any, patients: int, **rest: Any) -> Any:  # noqa: ARG001
        return command(*args, **rest)

    return planned(cast("Command", without_patients))


def planned(command: Command) -> Command:
    """Adds the same options; the command gets the number of patients beside the ``Budget``."""

    @functools.wraps(command)
    def gathered(
        *args: Any,
        epsilon: float | None,
        delta: float,
        patients: int,
        total_epsilon: float | None,
        **rest: Any,
    ) -> Any:
        if epsilon is None and total_epsilon is not None:
            raise click.UsageError("--total-epsilon: there is no total without an --epsilon.")
        given = None if epsilon is None else _budget(epsilon, delta, patients, total_epsilon)
        return command(*args, budget=given, patients=patients, **rest)

    return _guaranteed(cast("Command", gathered))


def claimed(command: Command) -> Command:
    """Adds the options that state a guarantee, which reach the command as one ``Budget``."""

    @functools.wraps(command)
    def gathered(*args: Any, epsilon: float, delta: float, patients: int, **rest: Any) -> Any:
        return command(*args, budget=_budget(epsilon, delta, patients), **rest)

    return _claimed(cast("Command", gathered))


def _budget(epsilon: float, delta: float, patients: int, total: float | None = None) -> Any:
    """Returns the ``Budget`` of these numbers; those that do not fit each other are an error."""
    from pipelines.run.budget import Budget

    try:
        return Budget(epsilon, delta, patients, total)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None
