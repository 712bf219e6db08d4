"""The commands on guarantees: options only, no logic.

Everything heavy is imported inside the commands, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

from typing import Any

import rich_click as click

from pipelines.cli.options.films import size
from pipelines.cli.options.groups import FILMS, METHOD, RUN, grouped
from pipelines.cli.options.guarantee import claimed
from pipelines.cli.options.learning import settings
from pipelines.cli.options.shared import as_json
from pipelines.cli.show import followed, show


@click.group("dp")
def dp() -> None:
    """Plan and test guarantees of differential privacy."""


@dp.command("plan")
@click.option(
    "--method", default="moments", show_default=True, help="Distillation method.", panel=METHOD
)
@click.option(
    "--ipc",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Images per class.",
    panel=METHOD,
)
@click.option(
    "--classes",
    type=click.IntRange(min=2),
    default=2,
    show_default=True,
    help="Number of classes.",
    panel=FILMS,
)
@size
@settings
@claimed
@as_json
@grouped
def plan_command(*, as_json: bool, **options: Any) -> None:
    """Say whether a method can work under a guarantee, before any film is read."""
    from pipelines.commands import guarantee

    show(guarantee.plan(guarantee.Plan(**options)), as_json=as_json)


@dp.command("audit")
@click.option(
    "--trials",
    type=click.IntRange(min=100),
    default=1000,
    show_default=True,
    help="Releases of each of two neighbouring invented cohorts.",
    panel=RUN,
)
@claimed
@as_json
@grouped
def audit_command(*, as_json: bool, **options: Any) -> None:
    """Try to refute a guarantee: attack the mechanism of this installation on invented cohorts."""
    from pipelines.commands import guarantee

    show(followed(guarantee.audit(guarantee.Audit(**options))), as_json=as_json)


COMMANDS = (dp,)
