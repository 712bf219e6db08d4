"""The releases and the sets of films of ``shift.py``.

    python benchmarks/shift_sets.py --shared ../shared/data --to releases

makes the releases, one file each; those that are there already are not made again. Members are the
patients of folds 1 to 4, so that those of fold 0 were never learned from. The drawn films have
folds by patient number.
"""

import csv
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from pydicom import dcmread
from torch import Tensor
from torch.nn.functional import interpolate

from medidd.data import NORMALIZATION
from medidd.dicom.pixels.pixels import RadiographReader
from medidd.distill import Decodes, distill
from medidd.machine.allocator import keep_memory
from pipelines.learning.asking import asking
from pipelines.learning.recipe import recipe, usual_start
from pipelines.run.budget import Budget
from pipelines.run.release_file import quantized
from privacy.release import Films

WIDTH = 16
SHORT: dict[str, dict[str, Any]] = {
    "rfad": {"steps": 150, "batch": 64},
    "dm": {"steps": 100, "batch": 64},
    "kip": {},
    "idc": {"steps": 80, "inner_steps": 10, "net_steps": 2, "batch": 32, "lr_images": 2.0},
    "dsa": {"steps": 30, "inner_steps": 5, "net_epochs": 5, "batch": 32, "lr_images": 2.0},
    "moments": {},
}
"""Fields that differ from the methods' defaults, to make a release in a minute."""

DRAWN = Path(__file__).resolve().parents[1] / "sample_data"
FILES = {
    "kermany": "kermany_pneumonia_128_dev.npz",
    "nih": "nih_pneumonia_224_dev.npz",
    "nih1000": "nih1000_abnormal_64.npz",
    "covid": "covid_cxr_128_ccby.npz",
}


@dataclass(frozen=True)
class Asked:
    """A release to be made.

    Attributes:
        source: whose films.
        method: its name; with ``epsilon`` 0 it has no guarantee.
        epsilon: of the guarantee.
        ipc: images per class.
        size: pixels.
        seed: of the run, and of the draw of its patients.
        patients: how many are members, drawn at random; 0 for all of folds 1 to 4.
        declared: number of patients that the guarantee is told.
    """

    source: str
    method: str
    epsilon: float = 0.0
    ipc: int = 3
    size: int = 64
    seed: int = 0
    patients: int = 0
    declared: int = 1000

    @property
    def name(self) -> str:
        """The file's name."""
        under = f"eps{self.epsilon:g}" if self.epsilon else "free"
        usual = f"{self.source}_{self.method}_{under}_ipc{self.ipc}_{self.size}px_{self.seed}"
        few = f"_of{self.patients}" if self.patients else ""
        return usual + few + (f"_as{self.declared}" if self.declared != 1000 else "")


RELEASES = (
    Asked("kermany", "moments", 2),
    Asked("kermany", "rfad"),
    Asked("kermany", "dm"),
    Asked("kermany", "kip"),
    Asked("nih", "moments", 2),
    Asked("kermany", "idc", ipc=1),
    Asked("kermany", "dsa"),
    Asked("kermany", "moments"),
    Asked("kermany", "moments", 2, seed=1),
    Asked("kermany", "rfad", seed=1),
    Asked("kermany", "moments", 2, ipc=1),
    Asked("kermany", "moments", 2, ipc=10),
    Asked("nih", "rfad"),
    Asked("drawn", "moments", 2),
    Asked("nih", "moments"),
    Asked("nih", "dm"),
    Asked("nih", "kip"),
    Asked("drawn", "rfad"),
    Asked("drawn", "dm"),
    Asked("kermany", "moments", 2, size=32),
    Asked("nih", "moments", 2, size=32),
    Asked("kermany", "rfad", size=32),
    Asked("nih", "moments", 2, seed=1),
    Asked("nih", "idc", ipc=1),
    Asked("drawn", "moments", 2, seed=1),
    Asked("kermany", "dm", seed=1),
    Asked("kermany", "moments", 2, seed=2),
    Asked("kermany", "moments", 2, size=128),
)

FEW = (
    *(
        Asked("kermany", "moments", 2, seed=seed, patients=patients, declared=declared)
        for patients in (150, 200, 300, 500)
        for seed, declared in ((0, patients), (1, 1000))
    ),
    *(
        Asked("nih", "moments", 2, seed=seed, patients=patients, declared=declared)
        for patients in (150, 300)
        for seed, declared in ((0, patients), (1, 1000))
    ),
    *(Asked("drawn", "moments", 2, seed=seed, declared=200) for seed in (2, 3)),
    *(
        Asked("kermany", "moments", 2, seed=2, patients=patients)
        for patients in (150, 200, 300, 500)
    ),
)
"""Releases of few patients, the declared number right and too large. It should not matter: sums and
counts are divided by it alike."""


