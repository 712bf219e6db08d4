"""From names and settings on a command line to the objects of the library.

A method's dataclass is the only place where its options are written; this reads them from there.
"""

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any, get_type_hints

import torch
from pydantic import TypeAdapter, ValidationError

from medidd.architectures import ARCHITECTURES
from medidd.distill import Method
from medidd.methods import METHODS
from medidd.network import Network
from medidd.starts import STARTS
from pipelines.stop import Exit, Stop

INGREDIENTS = ("network",)
"""Fields that are objects: the method that declares one is given it."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a synthetic set is made from films, whoever's films they are.

    Attributes:
        name: of the method, or of a start for a baseline.
        method: what is minimised; None for a baseline.
        start: where S begins.
        classes: K.
        ipc: images per class.
        steps: updates of S; 0 for a baseline.
        lr: the step size that S begins with.
        networks: architectures by name, ready for the images.
    """

    name: str
    method: Method | None
    start: str
    classes: int
    ipc: int
    steps: int
    lr: float
    networks: Mapping[str, Network]


def recipe(
    name: str,
    *,
    start: str,
    ipc: int,
    settings: Mapping[str, Any],
    classes: int,
    size: int,
    width: int,
    steps: int | None = None,
) -> Recipe:
    """Builds the recipe.

    Raises:
        Stop: a name or a value is not one of those there are.
    """
    networks = built(classes, size, width)
    known = ", ".join([*METHODS, *STARTS])
    if name not in METHODS | STARTS:
        raise Stop(f"unknown method '{name}'; there are: {known}", Exit.USAGE)
    if start not in STARTS:
        raise Stop(f"unknown start '{start}'; there are: {', '.join(STARTS)}", Exit.USAGE)
    if name in STARTS:
        if settings:
            raise Stop(f"'{name}' is a start and has no fields to set; drop --set", Exit.USAGE)
        return Recipe(name, None, name, classes, ipc, 0, 0.01, networks)
    chosen = {"lr": 0.05, **settings}
    lr = _checked(float, "lr", chosen.pop("lr"))
    if not lr > 0:
        raise Stop("lr: the step size must be above 0", Exit.USAGE)
    method = configured(name, chosen | ({} if steps is None else {"steps": steps}), networks)
    if method.steps < 1:
        raise Stop("steps must be 1 or more", Exit.USAGE)
    return Recipe(name, method, start, classes, ipc, method.steps, lr, networks)


@cache
def built(classes: int, size: int, width: int) -> Mapping[str, Network]:
    """Returns every architecture for gray images of ``size`` px.

    Kept, for a run asks many times and a ResNet takes a quarter of a second; a network has no
    weights of its own, so it can be shared.

    Raises:
        Stop: the images are too small for one of them.
    """
    try:
        return {
            name: make(classes, 1, size, **({"width": width} if name == "convnet" else {}))
            for name, make in ARCHITECTURES.items()
        }
    except ValueError as error:
        raise Stop(f"--size: {error}", Exit.USAGE) from None


def configured(name: str, settings: Mapping[str, Any], networks: Mapping[str, Network]) -> Method:
    """Returns the method with its fields set.

    Raises:
        Stop: a field is unknown or its value is of the wrong type.
    """
    kind = METHODS[name]
    fields = settable(kind)
    for field in settings:
        if field not in fields:
            raise Stop(
                f"unknown field '{field}' of method {name}; it has: {', '.join(fields)}",
                Exit.USAGE,
            )
    values = {field: _checked(fields[field], field, value) for field, value in settings.items()}
    try:
        method: Method = kind(network=networks["convnet"], **values)
        return method
    except ValueError as error:
        raise Stop(f"--set: {error}", Exit.USAGE) from None


def settable(kind: type[Any]) -> dict[str, Any]:
    """Returns the fields of a method that a user can set, with their types."""
    hints = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind) if field.name not in INGREDIENTS]
    return {name: hints[name] for name in names}


def _checked(kind: Any, field: str, value: Any) -> Any:
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        why = error.errors()[0]["msg"].lower()
        raise Stop(f"field '{field}': {why}; got {value!r}", Exit.USAGE) from None


def device(name: str) -> torch.device:
    """Returns the device that "auto", "cpu" or "cuda" stands for.

    Raises:
        Stop: CUDA is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise Stop("no CUDA device is usable here; use --device cpu or auto", Exit.USAGE)
    return torch.device("cuda" if available and name != "cpu" else "cpu")
