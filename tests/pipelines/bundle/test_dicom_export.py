"""DICOM files show what the audits saw, to the last bit, and are taken for nothing else."""

import hashlib
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from invented_cohort import Made, called, files_of, found_in, traces, tree
from PIL import Image

import pipelines.commands.export
from medidd.dicom.folder.scan import scan
from medidd.dicom.refusals import Refusal
from pipelines.bundle.dicom_files import dicom_files, own_tokens
from pipelines.run import ledger
from pipelines.run.release_file import Release, read_release
from pipelines.run.store import Run

CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@pytest.fixture(scope="module")
def release(made: Made) -> Release:
    return read_release(Run(made.path))


@pytest.fixture(scope="module")
def files(made: Made, release: Release) -> dict[str, bytes]:
    return dicom_files(release, Run(made.path).release.read_bytes())


@pytest.fixture
def folder(files: dict[str, bytes], tmp_path: Path) -> Path:
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path / "dicom"


def test_another_reader_sees_the_levels_of_the_release(
    files: dict[str, bytes], release: Release
) -> None:
    assert list(files) == [f"dicom/class{k}_{i}.dcm" for k in range(2) for i in range(3)]
    for data, levels in zip(files.values(), release.levels.numpy(), strict=True):
        found = pydicom.dcmread(io.BytesIO(data))
        assert found.pixel_array.dtype == np.uint8
        np.testing.assert_array_equal(found.pixel_array, levels[0])
        assert (found.BitsAllocated, found.BitsStored, found.HighBit) == (8, 8, 7)
        assert found.PhotometricInterpretation == "MONOCHROME2"


def test_a_file_says_what_it_is_and_names_nobody(files: dict[str, bytes]) -> None:
    for number, data in enumerate(files.values()):
        found = pydicom.dcmread(io.BytesIO(data))
        assert found.SOPClassUID == found.file_meta.MediaStorageSOPClassUID == CAPTURE
        assert found.SOPInstanceUID == found.file_meta.MediaStorageSOPInstanceUID
        assert (found.SyntheticData, found.PatientIdentityRemoved) == ("YES", "YES")
        assert (found.PatientID, found.InstanceNumber) == (f"SYN-{number}", number + 1)
        assert (found.Modality, found.ConversionType) == ("OT", "SYN")
        assert list(found.ImageType) == ["DERIVED", "SECONDARY"]
        assert (found.BurnedInAnnotation, found.LossyImageCompression) == ("NO", "00")
        assert found.Manufacturer == "medidd project"
        assert "not for diagnosis" in found.DerivationDescription
        (equipment,) = found.ContributingEquipmentSequence
        (purpose,) = equipment.PurposeOfReferenceCodeSequence
        assert (purpose.CodeValue, purpose.CodingSchemeDesignator) == ("109100", "DCM")
        assert "SourceImageSequence" not in found
        dates = [element for element in found.iterall() if element.VR in ("DA", "TM", "DT")]
        assert len(dates) == 3
        assert all(not element.value for element in dates)


def test_no_two_images_share_a_uid_and_the_same_release_has_the_same(
    files: dict[str, bytes], made: Made, release: Release
) -> None:
    data = Run(made.path).release.read_bytes()
    assert dicom_files(release, data) == files
    keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")

    def uids(of: dict[str, bytes]) -> list[str]:
        read = [pydicom.dcmread(io.BytesIO(one)) for one in of.values()]
        return [str(one[keyword].value) for one in read for keyword in keywords]

    mine = uids(files)
    assert len(set(mine)) == 3 * len(files)
    assert all(re.fullmatch(r"2\.25\.[1-9]\d{0,38}", one) for one in mine)
    assert set(mine) <= own_tokens(release, data)
    assert not set(mine) & set(uids(dicom_files(release, data + b" ")))


