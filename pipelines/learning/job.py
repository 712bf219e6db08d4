"""The frozen job of a run: all that decides its bytes, and nothing that names a patient."""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import torch

from medidd.dicom.folder.patients import Unit
from medidd.dicom.reading import DEFAULT, Reading
from pipelines.learning.processor import use
from pipelines.learning.recipe import Recipe, recipe
from pipelines.run.budget import Budget
from pipelines.run.errors import Exit, Stop
from pipelines.run.store import Json, Run, own


@dataclass(frozen=True)
class FrozenJob:
    """What a run was asked to do.

    Attributes:
        source: keyed hash of the folder and the table of labels.
        labelling: how the table is read.
        unit: what counts as one patient.
        method: a method, or a start for a baseline.
        start: where S begins.
        ipc: images per class.
        size: height and width in pixels.
        steps: updates of S, or None for the method's own number.
        preset: where the method's other fields come from.
        settings: the method's fields that were set.
        experts: how the experts that the method matches were trained; None where it needs none.
        width: filters per block of the ConvNet.
        seed: of everything random.
        device_name: "cpu" or "cuda".
        threads: of the CPU; another number rounds differently.
        max_refused: refused files allowed per usable film.
        reading: how films are read.
        budget: the guarantee that was asked for; None for a release without one.
        teachers: networks trained on the films that label S; 0 for none.
        precision: of convolutions, one of ``medidd.machine.precision.PRECISIONS``.
        denoiser: how the denoiser that the method draws from was made; None where it needs none.
    """

    source: str
    labelling: Mapping[str, Any]
    unit: Unit
    method: str
    start: str
    ipc: int
    size: int
    steps: int | None
    preset: str
    settings: Mapping[str, Any]
    experts: Mapping[str, Any] | None
    width: int
    seed: int
    device_name: str
    threads: int
    max_refused: float
    reading: Reading = DEFAULT
    budget: Budget | None = None
    teachers: int = 0
    precision: str = "float32"
    denoiser: Mapping[str, Any] | None = None

    @property
    def beforehand(self) -> Mapping[str, Any] | None:
        """How what the method needs was trained before it: experts, or a denoiser."""
        return self.experts if self.denoiser is None else self.denoiser

    @property
    def device(self) -> torch.device:
        """Where the run computes."""
        return torch.device(self.device_name)

    def settle(self) -> None:
        """Has this process compute as the run was asked to; another way rounds differently.

        Raises:
            Stop: the device has no such precision.
        """
        use(self.device, self.threads, self.precision)

    def recipe(self, classes: int) -> Recipe:
        """Returns the recipe for so many classes."""
        return recipe(
            self.method,
            start=self.start,
            ipc=self.ipc,
            settings=self.settings,
            classes=classes,
            size=self.size,
            width=self.width,
            steps=self.steps,
            preset=self.preset,
            private=self.budget is not None,
            teachers=self.teachers,
            denoiser=self.denoiser,
        )

    @property
    def held_out(self) -> float | None:
        """Public probability of being held out; None if roles are drawn by rank."""
        return None if self.budget is None else self.budget.held_out

    def digest(self) -> str:
        """Returns eight hexadecimal digits that name the job."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def to_json(self) -> Json:
        """Returns a plain dict."""
        return asdict(self) | {
            "settings": dict(self.settings),
            "labelling": dict(self.labelling),
            "reading": self.reading.to_json(),
        }

    @classmethod
    def from_json(cls, asked: Json) -> "FrozenJob":
        """Returns the job that ``to_json`` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is of another version of medidd.
        """
        budget = asked["budget"] and Budget(**asked["budget"])
        return cls(**(asked | {"reading": Reading.from_json(asked["reading"]), "budget": budget}))

    def facts(
        self, classes: tuple[str, ...], normalization: Json, guarantee: Json | None = None
    ) -> Json:
        """Returns what is written into the release: only what a recipient may know."""
        made = self.recipe(len(classes))
        return {
            "method": self.method,
            "start": made.origin,
            "ipc": made.shown,
            "classes": list(classes),
            "normalization": normalization,
            "reading": self.reading.to_json(),
            "guarantee": guarantee,
            "seed": self.seed,
            "steps": made.steps,
            "fields": made.fields,
            "ingredients": dict(made.ingredients),
            "teachers": made.teachers,
            "versions": versions(),
        }


def read_job(run: Run) -> FrozenJob:
    """Reads the frozen job of a run.

    Raises:
        Stop: another installation made it, or another version of medidd.
    """
    found = own(run)
    try:
        return FrozenJob.from_json(found["job"])
    except (KeyError, TypeError, ValueError):
        raise Stop(
            f"{run.path}: made by another version of medidd; make it again with medidd distill",
            Exit.USAGE,
        ) from None


def versions() -> dict[str, str]:
    """Returns the versions that may change a result."""
    packages = ("medidd", "torch", "numpy", "pydicom", "scikit-learn")
    named = {name: version(name) for name in packages}
    return named | {"python": ".".join(map(str, sys.version_info[:3]))}
