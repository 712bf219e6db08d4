"""Draws gastric phantoms when they are needed: films of 2048 x 2048 pixels, and masks.

    python sample_data/gastric.py --out DIR --patients 40

A film is an upright double-contrast picture of the stomach: gas inside, a film of barium on the
wall. A healthy stomach (``negative``) has long folds and a fine relief; in atrophic gastritis
(``positive``) the folds are low or gone and the relief is coarse and uneven. All else, such as
spine, gas in the bowel and barium that has run on, is alike in both. The masks say where the
stomach is. Nobody is drawn: everything comes from random numbers.

The pictures imitate the material of Li et al., ICIP 2020 (arXiv:2104.02857), not its difficulty.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from make import code, describe, enrol, save, uid
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
from scipy.ndimage import gaussian_filter, zoom
from scipy.spatial import cKDTree

Array = NDArray[np.float32]

SIZE = 2048  # pixels along a side
FIELD = 36.0  # side of the film, cm
PITCH = FIELD / SIZE
COARSE = 8  # the geometry is computed on every eighth pixel
SEED = 20240301
CLASSES = ("negative", "positive")


@dataclass(frozen=True)
class Stomach:
    """Where the stomach is on a film.

    Attributes:
        inside: depth below the wall, cm, (SIZE, SIZE); negative outside.
        along: place along the axis, cm, (SIZE, SIZE).
        across: place across it from -1 to 1, (SIZE, SIZE).
    """

    inside: Array
    along: Array
    across: Array

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Stomach":
        """Draws a J: the fundus under the left dome, the antrum across the spine."""
        at = rng.normal([0.0, 0.0], [0.8, 0.8])
        way = np.array([[5.5, -8.5], [5.8, -4], [5.0, 1], [3.0, 4.5], [0, 5.2], [-3.2, 3.6]])
        way = way + at + rng.normal(0, 0.45, way.shape)
        t = np.linspace(0, len(way) - 1, 400)
        axis = np.stack([np.interp(t, np.arange(len(way)), column) for column in way.T], axis=1)
        for _ in range(60):  # rounds the corners
            axis[1:-1] = (axis[:-2] + 2 * axis[1:-1] + axis[2:]) / 4
        width = np.interp(t, [0, 0.7, 2.5, 4, 5], [4.3, 4.7, 4.2, 3.4, 2.4])
        width = width * rng.normal(1, 0.08)
        line = (np.arange(SIZE // COARSE) + 0.5) * COARSE * PITCH - FIELD / 2
        y, x = np.meshgrid(line, line, indexing="ij")
        far, near = cKDTree(axis).query(np.stack([x.ravel(), y.ravel()], axis=1))
        step = np.gradient(axis, axis=0)[near]
        beside = np.stack([x.ravel(), y.ravel()], axis=1) - axis[near]
        side = np.sign(step[:, 0] * beside[:, 1] - step[:, 1] * beside[:, 0])
        length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(axis, axis=0), axis=1))])
        found = (width[near] - far, length[near], side * far / width[near])
        return cls(*(_fine(part.reshape(y.shape)) for part in found))


def _fine(coarse: NDArray[np.float64]) -> Array:
    return np.asarray(zoom(coarse.astype(np.float32), COARSE, order=1), np.float32)


def _relief(rng: np.random.Generator, width: float) -> Array:
    """Returns a random field of mean 0 and deviation 1 whose grains are ``width`` cm wide."""
    fine = max(int(width / PITCH / 4), 1)  # pixels of the grid on which it is drawn
    side = -(-SIZE // fine) + 1
    drawn = gaussian_filter(rng.standard_normal((side, side), np.float32), width / PITCH / fine / 2)
    field = zoom(drawn / drawn.std(), fine, order=1)[:SIZE, :SIZE]
    return np.asarray(field, np.float32)


def mucosa(stomach: Stomach, ill: float, rng: np.random.Generator) -> Array:
    """Returns how much barium lies on the wall, (SIZE, SIZE).

    Args:
        stomach: where it is.
        ill: how far the atrophy has gone, 0 to 1.
        rng: draws folds and relief.
    """
    waves = 0.35 * _relief(rng, 3.0)
    count = rng.uniform(4.5, 6.5)
    folds = np.cos(np.pi * (count * stomach.across + waves) + rng.uniform(0, 2 * np.pi))
    folds = np.clip(folds, 0, None) ** 2 * (1 - 0.85 * ill)
    fine, coarse = np.abs(_relief(rng, 0.22)), np.abs(_relief(rng, 0.22 + 0.4 * ill))
    rim = np.exp(-((stomach.inside / 0.12) ** 2))
    patchy = np.clip(1 + 0.3 * ill * _relief(rng, 1.8), 0.3, None)
    return 0.55 * folds + (0.12 * fine * (1 - ill) + 0.33 * coarse * ill) * patchy + 1.2 * rim


def beside(rng: np.random.Generator) -> Array:
    """Returns what the rest of the body absorbs, (SIZE, SIZE)."""
    line = ((np.arange(SIZE) + 0.5) * PITCH - FIELD / 2).astype(np.float32)
    y, x = np.meshgrid(line, line, indexing="ij")
    trunk = np.sqrt(np.clip(1 - (x / rng.uniform(15.5, 18.5)) ** 2, 0, 1))
    bend = rng.normal(0, 0.5) * np.sin(y / 12)
    spine = np.exp(-(((x - bend) / 2.1) ** 4))
    discs = 1 - 0.35 * np.exp(-((np.sin(np.pi * (y + rng.uniform(0, 3)) / 3.1) / 0.35) ** 2))
    body = 1.6 * trunk + 0.55 * spine * discs + 0.12 * _relief(rng, 2.5)
    for _ in range(int(rng.integers(3, 8))):  # gas in the bowel
        centre, radius = rng.uniform([-11, 4], [11, 15]), rng.uniform(0.8, 2.2)
        bowl = np.hypot(x - centre[0], y - centre[1]) / radius
        body = body - 0.4 * np.exp(-(bowl**4)) + 0.2 * np.exp(-(((bowl - 1) / 0.12) ** 2))
    for _ in range(int(rng.integers(0, 3))):  # barium that has run on
        centre, radius = rng.uniform([-9, 5], [4, 14]), rng.uniform(0.5, 1.6)
        body = body + 0.9 * np.exp(-((np.hypot(x - centre[0], y - centre[1]) / radius) ** 4))
    return np.asarray(body, np.float32)


def expose(stomach: Stomach, ill: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Returns a film, (SIZE, SIZE), barium white."""
    gas = np.clip(stomach.inside / 1.2, 0, 1)
    coat = np.where(stomach.inside > -0.15, mucosa(stomach, ill, rng), 0) * rng.uniform(0.75, 1.1)
    signal = beside(rng) - 0.55 * gas + 0.75 * coat
    signal = gaussian_filter(signal, rng.uniform(0.7, 1.3))
    signal = signal + 0.05 * rng.standard_normal(signal.shape, np.float32)
    low, high = np.percentile(signal[::8, ::8], [0.5, 99.7])
    return np.asarray(np.clip(255 * (signal - low) / (high - low), 0, 255), np.uint8)


