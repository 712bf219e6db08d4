"""How every command shows its progress and its answer.

Nothing heavy is imported here, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click

if TYPE_CHECKING:
    from pipelines.run.progress import Progress

Result = TypeVar("Result")


def followed(progress: Generator[Progress, None, Result]) -> Result:
    """Runs a command to its end under a progress bar on stderr; returns its result."""
    from pipelines.cli.terminal import Bars

    with Bars() as bars:
        while True:
            try:
                bars.show(next(progress))
            except StopIteration as end:
                result: Result = end.value
                return result


def show(answer: Any, *, as_json: bool) -> None:
    """Prints a summary: an object with ``json()`` and ``text()``."""
    render: Callable[[], str] = answer.text
    click.echo(json.dumps(answer.json(), sort_keys=True) if as_json else render())