def test_no_film_can_be_made_of_them(folder: Path) -> None:
    """Neither as they are, nor where somebody calls them radiographs."""
    found = list(scan(folder))
    assert [one.code if isinstance(one, Refusal) else "" for one in found] == (
        ["modality_excluded"] * 6
    )
    for path in folder.iterdir():
        film = pydicom.dcmread(path)
        film.Modality = "DX"
        film.save_as(path)
    found = list(scan(folder))
    assert [one.code if isinstance(one, Refusal) else "" for one in found] == (
        ["secondary_capture"] * 6
    )


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools is not installed")
def test_dciodvfy_knows_all_but_the_youngest_element(folder: Path) -> None:
    for path in folder.iterdir():
        said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
        errors = [line for line in said.stderr.splitlines() if line.startswith("Error")]
        assert "SCImage" in said.stderr
        # Synthetic Data came in 2024, after the tool's dictionary.
        assert [line for line in errors if "(0x0008,0x001c)" not in line] == []


@pytest.mark.skipif(not shutil.which("dcmj2pnm"), reason="DCMTK is not installed")
def test_dcmtk_renders_the_levels(folder: Path, release: Release) -> None:
    for path, levels in zip(sorted(folder.iterdir()), release.levels.numpy(), strict=True):
        assert not subprocess.run(["dcmdump", "-q", path], capture_output=True, check=True).stderr
        out = path.with_suffix(".pgm")
        subprocess.run(["dcmj2pnm", "+opn", "8", "+Ww", "128", "256", path, out], check=True)
        with Image.open(out) as shown:
            seen = np.asarray(shown).astype(int)
        np.testing.assert_array_equal(seen, levels[0])


def test_an_export_with_dicom_is_the_same_bundle_and_more(
    passing: Run, everybody: Made, tmp_path: Path
) -> None:
    plain, rich, again = (tmp_path / name for name in ("plain", "rich", "again"))
    assert called("export", passing.path, "--to", plain).code == 0
    for bundle in (rich, again):
        ended = called("export", passing.path, "--to", bundle, "--dicom")
        assert ended.code == 0, ended.err
    assert tree(rich) == tree(again)
    added = {"dicom/class0_0.dcm", "dicom/class1_0.dcm"}
    assert set(files_of(rich)) - set(files_of(plain)) == added
    differing = {"manifest.json", "audit.json", "audit.html", "SHA256SUMS"}
    for name, path in files_of(plain).items():
        assert (path.read_bytes() == (rich / name).read_bytes()) == (name not in differing), name
    manifest = json.loads((rich / "manifest.json").read_text())
    audited = json.loads((rich / "audit.json").read_text())["audited"]
    for name in added:
        digest = hashlib.sha256((rich / name).read_bytes()).hexdigest()
        assert manifest["files"][name] == audited[name] == digest
    ended = called("verify", rich)
    assert ended.code == 0, ended.err
    texts = [(name, path.read_bytes()) for name, path in files_of(rich).items()]
    assert found_in(texts, traces(everybody.source)) == []
    assert [one.kind for one in ledger.entries()][-3:] == ["export"] * 3


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda found: setattr(found, "PatientComments", "x"), "elements that it need not have"),
        (lambda found: setattr(found, "PatientName", "DOE^JANE"), "may name a patient"),
        (lambda found: setattr(found, "StudyInstanceUID", f"2.25.{9**38}"), "a value of its own"),
        (lambda found: setattr(found, "PixelData", bytes(256)), "not of the release"),
    ],
)
def test_a_file_that_shows_more_is_stopped_at_the_last_moment(
    spoil: Callable[[pydicom.Dataset], None],
    said: str,
    passing: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def spoiled(*given: object) -> dict[str, bytes]:
        found = {}
        for name, data in dicom_files(*given).items():
            one = pydicom.dcmread(io.BytesIO(data))
            spoil(one)
            stream = io.BytesIO()
            one.save_as(stream)
            found[name] = stream.getvalue()
        return found

    monkeypatch.setattr(pipelines.commands.export, "dicom_files", spoiled)
    ended = called("export", passing.path, "--to", tmp_path / "bundle", "--dicom")
    assert ended.code == 6
    assert said in ended.err
    assert "JANE" not in ended.err
    assert tree(tmp_path) == []