def draw(number: int, out: Path) -> tuple[str, str]:
    """Writes the film and the mask of a patient; returns the film's UID and its label."""
    rng = np.random.default_rng([SEED, number])
    patient = enrol(number, rng)
    severity = float(rng.uniform(0.55, 1.0) if patient.ill else rng.uniform(0.0, 0.2))
    stomach = Stomach.draw(rng)
    film = describe(patient, 1, 1)
    film.StudyDescription = film.SeriesDescription = "Stomach, double contrast"
    film.PatientID = f"GAS-{number:04d}"
    for of in ("Study", "Series", "SOP"):
        name = f"{of}InstanceUID"
        setattr(film, name, uid("gastric", of, number))
    _technique(film)
    _picture(film, expose(stomach, severity, rng))
    save(film, ExplicitVRLittleEndian, out / "studies" / str(number) / "1.dcm")
    mask = Image.fromarray(np.asarray(255 * (stomach.inside > 0), np.uint8))
    (out / "masks").mkdir(exist_ok=True)
    mask.save(out / "masks" / f"{film.SOPInstanceUID}.png")
    return str(film.SOPInstanceUID), CLASSES[patient.ill]


def _technique(ds: Dataset) -> None:
    ds.SOPClassUID = DigitalXRayImageStorageForPresentation
    ds.Modality, ds.PresentationIntentType = "DX", "FOR PRESENTATION"
    ds.Manufacturer, ds.ManufacturerModelName = "Sample Imaging", "Phantom GI"
    ds.BodyPartExamined, ds.ViewPosition = "STOMACH", "AP"
    ds.PatientOrientation = ["L", "F"]
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.ImageLaterality, ds.DetectorType = "U", "SCINTILLATOR"
    ds.PixelIntensityRelationship, ds.PixelIntensityRelationshipSign = "LOG", -1
    ds.ImagerPixelSpacing = [f"{10 * PITCH:.4f}"] * 2  # mm
    ds.AcquisitionContextSequence = []
    ds.AnatomicRegionSequence = [code("69695003", "SCT", "Stomach")]
    ds.ViewCodeSequence = [code("399348003", "SCT", "antero-posterior")]


def _picture(ds: Dataset, values: NDArray[np.uint8]) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.PresentationLUTShape = "IDENTITY"
    ds.Rows = ds.Columns = SIZE
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = "1", "0", "US"
    ds.WindowCenter, ds.WindowWidth = "128", "256"
    ds.LossyImageCompression, ds.BurnedInAnnotation = "00", "NO"
    ds.PixelData = values.tobytes()
    ds["PixelData"].VR = "OB"


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option("--patients", type=click.IntRange(min=1), default=40, show_default=True)
def main(out: Path, patients: int) -> None:
    """Draw gastric phantoms as DICOM, with labels.csv and masks."""
    if (out / "studies").exists():
        raise click.ClickException(f"{out / 'studies'} exists; remove it or choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    rows = [draw(number, out) for number in range(1, patients + 1)]
    with (out / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["SOPInstanceUID", "label"])
        writer.writerows(rows)
    click.echo(f"{out}: {patients} patients, {patients} films, {patients} masks")


if __name__ == "__main__":
    main()
