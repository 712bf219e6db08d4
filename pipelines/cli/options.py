"""Options that several commands share, and how values are read from YAML.

Nothing heavy is imported here, so that ``medidd --help`` is there at once.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import rich_click as click
import yaml

from pipelines.cli.groups import FILMS, MACHINE, METHOD, RUN
from pipelines.cli.label_options import labelled, unit
from pipelines.cli.reading_options import reading

Command = TypeVar("Command", bound=Callable[..., Any])

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
ANY_PATH = click.Path(path_type=Path)


def configured(context: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """Takes a YAML file's values as defaults, so that the command line wins."""
    if path is None:
        return None
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


def finite(_: click.Context, __: click.Parameter, value: float) -> float:
    """Refuses infinity and what is no number: both pass a range."""
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number.")
    return value


def options(*chosen: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Returns one decorator that adds several options, in this order."""

    def decorated(command: Command) -> Command:
        for option in reversed(chosen):
            command = option(command)
        return command

    return decorated


max_refused = click.option(
    "--max-rejected",
    "max_refused",
    type=click.FloatRange(min=0),
    callback=finite,
    default=0.2,
    show_default=True,
    help="How many files may be unusable, per usable film.",
    panel=FILMS,
)

size = click.option(
    "--size",
    type=click.IntRange(16, 256),
    default=64,
    show_default=True,
    help="Height and width of the images, in pixels.",
    panel=FILMS,
)

steps = click.option(
    "--steps",
    type=click.IntRange(min=1),
    help="Updates of the images. Default: the method's own.",
    panel=METHOD,
)

settings = click.option(
    "--set",
    "settings",
    multiple=True,
    callback=parsed,
    metavar="NAME=VALUE",
    help="Sets a field of the method. medidd methods lists them. Can be repeated.",
    panel=METHOD,
)


def films(command: Command) -> Command:
    """Adds the options about films, which reach the command as one ``Studies``."""

    @functools.wraps(command)
    def gathered(*args: Any, **given: Any) -> Any:
        studies, rest = _studies(**given)
        if studies is None:
            raise click.UsageError("Name the films by --dicom-dir or by --images, by one of both.")
        return command(*args, studies=studies, **rest)

    return _about_films(cast("Command", gathered))


def films_or_none(command: Command) -> Command:
    """Adds the same options; without a folder the command gets None, and the size beside it."""

    @functools.wraps(command)
    def gathered(*args: Any, **given: Any) -> Any:
        studies, rest = _studies(**given)
        return command(*args, studies=studies, size=given["size"], **rest)

    return _about_films(cast("Command", gathered))


def _studies(*, dicom_dir: Path | None, images: Path | None, **given: Any) -> tuple[Any, Any]:
    """Returns the ``Studies`` of the options, None without a folder, and all other options."""
    from pipelines.run.films import Studies

    own = ("labels", "size", "unit", "max_refused", "reading", "strict")
    how, folder = {name: given.pop(name) for name in own}, dicom_dir or images
    if dicom_dir and images:
        raise click.UsageError("Name the films by --dicom-dir or by --images, by one of both.")
    if images:
        how["reading"] = replace(how["reading"], files="pictures")
    try:
        return folder and Studies(folder, **how), given
    except ValueError as error:
        raise click.UsageError(f"--unit: {error}.") from None


_about_films = options(
    click.option(
        "--dicom-dir",
        type=FOLDER,
        help="Folder of DICOM studies. This option or --images is required.",
        panel=FILMS,
    ),
    click.option(
        "--images",
        type=FOLDER,
        help="Folder of gray PNG, JPEG or TIFF films without DICOM. Name the patients by "
        "--patient-column or --patient-pattern, else no audit can pass.",
        panel=FILMS,
    ),
    labelled,
    size,
    unit,
    click.option(
        "--strict",
        is_flag=True,
        help="Refuse films that contradict themselves about whose they are: a study with several "
        "PatientIDs, a PatientID with several issuers, an accession number or a key of the table "
        "of labels that finds several patients. Without this option, they are counted.",
        panel=FILMS,
    ),
    max_refused,
    reading,
)

seed = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of everything that is random.",
    panel=RUN,
)

_device = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to compute. auto takes a GPU if there is one.",
    panel=MACHINE,
)

_width = click.option(
    "--width",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    help="Filters per block of the ConvNet.",
    panel=METHOD,
)

_threads = click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="CPU threads. Small networks gain little from more than one.",
    panel=MACHINE,
)

_precision = click.option(
    "--precision",
    type=click.Choice(["float32", "tf32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Precision of convolutions. tf32 is faster on a GPU; bfloat16 on a GPU, and on a CPU with "
    "AMX.",
    panel=MACHINE,
)


def shared(_: click.Context, __: click.Parameter, text: object) -> Any:
    """Returns who shares the work; see ``pipelines.workers.choice``."""
    from pipelines.workers.choice import workers

    try:
        return workers(str(text))
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


workers = click.option(
    "--workers",
    callback=shared,
    default="2",
    show_default=True,
    metavar="N|local|ray",
    help="Processes that share the work. local is one per processor; ray is the cluster of "
    "RAY_ADDRESS, or a new one of this computer; ray://HOST:PORT is another cluster.",
    panel=MACHINE,
)

machine = options(_device, _threads)
processing = options(_device, _width, _threads, _precision)
computing = options(seed, processing)

resume = click.option("--resume", is_flag=True, help="Continue a run that was stopped.", panel=RUN)
as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on stdout.", panel=RUN
)


def network(default: str) -> Callable[[Command], Command]:
    """Returns the option that names an architecture."""
    known = click.Choice(["convnet", "mlp", "lenet", "alexnet", "vgg11", "resnet18"])
    return click.option(
        "--network",
        type=known,
        default=default,
        show_default=True,
        help="Architecture of the networks.",
        panel=METHOD,
    )


config = click.option(
    "-c",
    "--config",
    type=FILE,
    is_eager=True,
    expose_value=False,
    callback=configured,
    help="YAML file with these options. The command line wins.",
    panel=RUN,
)
