"""Options that most commands share, and how values are read from YAML.

Nothing heavy is imported here, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click
import yaml

import pipelines
from pipelines.cli.options.groups import RUN

Command = TypeVar("Command", bound=Callable[..., Any])

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
ANY_PATH = click.Path(path_type=Path)


RECIPES = Path(pipelines.__file__).parent / "recipes"
"""Configurations that medidd comes with."""


def configured(context: click.Context, _: click.Parameter, given: str | None) -> Path | None:
    """Takes a YAML file's values as defaults, so that the command line wins."""
    if given is None:
        return None
    path = next(filter(Path.is_file, (Path(given), RECIPES / f"{given}.yaml")), None)
    if path is None:
        known = ", ".join(sorted(path.stem for path in RECIPES.glob("*.yaml")))
        raise click.BadParameter(f"{given}: no such file, and no such recipe; there are: {known}.")
    try:
        found = yaml.safe_load(path.read_text()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise click.BadParameter(f"{path}: cannot be read as YAML.") from None
    if not isinstance(found, dict):
        raise click.BadParameter(f"{path}: must map option names to values.")
    options = {
        name.lstrip("-"): str(parameter.name)
        for parameter in context.command.params
        for name in parameter.opts
        if name.startswith("--") and name != "--config"
    }
    for name in found:
        if name not in options:
            known = ", ".join(sorted(options))
            raise click.BadParameter(f"{path}: unknown option '{name}'; there are: {known}.")
        if found[name] is None:  # click would take it for the option's own kind of nothing
            raise click.BadParameter(
                f"{path}: option '{name}' has no value; write one, or leave the option out."
            )
    values = {options[name]: value for name, value in found.items()}
    if isinstance(fields := values.get("settings"), dict):
        values["settings"] = [f"{field}={json.dumps(value)}" for field, value in fields.items()]
    context.default_map = {**(context.default_map or {}), **values}
    return path


def parsed(_: click.Context, __: click.Parameter, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Reads NAME=VALUE pairs; a value is YAML, so 0.5, true and [a, b] are what they look like."""
    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"'{pair}' is not of the form name=value.")
        try:
            settings[name.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise click.BadParameter(f"'{pair}' has no readable value.") from None
    return settings


def finite(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    """Refuses infinity and what is no number: both pass a range."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number.")
    return value


def options(*chosen: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Returns one decorator that adds several options, in this order."""

    def decorated(command: Command) -> Command:
        for option in reversed(chosen):
            command = option(command)
        return command

    return decorated


resume = click.option("--resume", is_flag=True, help="Continue a run that was stopped.", panel=RUN)
as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on stdout.", panel=RUN
)

config = click.option(
    "-c",
    "--config",
    metavar="FILE|NAME",
    is_eager=True,
    expose_value=False,
    callback=configured,
    help="YAML file with these options, or the name of a recipe: chest, gastric. The command line "
    "wins.",
    panel=RUN,
)
