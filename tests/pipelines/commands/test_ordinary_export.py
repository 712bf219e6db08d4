"""An ordinary export of a PACS is read without an option, and no film of it counts as lost."""

import json
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from invented_cohort import SMALL, Source, called
from pydicom import Dataset, uid

WITHOUT_IMAGE = {
    "PR": uid.GrayscaleSoftcopyPresentationStateStorage,
    "SR": uid.XRayRadiationDoseSRStorage,
    "KO": uid.KeyObjectSelectionDocumentStorage,
}
RAW = uid.DigitalXRayImageStorageForProcessing


def reference(film: Dataset, modality: str, path: Path) -> None:
    """Writes an object without an image about a film."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = WITHOUT_IMAGE[modality], uid.generate_uid()
    made.Modality, made.SeriesInstanceUID = modality, uid.generate_uid()
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName"):
        setattr(made, keyword, film[keyword].value)
    save(made, path)


def directory(path: Path) -> None:
    made = Dataset()
    made.SOPClassUID = uid.MediaStorageDirectoryStorage
    made.SOPInstanceUID = uid.generate_uid()
    save(made, path)


def save(made: Dataset, path: Path) -> None:
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    made.save_as(path, enforce_file_format=True)


def another(film: Dataset, path: Path, **elements: str) -> None:
    """Writes another object of a film's study, with other pixels."""
    made = pydicom.dcmread(film.filename)
    if made.file_meta.TransferSyntaxUID.is_compressed:
        made.decompress()
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = uid.generate_uid()
    made.PixelData = np.flip(made.pixel_array, 1).tobytes()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path)


@pytest.fixture
def export(source: Source, tmp_path: Path) -> Path:
    """Eight studies on two discs, with PR, SR and KO, raw data and a DICOMDIR; two are split."""
    root = tmp_path / "export"
    for number in range(8):
        folder = root / "disc1" / f"PAT{number}"
        shutil.copytree(source.folder / str(number), folder)
        for place, path in enumerate(sorted(folder.glob("*.dcm"))):
            film = pydicom.dcmread(path)
            for modality in WITHOUT_IMAGE:
                reference(film, modality, folder / f"{modality}{place}")
            raw = {"SOPClassUID": RAW, "PresentationIntentType": "FOR PROCESSING"}
            another(film, folder / f"RAW{place}", **raw)
            if number < 2 and place == 0:
                another(film, root / "disc2" / f"PAT{number}" / "IM9")
            path.rename(path.with_name(f"IM{place}"))
    directory(root / "disc1" / "DICOMDIR")
    directory(root / "index")
    shutil.copy(source.labels, tmp_path / "labels.csv")
    return root


def test_an_ordinary_export_is_read_and_distilled_without_an_option(
    export: Path, tmp_path: Path
) -> None:
    films = len(list(export.rglob("IM*")))
    ended = called("ingest", "--dicom-dir", export, "--out", tmp_path / "out", "--json")
    assert ended.code == 0, ended.err
    answer = json.loads(ended.out)
    assert sum(answer["films"].values()) == films
    assert sum(answer["patients"].values()) == 8
    raws = len(list(export.rglob("RAW*")))
    assert answer["refused"] == {"dicomdir_ignored": 2, "no_image": 3 * raws, "raw_twin": raws}
    run = ("--ipc", 1, *SMALL, "--out", tmp_path / "run")
    assert called("distill", "--dicom-dir", export, *run).code == 0
    (root,) = export.glob("disc1/PAT7")
    for one in root.glob("IM*"):
        one.unlink()
    said = called("ingest", "--dicom-dir", export, "--out", tmp_path / "again").out
    lost, _, harmless = said.partition("files that lose no film:")
    assert "for_processing: raw detector data" in lost
    assert "raw_twin: raw detector data of a film that is there" in harmless
    assert "no_image" not in lost
