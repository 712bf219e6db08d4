"""Draws the sample data: invented chest films as DICOM, and their labels.

Every patient is drawn from a stream of random numbers of their own, so that the first patients
are the same however many follow.
"""

import csv
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import click
import numpy as np
from anatomy import Anatomy
from film import BITS, PITCH, SIZE, Exposure, Film, expose
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

SEED = 20240229
HERE = Path(__file__).resolve().parent
CLASSES = ("normal", "pneumonia")
SYNTAXES = (ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless)
ENCODERS = {RLELossless: "pydicom", JPEG2000Lossless: "pylibjpeg"}
STORAGE = {
    "CR": ComputedRadiographyImageStorage,
    "DX": DigitalXRayImageStorageForPresentation,
}
HEADS = ("bra", "cel", "dor", "fen", "gul", "hul", "jas", "kem", "lor", "mib", "nuv", "pel", "quo")
TAILS = ("bek", "dil", "fos", "gant", "hem", "kul", "lund", "mor", "nas", "pil", "rov", "vond")


@dataclass(frozen=True)
class Visit:
    """One study: its day and hour, number in the hospital's book, referrer and count of films."""

    day: date
    hour: int
    number: int
    referrer: str
    films: int


@dataclass(frozen=True)
class Patient:
    """An invented person.

    Attributes:
        number: counts from 1.
        ill: whether the films show pneumonia.
        female: sex in header and anatomy.
        name: DICOM person name.
        born: day of birth.
        visits: one or more.
    """

    number: int
    ill: bool
    female: bool
    name: str
    born: date
    visits: tuple[Visit, ...]


@dataclass(frozen=True)
class Machine:
    """How one visit's films are stored.

    Attributes:
        modality: CR or DX.
        inverse: MONOCHROME1 instead of MONOCHROME2.
        syntax: transfer syntax UID.
    """

    modality: str
    inverse: bool
    syntax: UID


def uid(*parts: object) -> UID:
    """Returns the UID that belongs to these names: 2.25 and a UUID hashed from them."""
    name = "/".join(map(str, ("medidd sample data", SEED, *parts)))
    return UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}")


def invent(rng: np.random.Generator) -> str:
    """Composes a DICOM person name from invented syllables."""
    given, family, middle = (rng.choice(HEADS) for _ in range(3))
    return f"{family}{rng.choice(TAILS)}".title() + "^" + f"{given}{middle}a".title()


