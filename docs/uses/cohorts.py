"""Real films of known patients, and the sets that a hospital would make of them.

Each file holds ``images`` (n, H, W) uint8, ``labels`` (0 normal, 1 not), ``patient_ids`` and
``fold`` (0 to 4, by patient). Films of these cohorts are not part of this project.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from medidd.distill import distill
from pipelines.learning.asking import asking, standardized
from pipelines.learning.recipe import Recipe, recipe, usual_start
from pipelines.run.budget import Budget
from pipelines.run.release_file import quantized
from privacy.release import Films

DATA = Path(__file__).parents[3] / "shared" / "data"
"""Where the files are unless --data says otherwise."""

FILES = {
    "children": "kermany_pneumonia_128_dev.npz",
    "adults, pneumonia": "nih_pneumonia_224_dev.npz",
    "adults, any finding": "nih1000_abnormal_64.npz",
}
"""Children in Guangzhou (Kermany et al. 2018), and adults of the NIH Clinical Center (Wang et al.
2017) in two cohorts, by the names used here."""

WIDTH = 16
"""Filters per block of the ConvNet that sets are learned with."""

CLASSES = 2

CPU = torch.device("cpu")

Set = tuple[Tensor, Tensor]
"""Images as networks see them, (n, 1, H, W), and labels, (n, K)."""


@dataclass(frozen=True)
class Cohort:
    """The films of one hospital.

    Attributes:
        films: display values in [0, 1], (n, 1, H, W).
        fold: the fold of each film, (n,); all films of a patient are in one.
    """

    films: Films
    fold: NDArray[np.int8]

    def within(self, folds: Sequence[int]) -> Films:
        """Returns the films of these folds."""
        return self.films.at(np.flatnonzero(np.isin(self.fold, folds)).tolist())

    def without(self, folds: Sequence[int]) -> Films:
        """Returns the films of all other folds."""
        return self.films.at(np.flatnonzero(~np.isin(self.fold, folds)).tolist())


def read(folder: Path, names: Sequence[str], size: int) -> dict[str, Cohort]:
    """Reads cohorts and shrinks their films.

    Near-identical films that the file marks are left out. So are patients of a cohort who are in an
    earlier one: nobody is learned from under one name and judged on under another.

    Args:
        folder: of the files.
        names: of ``FILES``.
        size: height and width in pixels.

    Raises:
        FileNotFoundError: a file is not in the folder.
    """
    cohorts: dict[str, Cohort] = {}
    known: set[str] = set()
    for name in names:
        with np.load(folder / FILES[name]) as held:
            patients = held["patient_ids"].astype(str)
            keep = ~np.isin(patients, list(known))
            if "duplicate_of" in held:
                keep &= held["duplicate_of"] < 0
            pixels = torch.from_numpy(held["images"][keep]).float()[:, None] / 255
            labels = torch.from_numpy(held["labels"][keep].astype("int64"))
            fold, patients = held["fold"][keep], patients[keep]
        small = interpolate(pixels, size=(size, size), mode="bilinear", antialias=True)
        cohorts[name] = Cohort(Films(small, labels, patients.tolist()), fold)
        known |= set(patients)
    return cohorts


def seen(films: Films) -> Set:
    """Returns films as networks see them, (n, 1, H, W), and one-hot labels, (n, K)."""
    images, labels = standardized(films, CPU)
    return images, torch.eye(CLASSES)[labels]


def recipe_of(name: str, size: int, ipc: int, *, private: bool = False) -> Recipe:
    """Returns how a method or a baseline makes a set, by its defaults."""
    return recipe(
        name,
        start=usual_start(name, private=private),
        ipc=ipc,
        settings={},
        classes=CLASSES,
        size=size,
        width=WIDTH,
        private=private,
    )


def made(
    name: str, films: Films, ipc: int, rng: torch.Generator, budget: Budget | None = None
) -> Set:
    """Returns a set as a recipient has it: images (K * ipc, 1, H, W) and labels (K * ipc, K).

    Args:
        name: of a method, or of a start for a baseline.
        films: whom it is made of.
        ipc: images per class.
        rng: draws all but the noise of a guarantee.
        budget: the guarantee; None for none.
    """
    how = recipe_of(name, films.images.shape[-1], ipc, private=budget is not None)
    synthetic = how.begun(*standardized(films, CPU), rng)
    if how.method is not None:
        real = asking(budget, None)(how.releases, how.classes, films, CPU, rng)
        for _ in distill(how.method, synthetic, real, steps=how.steps, rng=rng):
            pass
    released = quantized(synthetic, {}).synthetic(CPU)
    return released.images, released.labels


def budget_for(films: Films, epsilon: float) -> Budget:
    """Returns a guarantee; the number of patients that it declares is rounded to hundreds."""
    return Budget(epsilon, patients=max(len(films.ids) // 100 * 100, 100))
