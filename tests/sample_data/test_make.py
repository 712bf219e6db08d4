import csv
import filecmp
import importlib
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data"
FIRST = 4


@pytest.fixture(scope="module")
def make() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SAMPLE)
        module = importlib.import_module("make")
        yield module
        for name in ("make", "film", "anatomy", "lungs", "rays"):
            sys.modules.pop(name)


def run(make: ModuleType, out: Path, patients: int) -> Path:
    result = CliRunner().invoke(make.main, ["--out", str(out), "--patients", str(patients)])
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture(scope="module")
def again(make: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(make, tmp_path_factory.mktemp("again"), FIRST)


@pytest.fixture(scope="module")
def films() -> dict[Path, Dataset]:
    return {path: dcmread(path) for path in sorted(SAMPLE.glob("studies/*/*/*.dcm"))}


@pytest.fixture(scope="module")
def labels() -> dict[str, str]:
    with (SAMPLE / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["StudyInstanceUID", "label"]
    assert len({row["StudyInstanceUID"] for row in rows}) == len(rows)
    return {row["StudyInstanceUID"]: row["label"] for row in rows}


def display(ds: Dataset) -> np.ndarray:
    shown = (ds.pixel_array - (float(ds.WindowCenter) - 0.5)) / (float(ds.WindowWidth) - 1) + 0.5
    shown = np.clip(shown, 0, 1)
    return 1 - shown if ds.PhotometricInterpretation == "MONOCHROME1" else shown


def files(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def test_drawing_twice_gives_the_same_bytes(make, again, tmp_path):
    other = run(make, tmp_path / "other", FIRST)
    assert files(other) == files(again)
    _, differ, missing = filecmp.cmpfiles(again, other, files(again), shallow=False)
    assert not differ
    assert not missing


def test_studies_that_are_there_are_never_overwritten(make, tmp_path):
    kept = tmp_path / "studies" / "kept.dcm"
    kept.parent.mkdir()
    kept.touch()
    result = CliRunner().invoke(make.main, ["--out", str(tmp_path), "--patients", "1"])
    assert result.exit_code != 0
    assert "remove it" in result.output
    assert [*tmp_path.rglob("*.*")] == [kept]


def test_the_first_patients_drawn_again_equal_the_stored_ones(again):
    drawn = sorted(again.glob("studies/*/*/*.dcm"))
    assert {int(p.parts[-3]) for p in drawn} == set(range(1, FIRST + 1))
    for path in drawn:
        new, old = dcmread(path), dcmread(SAMPLE / path.relative_to(again))
        np.testing.assert_array_equal(new.pixel_array, old.pixel_array)
        del new.PixelData, old.PixelData
        assert new == old


def test_the_first_labels_drawn_again_equal_the_stored_ones(again):
    new = (again / "labels.csv").read_text().splitlines()
    assert (SAMPLE / "labels.csv").read_text().splitlines()[: len(new)] == new


def test_there_are_120_patients_per_class_with_one_to_three_films(films, labels):
    count = Counter(ds.PatientID for ds in films.values())
    assert len(count) == 240
    assert set(count.values()) == {1, 2, 3}
    assert 380 <= len(films) <= 420
    label = {ds.PatientID: labels[ds.StudyInstanceUID] for ds in films.values()}
    assert Counter(label.values()) == {"normal": 120, "pneumonia": 120}
    assert all(label[ds.PatientID] == labels[ds.StudyInstanceUID] for ds in films.values())
    assert {ds.StudyInstanceUID for ds in films.values()} == set(labels)


def test_all_kinds_of_storage_occur_in_both_classes(films, labels):
    kinds = Counter(
        (labels[ds.StudyInstanceUID], kind)
        for ds in films.values()
        for kind in (ds.Modality, ds.PhotometricInterpretation, ds.file_meta.TransferSyntaxUID)
    )
    for label in ("normal", "pneumonia"):
        for kind in ("CR", "DX", "MONOCHROME1", "MONOCHROME2"):
            assert kinds[label, kind] >= 50
        for kind in (ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless):
            assert kinds[label, kind] >= 20


def test_the_files_are_small(films):
    assert sum(path.stat().st_size for path in films) < 6 * 2**20


def test_a_path_says_patient_study_and_film(films):
    for path, ds in films.items():
        patient, study, film = path.parts[-3:]
        assert ds.PatientID == f"SMP-{int(patient):04d}"
        assert (ds.StudyID, f"{ds.InstanceNumber}.dcm") == (study, film)


def test_headers_agree_with_themselves(films):
    assert len({ds.SOPInstanceUID for ds in films.values()}) == len(films)
    for path, ds in films.items():
        inverse = ds.PhotometricInterpretation == "MONOCHROME1"
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert all(u.is_valid for u in (ds.SOPInstanceUID, ds.SeriesInstanceUID)), path
        assert ds.PresentationLUTShape == ("INVERSE" if inverse else "IDENTITY")
        assert (ds.Rows, ds.Columns, ds.BitsStored, ds.BitsAllocated) == (96, 96, 12, 16)
        assert (ds.ViewPosition, ds.PatientOrientation) == ("PA", ["L", "F"])
        assert ds.InstitutionName == "Sample Hospital"
        assert ds.BurnedInAnnotation == "NO"
        assert ds.StudyDate > ds.PatientBirthDate
        if ds.Modality == "DX":
            assert ds.PresentationIntentType == "FOR PRESENTATION"
            assert ds.PixelIntensityRelationshipSign == (1 if inverse else -1)


def test_a_patient_keeps_one_identity_across_films(films):
    seen: dict[str, set[tuple[str, ...]]] = {}
    for ds in films.values():
        who = (str(ds.PatientName), ds.PatientSex, ds.PatientBirthDate)
        seen.setdefault(ds.PatientID, set()).add(who)
    assert all(len(who) == 1 for who in seen.values())


def test_the_spine_is_white_and_the_lungs_are_dark_on_display(films):
    for path, ds in list(films.items())[::5]:
        shown = display(ds)
        assert shown.max() > 0.9, path
        assert shown[30:60, 46:50].mean() > shown[30:60, 22:34].mean() + 0.1, path


def test_films_of_one_patient_resemble_each_other_more_than_those_of_others(films):
    chosen = list(films.values())[:120]
    shown = np.array([display(ds).reshape(32, 3, 32, 3).mean(axis=(1, 3)).ravel() for ds in chosen])
    who = np.array([ds.PatientID for ds in chosen])
    distance = np.linalg.norm(shown[:, None] - shown[None], axis=2)
    same = who[:, None] == who
    apart = ~np.eye(len(who), dtype=bool)
    assert distance[same & apart].mean() < 0.7 * distance[~same].mean()