def enrol(number: int, rng: np.random.Generator) -> Patient:
    """Draws who a patient is. Of patients 1 and 2, 3 and 4, ... one is ill."""
    coin = np.random.default_rng([SEED, 0, (number + 1) // 2]).integers(2)
    films = int(rng.choice([1, 2, 3], p=[0.48, 0.37, 0.15]))
    first = date(2021, 1, 4) + timedelta(days=int(rng.integers(900)))
    apart = films > 1 and rng.random() < 0.5
    visits = [
        Visit(
            day=first + timedelta(days=4 * later + int(rng.integers(4))),
            hour=int(rng.integers(7, 19)),
            number=int(rng.integers(100_000)),
            referrer=invent(rng),
            films=count,
        )
        for later, count in enumerate([1, films - 1] if apart else [films])
    ]
    return Patient(
        number=number,
        ill=bool((number + coin) % 2),
        female=bool(rng.integers(2)),
        name=invent(rng),
        born=first - timedelta(days=int(rng.integers(20 * 365, 88 * 365))),
        visits=tuple(visits),
    )


def describe(patient: Patient, study: int, film: int) -> Dataset:
    """Writes the patient, study and series modules of a header; ``study`` counts from 1."""
    visit = patient.visits[study - 1]
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName = patient.name
    ds.PatientID = f"SMP-{patient.number:04d}"
    ds.PatientBirthDate = f"{patient.born:%Y%m%d}"
    ds.PatientSex = "F" if patient.female else "M"
    ds.PatientAge = f"{(visit.day - patient.born).days // 365:03d}Y"
    ds.InstitutionName = "Sample Hospital"
    ds.ReferringPhysicianName = visit.referrer
    ds.AccessionNumber = f"SMP{patient.number:04d}{visit.number:05d}"
    ds.StudyInstanceUID = uid(patient.number, study)
    ds.SeriesInstanceUID = uid(patient.number, study, "series")
    ds.SOPInstanceUID = uid(patient.number, study, "film", film)
    ds.StudyID = str(study)
    ds.SeriesNumber = 1
    ds.InstanceNumber = film
    ds.StudyDescription = ds.SeriesDescription = "Chest PA"
    for part in ("Study", "Series", "Acquisition", "Content"):
        minute = film if part in ("Acquisition", "Content") else 0
        setattr(ds, f"{part}Date", f"{visit.day:%Y%m%d}")
        setattr(ds, f"{part}Time", f"{visit.hour:02d}{minute:02d}00")
    return ds


def technique(ds: Dataset, machine: Machine, exposure: Exposure) -> None:
    """Writes equipment, positioning and exposure; PS3.3 A.2 for CR and A.26 for DX."""
    ds.SOPClassUID = STORAGE[machine.modality]
    ds.Modality = machine.modality
    ds.Manufacturer = "Sample Imaging"
    ds.ManufacturerModelName = f"Phantom {machine.modality}"
    ds.BodyPartExamined = "CHEST"
    ds.ViewPosition = "PA"
    ds.PatientOrientation = ["L", "F"]
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.KVP = f"{exposure.kvp:.0f}"
    ds.ExposureInuAs = round(1000 * exposure.mas)
    ds.DistanceSourceToDetector = "1800"
    ds.ImagerPixelSpacing = [f"{10 * PITCH:.4f}"] * 2  # mm
    ds.PixelSpacing = ds.ImagerPixelSpacing
    if machine.modality == "CR":
        return
    ds.PresentationIntentType = "FOR PRESENTATION"
    ds.ImageLaterality = "U"
    ds.DetectorType = "SCINTILLATOR"
    ds.PixelIntensityRelationship = "LOG"
    ds.PixelIntensityRelationshipSign = 1 if machine.inverse else -1
    ds.AcquisitionContextSequence = []
    ds.AnatomicRegionSequence = [code("816094009", "SCT", "Chest")]
    ds.ViewCodeSequence = [code("272479007", "SCT", "postero-anterior")]


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """Returns one coded entry."""
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = value, scheme, meaning
    return ds


def picture(ds: Dataset, film: Film, inverse: bool) -> None:
    """Writes pixels and how to show them; MONOCHROME1 shows high values dark."""
    top = 2**BITS - 1
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME1" if inverse else "MONOCHROME2"
    ds.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"
    ds.Rows = ds.Columns = SIZE
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, BITS, BITS - 1
    ds.PixelRepresentation = 0
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = "1", "0", "US"
    ds.WindowCenter = str(top + 1 - film.centre if inverse else film.centre)
    ds.WindowWidth = str(film.width)
    ds.LossyImageCompression = "00"
    ds.BurnedInAnnotation = "NO"
    values = top - film.values if inverse else film.values
    ds.PixelData = values.astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"


def save(ds: Dataset, syntax: UID, path: Path) -> None:
    """Writes one file; its bytes depend on nothing but the data set and the encoder."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = uid("implementation")
    ds.file_meta.ImplementationVersionName = "MEDIDD SAMPLE"
    if syntax in ENCODERS:
        ds.compress(syntax, encoding_plugin=ENCODERS[syntax], generate_instance_uid=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)


def draw(number: int, studies: Path) -> Iterator[tuple[str, str]]:
    """Writes one patient's films; yields each study's UID and label."""
    rng = np.random.default_rng([SEED, number])
    patient = enrol(number, rng)
    body = np.random.default_rng([SEED, number, 1])
    anatomy = Anatomy.draw(body, patient.female, patient.ill)
    for study, visit in enumerate(patient.visits, start=1):
        machine = Machine(
            modality="DX" if rng.random() < 0.6 else "CR",
            inverse=bool(rng.random() < 0.4),
            syntax=SYNTAXES[rng.choice(3, p=[0.16, 0.26, 0.58])],
        )
        for film in range(1, visit.films + 1):
            exposure = Exposure.draw(rng)
            ds = describe(patient, study, film)
            technique(ds, machine, exposure)
            picture(ds, expose(anatomy, exposure, rng), machine.inverse)
            save(ds, machine.syntax, studies / f"{number}/{study}/{film}.dcm")
        yield uid(number, study), CLASSES[patient.ill]


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=HERE,
    show_default="this folder",
    help="Where studies/ and labels.csv go.",
)
@click.option("--patients", type=click.IntRange(min=1), default=240, show_default=True)
def main(out: Path, patients: int) -> None:
    """Draw invented chest films as DICOM, with labels.csv."""
    studies = out / "studies"
    if studies.exists():
        raise click.ClickException(f"{studies} exists; remove it or choose another --out")
    rows = [row for number in range(1, patients + 1) for row in draw(number, studies)]
    with (out / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["StudyInstanceUID", "label"])
        writer.writerows(rows)
    click.echo(f"{out}: {patients} patients, {len(rows)} studies")


if __name__ == "__main__":
    main()
