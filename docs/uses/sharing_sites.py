"""Three hospitals made from two public sets: who has which films, and how devices store them.

Site A and site B hold children (Kermany et al. 2018), site C adults (NIH ChestX-ray14, Wang et al.,
CVPR 2017). No patient is at two sites. Every site writes DICOM as its own device does; medidd reads
them like any others.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)
from torch.nn.functional import interpolate

from medidd.dicom.pixels.film import Shown, decoded
from medidd.dicom.reading import DEFAULT
from medidd.dicom.source import Source

CLASSES = ("normal", "pneumonia")
"""What the sites agreed to call their classes; the names do not mean the same at all of them."""

FOLDS = ("test", "val", "train")
"""The patients of fold s are held out with seed s. The three words of the column ``split`` stand
for the folds, so that a site reads its films once; medidd itself holds out only "test"."""

TOP = 4095
"""Largest value of 12 bits."""

Gray = NDArray[np.uint8]


@dataclass(frozen=True)
class Device:
    """How a site's device stores display values from 0 to 1.

    Attributes:
        modality: CR or DX.
        inverse: MONOCHROME1: high values are dark.
        black: stored value of 0, before the inversion.
        white: stored value of 1, before the inversion.
        window: whether the header tells these two.
        law: exponent from display values to stored ones; no header tells it.
        packed: whether files are compressed (RLE).
    """

    modality: str
    inverse: bool = False
    black: int = 0
    white: int = TOP
    window: bool = True
    law: float = 1.0
    packed: bool = False

    def stored(self, pixels: Gray) -> NDArray[np.uint16]:
        """Returns the values in the file of a film (H, W)."""
        shown = (pixels.astype(np.float64) / 255) ** self.law
        values = np.rint(self.black + (self.white - self.black) * shown).astype(np.uint16)
        return (TOP - values if self.inverse else values).astype(np.uint16)


@dataclass(frozen=True)
class Site:
    """A hospital.

    Attributes:
        name: a letter.
        device: its device.
        patients: round number of patients to learn from, known to everybody; for the guarantee.
    """

    name: str
    device: Device
    patients: int


SITES = (
    Site("A", Device("DX"), 1600),
    Site("B", Device("CR", inverse=True, black=900, white=2900, packed=True), 300),
    Site("C", Device("CR", window=False, law=0.5), 300),
)
"""A: 12 bits, MONOCHROME2. B: MONOCHROME1, half of the range, told by a window. C: brighter by a
law that nothing tells, and no window."""


@dataclass(frozen=True)
class Held:
    """The films that a site holds.

    Attributes:
        images: each (H, W), uint8.
        labels: their classes.
        patients: whose they are.
        folds: 0 to 2, by patient.
    """

    images: list[Gray]
    labels: list[int]
    patients: list[str]
    folds: list[int]


def shared_out(kermany: Any, nih: Any, small: tuple[int, int] = (300, 200)) -> dict[str, Held]:
    """Returns the films of each site.

    Args:
        kermany: ``images``, ``labels``, ``patient_ids``, maybe ``duplicate_of``.
        nih: the same.
        small: patients of each class at site B; A has the other children.
    """
    rng = np.random.default_rng(0)
    labels, of = kermany["labels"], kermany["patient_ids"].astype(str)
    at_b: set[str] = set()
    for label, count in enumerate(small):
        at_b |= set(rng.permutation(np.unique(of[labels == label]))[:count].tolist())
    usual = kermany["duplicate_of"] < 0 if "duplicate_of" in kermany else labels >= 0
    in_b = np.array([patient in at_b for patient in of])
    return {
        "A": _held(kermany, usual & ~in_b, rng),
        "B": _held(kermany, usual & in_b, rng),
        "C": _held(nih, nih["labels"] >= 0, rng),
    }


def _held(films: Any, chosen: NDArray[np.bool_], rng: np.random.Generator) -> Held:
    """Returns some films, their patients dealt to the folds class by class."""
    rows = np.flatnonzero(chosen)
    labels, patients = films["labels"][rows].tolist(), films["patient_ids"][rows].astype(str)
    first = dict(zip(patients[::-1].tolist(), labels[::-1], strict=True))
    dealt = sorted(rng.permutation(sorted(first)).tolist(), key=lambda name: first[name])
    fold_of = {name: place % len(FOLDS) for place, name in enumerate(dealt)}
    folds = [fold_of[name] for name in patients.tolist()]
    return Held(list(films["images"][rows]), labels, patients.tolist(), folds)


def write_studies(site: Site, held: Held, folder: Path) -> None:
    """Writes ``folder/studies`` and ``folder/labels.csv``, as the archive of a hospital would.

    Patients get long numbers. A short one, such as IM-1056, can be a number in a bundle by chance,
    and then gate G4 refuses the export.
    """
    rows, films_of = {}, dict[str, int]()
    number_of = {name: place for place, name in enumerate(sorted(set(held.patients)))}
    for pixels, label, patient, fold in zip(
        held.images, held.labels, held.patients, held.folds, strict=True
    ):
        study = f"{site.name}/{patient}/{label}"
        films_of[study] = number = films_of.get(study, 0) + 1
        known_as = f"{site.name}{number_of[patient]:07}"
        ds = film(site.device, pixels, patient=known_as, study=study, number=number)
        rows[ds.StudyInstanceUID] = (CLASSES[label], FOLDS[fold])
        path = folder / "studies" / f"{len(rows):05}" / f"{number}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        ds.save_as(path, enforce_file_format=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["StudyInstanceUID", "label", "split"])
        table.writerows([uid, *said] for uid, said in rows.items())


def film(device: Device, pixels: Gray, *, patient: str, study: str, number: int) -> Dataset:
    """Returns one radiograph object (PS3.3 A.2 or A.26) of an image (H, W)."""
    ds, meta = Dataset(), FileMetaDataset()
    dx = device.modality == "DX"
    ds.SOPClassUID = (
        DigitalXRayImageStorageForPresentation if dx else ComputedRadiographyImageStorage
    )
    ds.SOPInstanceUID = generate_uid(entropy_srcs=[study, str(number)])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta = meta
    ds.PatientID, ds.PatientName = patient, patient
    ds.StudyInstanceUID = generate_uid(entropy_srcs=[study])
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=[study, "series"])
    ds.Modality, ds.BodyPartExamined, ds.ViewPosition = device.modality, "CHEST", "PA"
    ds.ImageType, ds.BurnedInAnnotation = ["ORIGINAL", "PRIMARY"], "NO"
    if dx:
        ds.PresentationIntentType = "FOR PRESENTATION"
    ds.SamplesPerPixel, ds.PixelRepresentation = 1, 0
    ds.PhotometricInterpretation = "MONOCHROME1" if device.inverse else "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
    ds.Rows, ds.Columns = pixels.shape
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"
    if device.window:
        middle = (device.black + device.white) / 2
        ds.WindowCenter = (TOP - middle if device.inverse else middle) + 0.5
        ds.WindowWidth = device.white - device.black + 1
    ds.PixelData = device.stored(pixels).astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"
    if device.packed:
        ds.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    return ds


def left_over(device: Device, images: list[Gray], folder: Path, size: int) -> tuple[float, float]:
    """Returns how far a device moves display values on average: as stored, and as medidd reads.

    Both are compared with the same film on a device of 12 bits whose header tells all.

    Args:
        device: the device.
        images: films, each (H, W).
        folder: an empty one, for the files.
        size: pixels to which films are read.
    """
    found = []
    for place, pixels in enumerate(images):
        shown = []
        for name, one in (("own", device), ("plain", Device("DX"))):
            path = folder / f"{place}-{name}.dcm"
            film(one, pixels, patient="X", study=path.stem, number=1).save_as(
                path, enforce_file_format=True
            )
            read = decoded(Source(path), size, DEFAULT)
            if not isinstance(read, Shown):
                raise ValueError(f"{path.name}: medidd refused it as {read.code}")
            shown.append(read.levels.astype(np.float64) / 65535)
        naive, true = (
            interpolate(torch.from_numpy(values / top)[None, None], size=(size, size), mode="area")
            for values, top in ((device.stored(pixels) * 1.0, TOP), (pixels * 1.0, 255))
        )
        found.append(
            [float((naive - true).abs().mean()), float(np.abs(shown[0] - shown[1]).mean())]
        )
    stored, read_as = np.mean(found, axis=0)
    return float(stored), float(read_as)
