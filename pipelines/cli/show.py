"""How every command shows its progress and its answer.

Nothing heavy is imported here, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click

if TYPE_CHECKING:
    from pipelines.run.progress import Progress

Result = TypeVar("Result")


def followed(progress: Generator[Progress, None, Result]) -> Result:
    """Runs a command to its end under a progress bar on stderr; returns its result."""
    from pipelines.cli.terminal import Bars

    # What is stopped must end its processes now, not when Python ends.
    with closing(progress), Bars() as bars:
        while True:
            try:
                bars.show(next(progress))
            except StopIteration as end:
                result: Result = end.value
                return result


def show(answer: Any, *, as_json: bool) -> None:
    """Prints a summary: an object with ``json()`` and ``text()``."""
    if as_json:
        click.echo(json.dumps(answer.json(), sort_keys=True))
        return
    render: Callable[[], str] = answer.text
    click.echo(fitted(render(), sys.stdout.isatty() and shutil.get_terminal_size().columns))


def fitted(text: str, columns: int) -> str:
    """Returns text whose lines fit so many columns, broken between words; 0 for any length.

    A line goes on deeper than it begins. A script that reads the output gets whole lines.
    """
    if not columns:
        return text
    return "\n".join(
        textwrap.fill(
            line,
            columns,
            subsequent_indent=" " * (len(line) - len(line.lstrip()) + 4),
            replace_whitespace=False,
            break_long_words=False,
            break_on_hyphens=False,
        )
        if len(line) > columns
        else line
        for line in text.split("\n")
    )
