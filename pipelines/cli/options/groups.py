"""The groups of options, and how every ``--help`` shows them: on 80 columns, in this order."""

from collections.abc import Callable
from typing import Any, TypeVar

import rich_click as click

Command = TypeVar("Command", bound=Callable[..., Any])

FILMS = "Films"
LABELS = "Labels"
PATCHES = "Patches"
METHOD = "Method"
GUARANTEE = "Guarantee"
AUDIT = "Audit"
FOREIGN = "A set made elsewhere"
EXPORT = "Export"
RECIPIENT = "Bundles"
RUN = "Run"
MACHINE = "Machine"

GROUPS = (
    AUDIT,
    FOREIGN,
    EXPORT,
    RECIPIENT,
    FILMS,
    LABELS,
    PATCHES,
    METHOD,
    GUARANTEE,
    RUN,
    MACHINE,
)

STYLE = click.RichHelpConfiguration(
    max_width=100,
    # What an option takes stands behind its text: as a column it leaves the text 26 characters.
    options_table_column_types=["required", "opt_short", "opt_long", "help"],
    options_table_help_sections=["help", "metavar", "default", "required"],
    options_panel_title="Help",
)


def grouped(command: Command) -> Command:
    """Shows the options of a command in the order of ``GROUPS``."""
    for name in reversed(GROUPS):
        command = click.option_panel(name)(command)
    return command
