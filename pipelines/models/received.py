"""A bundle as a recipient has it: the images, and what it says of itself.

The sender may be anybody, and check sums can be made anew, so nothing in the file is trusted:
what it says is checked before it is used.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open
from torch import Tensor

from medidd.augment import RADIOGRAPH, draw
from medidd.data import NORMALIZATION
from medidd.dicom.reading import Reading
from medidd.evaluate import Training
from pipelines.run.errors import Exit, Stop
from pipelines.run.release_file import LEVELS
from pipelines.run.store import Json

RELEASE = "synthetic.safetensors"

_Count = Annotated[int, Field(ge=1, le=10**6)]
_Rate = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
_Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
_OTHER_VERSION = (
    "made by another version of medidd; install the version that its README.md names, or ask the "
    "sender to export it again"
)


class _Said(BaseModel):
    """A part of what a release says; more may stand there, but not less."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class Recipe(_Said):
    """How the sender trained, as ``pipelines.evaluation.utility.told`` writes it."""

    steps: _Count
    batch: _Count
    lr: _Rate
    momentum: _Rate
    weight_decay: _Rate
    augment: list[str]
    noise: _Rate
    averaged: Annotated[float, Field(ge=0, le=1)]
    networks: Annotated[int, Field(ge=1, le=100)]
    width: Annotated[int, Field(ge=1, le=4096)]

    def training(self) -> Training:
        """Returns the training.

        Raises:
            ValueError: it augments images in a way that this version does not know.
        """
        if self.augment not in ([], list(RADIOGRAPH)):
            raise ValueError("another augmentation")
        return Training(
            self.steps,
            self.batch,
            self.lr,
            self.momentum,
            self.weight_decay,
            draw if self.augment else None,
            self.noise,
            self.averaged,
        )


class Guarantee(_Said):
    """What the sender promises, in short."""

    epsilon: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    delta: Annotated[float, Field(ge=0, lt=1)]


class _Patches(_Said):
    """How films were cut, of which the numbers are checked where they are used."""

    size: _Count
    stride: _Count
    frame: _Count
    background: _Name


class _Facts(_Said):
    classes: Annotated[list[_Name], Field(min_length=2, max_length=1000)]
    method: Annotated[str, Field(pattern=r"^[\w+-]{1,60}$")]
    ipc: _Count
    normalization: Json
    reading: dict[str, Any]
    training: Recipe
    guarantee: Guarantee | None
    film_classes: list[_Name] = Field(default=[], alias="film classes")


@dataclass(frozen=True, eq=False)
class Received:
    """A bundle.

    Attributes:
        path: its folder.
        images: display values, (n, 1, H, W), float32.
        labels: (n, K), float32.
        classes: names of the K classes.
        reading: how the sender read films.
        recipe: how the sender trained.
        method: how the images were made.
        guarantee: what the sender promises; None for nothing.
        sha256: of the release file.
        film_classes: of films that were cut, the classes that films have; else empty.
    """

    path: Path
    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    reading: Reading
    recipe: Recipe
    method: str
    guarantee: Guarantee | None
    sha256: str
    film_classes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Height and width in pixels."""
        return self.images.shape[-1]

    @property
    def standardised(self) -> Tensor:
        """The images as networks see them, (n, 1, H, W)."""
        return NORMALIZATION.standardize(self.images)

    def about(self) -> Json:
        """Returns what a model says of the bundle: nothing that names its folder."""
        return {
            "sha256": self.sha256,
            "method": self.method,
            "images": len(self.images),
            "guarantee": self.guarantee and self.guarantee.model_dump(),
        }


def read_bundle(path: Path) -> Received:
    """Reads a bundle that ``verify`` found whole.

    Raises:
        Stop: another version made it.
    """
    file = path / RELEASE
    try:
        with safe_open(file, "pt") as opened:
            said = json.loads((opened.metadata() or {})["medidd"])
            levels, labels = opened.get_tensor("images"), opened.get_tensor("labels")
        facts = _Facts.model_validate(said)
        _require_known(facts)
        reading = Reading.from_json(facts.reading)
        _require_shapes(levels, labels, len(facts.classes))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError):
        # ValidationError is a ValueError.
        raise Stop(f"{path}: {_OTHER_VERSION}", Exit.USAGE) from None
    return Received(
        path,
        levels.to(torch.float32) / LEVELS,
        labels,
        tuple(facts.classes),
        reading,
        facts.training,
        facts.method,
        facts.guarantee,
        hashlib.sha256(file.read_bytes()).hexdigest(),
        tuple(name for name in facts.classes if name in facts.film_classes),
    )


def _require_known(facts: _Facts) -> None:
    if facts.normalization != {
        "mean": NORMALIZATION.mean,
        "std": NORMALIZATION.std,
        "levels": LEVELS,
    }:
        raise ValueError("another scale")
    if len(set(facts.classes)) < len(facts.classes):
        raise ValueError("two classes have one name")
    if (patches := facts.reading.get("patches")) is not None:
        _Patches.model_validate(patches)
    if sorted(set(facts.film_classes) & set(facts.classes)) != sorted(facts.film_classes) or (
        bool(facts.film_classes) != (patches is not None)
    ):
        raise ValueError("other classes of films")
    facts.training.training()


def _require_shapes(levels: Tensor, labels: Tensor, classes: int) -> None:
    square = levels.ndim == 4 and levels.shape[1] == 1 and levels.shape[2] == levels.shape[3]
    fits = labels.shape == (len(levels), classes) and labels.dtype == torch.float32
    if not (square and fits and len(levels) and levels.dtype == torch.uint8):
        raise ValueError("other tensors")
    if not labels.isfinite().all():
        raise ValueError("labels are not finite")
