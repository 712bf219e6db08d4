"""Small films of invented patients; every identifier in them starts with ZZPHI."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import uid
from pydicom.dataset import FileDataset, FileMetaDataset

MakeFilm = Callable[..., FileDataset]


@pytest.fixture
def film() -> MakeFilm:
    """Makes a CR object; keyword arguments set its elements, None deletes them."""

    def make(number: int = 1, stored: Any = None, **elements: Any) -> FileDataset:
        if stored is None:
            stored = np.random.default_rng(number).integers(0, 4096, (12, 10), np.uint16)
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        made = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
        made.SOPClassUID = uid.ComputedRadiographyImageStorage
        made.SOPInstanceUID = f"1.2.826.0.1.3680043.10.1.{number}"
        made.StudyInstanceUID = f"1.2.826.0.1.3680043.10.2.{number}"
        made.PatientID, made.PatientName = f"ZZPHI-{number:04}", f"ZZPHI{number:04}^GIVEN"
        made.AccessionNumber = f"ZZPHIA{number:04}"
        made.Modality, made.PhotometricInterpretation = "CR", "MONOCHROME2"
        made.ViewPosition = "PA"
        made.Rows, made.Columns = stored.shape
        made.SamplesPerPixel, made.PixelRepresentation = 1, int(stored.dtype.kind == "i")
        made.BitsAllocated = made.BitsStored = stored.dtype.itemsize * 8
        made.HighBit = made.BitsStored - 1
        made.PixelData = stored.tobytes() + bytes(stored.nbytes % 2)
        for keyword, value in elements.items():
            if value is None:
                delattr(made, keyword)
            else:
                setattr(made, keyword, value)
        meta.MediaStorageSOPClassUID = made.get("SOPClassUID", "1.2.3")
        meta.MediaStorageSOPInstanceUID = made.get("SOPInstanceUID", "1.2.3")
        return made

    return make


@pytest.fixture
def studies(film: MakeFilm, tmp_path: Path) -> Path:
    """A folder with six films of six patients and a table of their labels."""
    root = tmp_path / "studies"
    root.mkdir()
    lines = ["PatientID,label"]
    for number in range(1, 7):
        film(number).save_as(root / f"{number}.dcm")
        lines.append(f"ZZPHI-{number:04},{('normal', 'pneumonia')[number % 2]}")
    (root / "labels.csv").write_text("\n".join(lines))
    return root
