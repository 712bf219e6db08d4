"""All options of all commands, by the groups of ``--help``: the page docs/options.md.

python -m pipelines.cli.reference > docs/options.md
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import rich_click as click

from pipelines.cli.main import medidd
from pipelines.cli.options.groups import GROUPS

HEAD = """# Options

Every option of every command, in the groups that `--help` shows. This page is made from the code:

    python -m pipelines.cli.reference > docs/options.md

All of them but `--help` can also stand in a YAML file (`-c FILE`) for the commands that have
`--config`. The command line wins. `--set NAME=VALUE` sets a field of a method; `medidd methods`
lists these fields."""


class Row(NamedTuple):
    """One option as some commands have it."""

    name: str
    takes: str
    default: str
    text: str


def page() -> str:
    """Returns the page, as Markdown."""
    parts = [HEAD]
    for group in GROUPS:
        rows: dict[Row, list[str]] = {}
        for name, command in _commands(medidd, ""):
            for row in _rows(command, group):
                rows.setdefault(row, []).append(name)
        parts.append(f"\n## {group}\n\n| option | takes | default | meaning | commands |")
        parts.append("|---|---|---|---|---|")
        parts += [f"| {' | '.join(row)} | {', '.join(names)} |" for row, names in rows.items()]
    return "\n".join(parts) + "\n"


def _commands(group: click.Group, before: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _rows(command: click.Command, group: str) -> Iterator[Row]:
    context = click.Context(command)
    for option in command.params:
        if isinstance(option, click.RichOption) and option.panel == group:
            shown = option.to_info_dict()
            yield Row(
                f"`{'`, `'.join(option.opts)}`",
                "" if option.is_flag else _cell(_takes(option, context)),
                "required" if option.required else _default(shown["default"]),
                _cell(shown["help"] or ""),
            )


def _takes(option: click.Option, context: click.Context) -> str:
    """Returns what stands behind the option: a choice, a number and its range, or a word for it."""
    kind: dict[str, Any] = {**option.type.to_info_dict()}
    if "min" not in kind:
        return option.make_metavar(context)
    low, high = kind["min"], kind["max"]
    bounds = f"above {low}" if kind["min_open"] else f"{low} or more"
    return f"{kind['name'].split()[0]}, {bounds if high is None else f'{low} to {high}'}"


def _default(value: object) -> str:
    return f"`{value}`" if isinstance(value, str | int | float) and value not in (False, "") else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    click.echo(page(), nl=False)
