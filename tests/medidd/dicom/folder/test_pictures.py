"""A folder of pictures becomes the same cohort as a folder of DICOM."""

import json
import os
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medidd.dicom.errors import CohortError, TooManyRefused
from medidd.dicom.folder import cohort as module
from medidd.dicom.folder.cohort import Cohort, ingest
from medidd.dicom.header.identifiers import keyed
from medidd.dicom.isolation import isolated
from medidd.dicom.labels.labelling import Labelling
from medidd.dicom.reading import Reading
from medidd.dicom.source import Source

Film = Callable[..., Any]
KEY = b"a key that lies elsewhere"
PICTURES = Reading(files="pictures")
BY_NAME = Labelling(patient_pattern=r"^(ZZPHI-\d+)_")


def drawn(number: int) -> Any:
    return np.random.default_rng(number).integers(0, 4096, (24, 20), np.uint16)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Eight pictures of four patients, in one folder per class, named after the patient."""
    root = tmp_path / "pictures"
    for number in range(8):
        folder = root / ("normal", "pneumonia")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        name = f"ZZPHI-{number // 2:04}_frontal_{number}.png"
        Image.fromarray(drawn(number)).save(folder / name)
    return root


def run(root: Path, folder: Path, labels: Labelling | None = BY_NAME, **options: Any) -> Cohort:
    options = {"size": 8, "key": KEY, "reading": PICTURES, **options}
    list(ingest(root, labels, folder=folder, **options))
    return Cohort.open(folder)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_picture_and_a_dicom_file_of_the_same_pixels_are_the_same_film(
    pictures: Path, film: Film, tmp_path: Path
) -> None:
    for number in range(8):
        folder = tmp_path / "studies" / ("normal", "pneumonia")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        patient = f"ZZPHI-{number // 2:04}"
        film(number, drawn(number), PatientID=patient, BitsStored=12, HighBit=11).save_as(
            folder / str(number)
        )
    one = run(pictures, tmp_path / "one")
    other = run(tmp_path / "studies", tmp_path / "two", None, reading=Reading())
    seen = {}
    for made in (one, other):
        order = np.lexsort(made.images.reshape(8, -1).T)
        seen[made is one] = (
            made.images[order].astype(int),
            made.labels[order],
            made.patients[order].tolist(),
        )
    assert np.abs(seen[True][0] - seen[False][0]).max() <= 65535 / 4095
    np.testing.assert_array_equal(seen[True][1], seen[False][1])
    assert seen[True][2] == seen[False][2]
    assert one.classes == other.classes
    assert one.tells_patients_apart


def test_names_of_files_are_in_a_cohort_only_as_keyed_hashes(
    pictures: Path, tmp_path: Path
) -> None:
    made = run(pictures, tmp_path / "c")
    assert not any(
        b"ZZPHI" in held or b"frontal" in held for held in content(tmp_path / "c").values()
    )
    assert keyed(KEY, "ZZPHI-0003") in made.tokens
    assert keyed(KEY, "ZZPHI-0003_FRONTAL_7") in made.tokens
    assert keyed(KEY, "FRONTAL") not in made.tokens
    assert keyed(KEY, "PNEUMONIA") not in made.tokens


def test_a_class_may_be_in_the_names_of_its_pictures(pictures: Path, tmp_path: Path) -> None:
    for number, path in enumerate(sorted(pictures.rglob("*.png"))):
        path.rename(path.with_name(f"{path.parent.name}-{number:04}.png"))
    pattern = Labelling(patient_pattern=r"-(\d+)\.")
    made = run(pictures, tmp_path / "c", pattern)
    assert made.classes == ("normal", "pneumonia")
    assert keyed(KEY, "NORMAL") not in made.tokens
    assert keyed(KEY, "NORMAL-0001") in made.tokens


def test_without_a_column_or_a_pattern_no_patient_is_known(pictures: Path, tmp_path: Path) -> None:
    made = run(pictures, tmp_path / "c", None)
    assert made.unnamed == len(set(made.patients)) == 8
    assert not made.tells_patients_apart
    assert run(pictures, tmp_path / "d", None, unit="image").tells_patients_apart
    some = run(pictures, tmp_path / "e", Labelling(patient_pattern=r"^(ZZPHI-000[12])_"))
    assert some.unnamed == 4


@pytest.mark.parametrize("pattern", [r"/(ZZPHI-\d+)_", r"^\w+/(ZZPHI-\d+)"])
def test_a_pattern_with_a_slash_looks_at_the_path(
    pattern: str, pictures: Path, tmp_path: Path
) -> None:
    made = run(pictures, tmp_path / "c", Labelling(patient_pattern=pattern))
    assert set(made.patients) == {keyed(KEY, f"|ZZPHI-{number:04}") for number in range(4)}


def test_the_patient_and_the_label_may_be_in_the_table(pictures: Path, tmp_path: Path) -> None:
    lines = ["path,label,who,split"]
    for number, path in enumerate(sorted(pictures.rglob("*.png"))):
        split = ("train", "test")[number % 4 > 1]
        lines.append(f"{path.relative_to(pictures)},{'ab'[number % 2]},ZZPHIW{number % 4},{split}")
    (pictures / "labels.csv").write_text("\n".join(lines))
    made = run(pictures, tmp_path / "c", Labelling(patient_column="Who"))
    assert set(made.patients) == {keyed(KEY, f"|ZZPHIW{number}") for number in range(4)}
    assert made.refused == {"not_picture": 1}
    assert sorted(made.splits) == ["test"] * 4 + ["train"] * 4
    with pytest.raises(CohortError, match="pictures have no DICOM attributes"):
        run(pictures, tmp_path / "d", Labelling(patient_column="AccessionNumber"))


def test_equal_files_and_equal_pixels_are_one_film_and_join_patients(
    pictures: Path, tmp_path: Path
) -> None:
    folder = pictures / "normal"
    first = folder / "ZZPHI-0000_frontal_0.png"
    (folder / "ZZPHI-0000_copy.png").write_bytes(first.read_bytes())
    Image.fromarray(drawn(0)).save(folder / "ZZPHI-0000_again.tif")
    made = run(pictures, tmp_path / "c")
    assert made.refused == {"duplicate": 1, "duplicate_pixels": 1}
    assert len(made.images) == 8
    Image.fromarray(drawn(2)).save(folder / "ZZPHI-0009_other.tif")
    made = run(pictures, tmp_path / "d")
    assert made.evidence == {"equal_pixels": 1}
    assert len(set(made.patients)) == 4


def empty(folder: Path) -> None:
    (folder / "notes.txt").write_text("no film")


def dicom(folder: Path, film: Film) -> None:
    film(9).save_as(folder / "film.dcm")


CODES: dict[str, Callable[[Path, Film], object]] = {
    "not_picture": lambda folder, _: empty(folder),
    "dicom_unasked": dicom,
    "picture_depth": lambda folder, _: Image.fromarray(drawn(0) > 9).save(folder / "a.png"),
    "picture_format": lambda folder, _: Image.fromarray(drawn(0).astype(np.uint8)).save(
        folder / "a.bmp"
    ),
    "color": lambda folder, _: Image.fromarray(drawn(9).view(np.uint8).reshape(-1, 4, 3)).save(
        folder / "a.png"
    ),
    "pixels_truncated": lambda folder, _: (folder / "a.png").write_bytes(
        next(folder.glob("*.png")).read_bytes()[:-300]
    ),
    "constant_image": lambda folder, _: Image.fromarray(0 * drawn(0)).save(folder / "a.png"),
    "symlink_skipped": lambda folder, _: (folder / "a.png").symlink_to("b.png"),
    "not_a_file": lambda folder, _: os.mkfifo(folder / "a.png"),
    "bad_zip": lambda folder, _: (folder / "a.zip").write_bytes(b"PK\x03\x04 no more"),
}


@pytest.mark.parametrize("code", CODES)
def test_a_bad_file_is_refused_for_one_reason(
    code: str, pictures: Path, film: Film, tmp_path: Path
) -> None:
    CODES[code](pictures / "normal", film)
    made = run(pictures, tmp_path / "c", max_refused=1)
    assert made.refused == {code: 1}
    assert len(made.images) == 8


def test_limits_hold_as_for_dicom(pictures: Path, tmp_path: Path) -> None:
    for number in range(2):
        Image.fromarray(drawn(number) > 9).save(pictures / "normal" / f"ZZPHI-000{number}_a.png")
    with pytest.raises(TooManyRefused, match="2 files refused and 8 films usable") as error:
        run(pictures, tmp_path / "c", refused_list=tmp_path / "list.csv")
    assert "ZZPHI" not in str(error.value)
    assert "normal/ZZPHI-0001_a.png,picture_depth" in (tmp_path / "list.csv").read_text()
    with pytest.raises(TooManyRefused, match="view_unknown 10"):
        run(pictures, tmp_path / "c", reading=Reading(files="pictures", views=("PA",)))


def dies_of(source: Source, *args: Any, **options: Any) -> Any:
    if source.place.name == "ZZPHI-0000_killer.png":
        os.abort()
    return module_decoded(source, *args, **options)


module_decoded = module.decoded


def test_a_picture_that_crashes_its_process_is_lost_alone(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(drawn(99)).save(pictures / "normal" / "ZZPHI-0000_killer.png")
    monkeypatch.setattr(module, "decoded", dies_of)
    monkeypatch.setattr(module, "isolated", partial(isolated, seconds=20))
    assert run(pictures, tmp_path / "c").refused == {"decoder_crash": 1}


def test_a_stopped_run_ends_with_the_same_bytes_and_order_and_zip_do_not_matter(
    pictures: Path, tmp_path: Path
) -> None:
    whole = run(pictures, tmp_path / "one")
    steps = ingest(pictures, BY_NAME, size=8, folder=tmp_path / "two", key=KEY, reading=PICTURES)
    while next(steps)[0] < 3:
        pass
    steps.close()
    assert not (tmp_path / "two" / "cohort.json").exists()
    run(pictures, tmp_path / "two")
    assert content(tmp_path / "one") == content(tmp_path / "two")
    with zipfile.ZipFile(pictures / "films.zip", "w") as packed:
        for path in sorted(pictures.rglob("*.png")):
            packed.write(path, path.relative_to(pictures))
            path.unlink()
    np.testing.assert_array_equal(run(pictures, tmp_path / "three").images, whole.images)
    before = json.loads((tmp_path / "one" / "cohort.json").read_text())
    assert Reading.from_json(before["reading"]) == PICTURES


def test_the_error_names_the_other_option(studies: Path, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="but 8 PNG, JPEG or TIFF files; if they are the films, "):
        run(pictures, tmp_path / "c", None, reading=Reading())
    with pytest.raises(CohortError, match="but 6 DICOM files; use --dicom-dir instead"):
        run(studies, tmp_path / "c", None)
