"""The fields of a method as a user sets them: names become objects, values are checked.

A method's dataclass is the only place where its options are written; this reads them from there.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from medidd import fields
from medidd.architectures import ARCHITECTURES
from medidd.denoisers.trained import Trained
from medidd.distill import Method
from medidd.experts.trajectories import Trajectories
from medidd.features import FEATURES
from medidd.kernels import KERNELS
from medidd.methods import METHODS
from medidd.network import Network, Several
from pipelines.run.errors import Exit, Stop

INGREDIENTS = {"network": "convnet", "kernel": "fc", "features": "dct"}
"""Fields that are objects with names, and their default names. A method gets those it declares."""

TRAINED = ("experts", "denoiser")
"""Fields that are objects trained on the films beforehand; nobody sets them by name."""

CHOICES: Mapping[str, Mapping[str, Any]] = {
    "network": ARCHITECTURES,
    "kernel": KERNELS,
    "features": FEATURES,
}
"""What there is of each."""

FROM_ONE, FROM_ZERO = (Annotated[int, Field(ge=least, lt=2**63, strict=True)] for least in (1, 0))

NUMBERS: Mapping[Any, Any] = {
    int: FROM_ONE,
    int | None: FROM_ZERO | None,
    float: Annotated[float, Field(ge=0, allow_inf_nan=False)],
}
"""Which values a count, a seed, or a rate or strength may have."""

SEVERAL = "+"
"""Joins names of architectures; each time weights are drawn, one of them is drawn first."""


def _known_networks(names: str) -> str:
    if unknown := [name for name in names.split(SEVERAL) if name not in ARCHITECTURES]:
        there = ", ".join(ARCHITECTURES)
        raise ValueError(
            f"unknown network '{unknown[0]}'; there are {there}, and sums: convnet+mlp"
        )
    return names


NETWORK = Annotated[str, AfterValidator(_known_networks)]


def configured(
    name: str,
    settings: Mapping[str, Any],
    networks: Mapping[str, Network],
    denoiser: Trained | None = None,
) -> Method:
    """Returns the method with its fields set.

    Args:
        name: of the method.
        settings: fields that were set.
        networks: architectures by name.
        denoiser: for a method that draws from one.

    Raises:
        Stop: a field is unknown or its value is of the wrong type.
    """
    kind = METHODS[name]
    known = settable(kind)
    for field in settings:
        if field not in known:
            raise Stop(
                f"unknown field '{field}' of method {name}; it has: {', '.join(known)}",
                Exit.USAGE,
            )
    defaults = {field: name for field, name in INGREDIENTS.items() if field in known}
    chosen: dict[str, Any] = {**defaults, **settings}
    values = {field: _checked(known[field], field, value) for field, value in chosen.items()}
    try:
        if "network" in values:
            named = [networks[one] for one in values["network"].split(SEVERAL)]
            values["network"] = named[0] if len(named) == 1 else Several(tuple(named))
        if "experts" in fields.fields(kind):
            # Whose they are is known once the films are read; see ``on_experts``.
            values["experts"] = Trajectories(Path(), values["network"], {})
        if "denoiser" in fields.fields(kind):
            values["denoiser"] = denoiser
        if "kernel" in values:
            values["kernel"] = KERNELS[values["kernel"]]()
        if "features" in values:
            values["features"] = FEATURES[values["features"]]()
        method: Method = fields.make(kind, values)
        return method
    except ValueError as error:
        raise Stop(f"--set: {error}", Exit.USAGE) from None


def settable(kind: type[Any]) -> dict[str, Any]:
    """Returns the fields of a method that a user can set, with their types.

    An ingredient is set by its name. An expert's first epoch is number 0, no bank, sketch or
    refinement is one of 0, and networks that are never trained take 0 steps ``online``. A method
    that draws from a denoiser can take none.
    """
    drawing: dict[str, Any] = {"steps": FROM_ZERO} if hasattr(kind, "origin") else {}
    own = {
        "network": NETWORK,
        "kernel": Literal[*KERNELS],
        "features": Literal[*FEATURES],
        **dict.fromkeys(("last_start", "bank", "sketch", "refined", "online"), FROM_ZERO),
        **drawing,
    }
    return {
        name: own.get(name, NUMBERS.get(of, of))
        for name, of in fields.types(kind).items()
        if name not in TRAINED
    }


def _checked(kind: Any, field: str, value: Any) -> Any:
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        why = error.errors()[0]["msg"].lower().removeprefix("value error, ")
        raise Stop(f"field '{field}': {why}; got {value!r}", Exit.USAGE) from None
