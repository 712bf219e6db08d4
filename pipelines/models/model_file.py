"""A model on disk.

MODEL/
    model.safetensors   weights, the synthetic images, and how films are prepared, as JSON
    model.onnx          the same classifier for programs without torch
    README.md           the model card

The folder is written as a whole or not at all. Reading it runs no code of the person who made it.
"""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from medidd.architectures import ARCHITECTURES
from medidd.dicom.reading import Reading
from pipelines.models.model import Model, architecture
from pipelines.models.model_card import card
from pipelines.models.onnx_file import onnx_of
from pipelines.models.received import Guarantee
from pipelines.run.errors import Exit, Stop
from pipelines.run.folders import write_whole
from pipelines.run.release_file import LEVELS
from pipelines.run.store import Json

WEIGHTS, ONNX, CARD = "model.safetensors", "model.onnx", "README.md"

VERSION, CUT = 1, 2
"""Of the format, for models of whole films and of patches.

A file of another one is refused: films would be prepared in another way.
"""

_KEY = "medidd model"
_LABELS = {"released.images": "released", "released.labels": "labels"}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Bundle(_Part):
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    method: str
    images: Annotated[int, Field(ge=1)]
    guarantee: Guarantee | None


class _About(_Part):
    """What ``about`` returns."""

    bundles: Annotated[list[_Bundle], Field(min_length=1)]
    training: dict[str, Any]
    seed: int
    renamed: dict[str, str]
    own_films: dict[str, int] | None = Field(alias="own films")
    weights: list[float]
    versions: dict[str, str]


class _Said(_Part):
    """What the file says besides the tensors."""

    version: int
    network: str
    width: Annotated[int, Field(ge=1, le=4096)]
    size: Annotated[int, Field(ge=2, le=4096)]
    classes: Annotated[list[str], Field(min_length=2)]
    reading: Json
    networks: Annotated[int, Field(ge=1, le=100)]
    about: _About
    film_classes: list[str] = Field(default=[], alias="film classes")


def write_model(place: Path, model: Model) -> None:
    """Writes all of the folder, or nothing.

    Raises:
        Stop: the folder cannot be written, or ONNX Runtime computes something else.
    """
    files = {WEIGHTS: _tensors(model), ONNX: onnx_of(model), CARD: card(model).encode()}
    write_whole(place, files, "--out")


def is_model(path: Path) -> bool:
    """Tells whether a folder is a model, or a file may be one."""
    return path.is_file() or (path / WEIGHTS).exists()


def read_model(path: Path) -> Model:
    """Reads a model from its folder, or from the file of its weights.

    Raises:
        Stop: there is none, it is damaged, or another version wrote it.
    """
    file = path if path.is_file() else path / WEIGHTS
    if not file.is_file():
        raise Stop(f"{path}: not a model; name the folder that medidd train wrote", Exit.USAGE)
    try:
        with safe_open(file, "pt") as opened:
            said = (opened.metadata() or {})[_KEY]
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        found = json.loads(said)
        if isinstance(found, dict) and found.get("version") != _version(found.get("reading")):
            raise Stop(
                f"{path}: a model of another version of medidd; train it again with medidd train",
                Exit.USAGE,
            )
        return _model(_Said.model_validate(found), tensors)
    except (
        *(SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError),
        AttributeError,  # a part of how films are read is of another type
    ):
        raise Stop(
            f"{path}: damaged, or not a model that medidd train wrote; train it again", Exit.USAGE
        ) from None


def _version(reading: object) -> int:
    return CUT if isinstance(reading, dict) and "patches" in reading else VERSION


def _tensors(model: Model) -> bytes:
    reading = model.reading.to_json()
    said = {
        "version": _version(reading),
        "network": model.network,
        "width": model.width,
        "size": model.size,
        "classes": list(model.classes),
        "reading": reading,
        "networks": len(model.thetas),
        "about": model.about,
    }
    if model.film_classes:
        said["film classes"] = list(model.film_classes)
    tensors = {
        f"{number}.{name}": weight.contiguous()
        for number, theta in enumerate(model.thetas)
        for name, weight in theta.items()
    }
    tensors["released.images"] = (model.released * LEVELS).round().to(torch.uint8)
    tensors["released.labels"] = model.labels.contiguous()
    data: bytes = save(tensors, {_KEY: json.dumps(said, sort_keys=True)})
    return data


def _model(said: _Said, tensors: dict[str, torch.Tensor]) -> Model:
    """Returns the model.

    Raises:
        ValueError: the tensors are not those of such networks.
    """
    if said.network not in ARCHITECTURES:
        raise ValueError("an unknown architecture")
    reading = Reading.from_json(said.reading)
    if (reading.patches is None) == bool(said.film_classes) or not set(said.film_classes) <= set(
        said.classes
    ):
        raise ValueError("other classes of films")
    images = tensors.pop("released.images")
    labels = tensors.pop("released.labels")
    if images.ndim != 4 or labels.shape != (len(images), len(said.classes)):
        raise ValueError("other synthetic images")
    if sum(one.images for one in said.about.bundles) != len(images):
        raise ValueError("other bundles")
    f = architecture(said.network, len(said.classes), said.size, said.width)
    shapes = {name: weight.shape for name, weight in f.init(torch.Generator()).items()}
    thetas = [
        {name: tensors.pop(f"{number}.{name}") for name in shapes}
        for number in range(said.networks)
    ]
    if tensors or any(theta[name].shape != shapes[name] for theta in thetas for name in shapes):
        raise ValueError("other weights")
    if not all(weight.isfinite().all() for theta in thetas for weight in theta.values()):
        raise ValueError("weights are not finite")
    return Model(
        said.network,
        said.width,
        said.size,
        tuple(said.classes),
        reading,
        tuple(thetas),
        images.to(torch.float32) / LEVELS,
        labels,
        said.about.model_dump(by_alias=True),
        tuple(name for name in said.classes if name in said.film_classes),
    )


def about(
    union: Json, *, training: Json, seed: int, renamed: Json, local: Json, weights: Json
) -> Json:
    """Returns what a model says of how it was made."""
    return {
        "bundles": union,
        "training": training,
        "seed": seed,
        "renamed": renamed,
        "own films": local,
        "weights": weights,
        "versions": {name: version(name) for name in ("medidd", "torch")},
    }