@click.command()
@click.option("--shared", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--to", type=click.Path(path_type=Path), required=True, help="Folder.")
def main(shared: Path, to: Path) -> None:
    """Makes what is missing."""
    torch.set_num_threads(1)
    keep_memory()
    to.mkdir(parents=True, exist_ok=True)
    for asked in RELEASES + FEW:
        file = to / f"{asked.name}.npz"
        if not file.exists():
            begun = time.process_time()
            images, labels = made(asked, shared)
            np.savez(file, images=images.numpy(), labels=labels.numpy())
            spent = round(time.process_time() - begun, 1)
            click.echo(json.dumps({"release": asked.name, "process_seconds": spent}))


def made(asked: Asked, shared: Path) -> tuple[Tensor, Tensor]:
    """Returns the display values (m, 1, H, W) and labels (m, K) of a release of folds 1 to 4."""
    films, fold = read(asked.source, shared, asked.size)
    films = rows(films, fold != 0)
    if asked.patients:
        ids = np.random.default_rng(asked.seed).permutation(sorted(films.ids))[: asked.patients]
        films = rows(films, np.isin(films.patients, ids))
    budget = Budget(asked.epsilon, patients=asked.declared) if asked.epsilon else None
    how = recipe(
        asked.method,
        start=usual_start(asked.method, private=budget is not None),
        ipc=asked.ipc,
        settings=SHORT[asked.method],
        classes=2,
        size=asked.size,
        width=WIDTH,
        private=budget is not None,
    )
    rng = torch.Generator().manual_seed(asked.seed)
    s = how.begun(NORMALIZATION.standardize(films.images), films.labels, rng)
    real = asking(budget, None)(how.releases, 2, films, torch.device("cpu"), rng)
    method: Any = how.method
    for _ in distill(method, s, real, steps=how.steps, rng=rng):
        pass
    s = method.decode(s) if isinstance(method, Decodes) else s
    release = quantized(s, {})
    return release.display, release.labels


def read(source: str, shared: Path, size: int) -> tuple[Films, np.ndarray]:
    """Returns the films of a source in display values, and their folds (n,)."""
    if source == "drawn":
        return drawn(size)
    with np.load(shared / FILES[source]) as held:
        keep = held["duplicate_of"] < 0 if "duplicate_of" in held else slice(None)
        images, labels = held["images"][keep], held["labels"][keep].astype("int64")
        patients = held["patient_ids"][keep].astype(str).tolist()
        fold = held["fold"][keep] if "fold" in held else np.zeros(len(images), int)
    return Films(shrunk(images, size), torch.from_numpy(labels), patients), fold


def drawn(size: int) -> tuple[Films, np.ndarray]:
    """Returns the films of ``sample_data``; the last digit of a patient's number is the fold."""
    with (DRAWN / "labels.csv").open() as file:
        known = {row["StudyInstanceUID"]: row["label"] for row in csv.DictReader(file)}
    images, labels, patients, reader = [], [], [], RadiographReader(size)
    for path in sorted(DRAWN.glob("studies/*/*/*.dcm")):
        header = dcmread(path, stop_before_pixels=True)
        images.append(reader.get_data(reader.read(path))[0])
        labels.append(int(known[header.StudyInstanceUID] == "pneumonia"))
        patients.append(path.parts[-3])
    fold = np.array([int(patient) % 5 for patient in patients])
    stacked = torch.from_numpy(np.stack(images))[:, None]
    return Films(stacked, torch.tensor(labels), patients), fold


def rows(films: Films, chosen: np.ndarray) -> Films:
    """Returns some of the films, (n,) bool or positions."""
    at = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
    of = [films.patients[i] for i in at]
    return Films(films.images[at], films.labels[at], of)


def shrunk(images: np.ndarray, size: int) -> Tensor:
    """Returns 8-bit images (n, H, W) as display values (n, 1, size, size)."""
    pixels = torch.from_numpy(images).float()[:, None] / 255
    return interpolate(pixels, size=(size, size), mode="bilinear", antialias=True)


def women() -> set[str]:
    """Returns the drawn patients whose header says F."""
    return {
        path.parts[-3]
        for path in DRAWN.glob("studies/*/*/*.dcm")
        if dcmread(path, stop_before_pixels=True).PatientSex == "F"
    }


if __name__ == "__main__":
    main()
