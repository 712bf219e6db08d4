"""A folder of films becomes a cohort: whole, in order, resumable and without identifiers."""

import gzip
import os
import shutil
import signal
import tarfile
import zipfile
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.datadict import DicomDictionary

from medidd.dicom.errors import CohortError, TooManyRefused
from medidd.dicom.folder import cohort as module
from medidd.dicom.folder.cohort import Cohort, ingest
from medidd.dicom.header.identifiers import keyed
from medidd.dicom.reading import Reading

Film = Callable[..., Any]
KEY = b"a key that lies elsewhere"


def run(root: Path, folder: Path, **options: Any) -> Cohort:
    options = {"size": 8, "key": KEY, **options}
    list(ingest(root, options.pop("labels", None), folder=folder, **options))
    return Cohort.open(folder)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_becomes_a_cohort(studies: Path, tmp_path: Path) -> None:
    steps = list(ingest(studies, None, size=8, folder=tmp_path / "c", key=KEY))
    assert steps == [(done, 6) for done in range(7)]
    cohort = Cohort.open(tmp_path / "c")
    assert cohort.images.shape == (6, 8, 8)
    assert cohort.images.dtype == np.uint16
    assert not cohort.images.flags.writeable
    assert cohort.classes == ("normal", "pneumonia")
    assert cohort.labels.tolist() == [1, 0, 1, 0, 1, 0]
    assert cohort.patients[0] == keyed(KEY, "|ZZPHI-0001")
    assert len(set(cohort.patients)) == 6
    assert set(cohort.splits) == {""}
    assert cohort.refused == {"not_dicom": 1}
    assert keyed(KEY, "ZZPHI-0003") in cohort.tokens
    assert keyed(KEY, "1.2.826.0.1.3680043.10.2.5") in cohort.tokens


def test_only_the_owner_may_read_it(studies: Path, tmp_path: Path) -> None:
    run(studies, tmp_path / "c")
    assert (tmp_path / "c").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "c").iterdir()} == {0o600}
    assert content(tmp_path / "c").keys() == {"cohort.json", "films.jsonl", "images.npy", "tokens"}


def test_file_names_and_their_order_do_not_matter(studies: Path, tmp_path: Path) -> None:
    run(studies, tmp_path / "one")
    for number in range(1, 7):
        folder = studies / f"{number % 2}"
        folder.mkdir(exist_ok=True)
        (studies / f"{number}.dcm").rename(folder / f"{9 - number}")
    run(studies, tmp_path / "two")
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_films_in_archives_are_the_same_films(studies: Path, tmp_path: Path) -> None:
    run(studies, tmp_path / "one")
    with zipfile.ZipFile(studies / "many", "w", zipfile.ZIP_DEFLATED) as made:
        for number in range(2, 7):
            made.write(studies / f"{number}.dcm", f"ward/{number}")
            (studies / f"{number}.dcm").unlink()
    cohort = run(studies, tmp_path / "two")
    assert cohort.refused == {"not_dicom": 1}
    one, two = content(tmp_path / "one"), content(tmp_path / "two")
    for name in ("images.npy", "films.jsonl", "tokens"):
        assert one[name] == two[name]


def test_packed_films_and_links_are_the_same_films(studies: Path, tmp_path: Path) -> None:
    run(studies, tmp_path / "one")
    (studies / "1.dcm").rename(tmp_path / "1")
    (studies / "1.dcm").symlink_to(tmp_path / "1")
    (studies / "2.dcm.gz").write_bytes(gzip.compress((studies / "2.dcm").read_bytes()))
    with tarfile.open(studies / "3.tgz", "w:gz") as made:
        for number in (3, 4):
            made.add(studies / f"{number}.dcm", f"ward/{number}")
    with zipfile.ZipFile(studies / "5.zip", "w") as nested:
        nested.writestr("5.gz", gzip.compress((studies / "5.dcm").read_bytes()))
    for number in (2, 3, 4):
        (studies / f"{number}.dcm").unlink()
    cohort = run(studies, tmp_path / "two", reading=Reading(accept=("symlinks",)))
    assert cohort.refused == {"nested_archive": 1, "not_dicom": 1}
    one, two = content(tmp_path / "one"), content(tmp_path / "two")
    for name in ("images.npy", "films.jsonl", "tokens"):
        assert one[name] == two[name]


@pytest.mark.parametrize("column", ["link", "store", "whole"])
def test_a_table_finds_a_linked_film_by_the_link_or_by_where_it_leads(
    studies: Path, tmp_path: Path, column: str
) -> None:
    (tmp_path / "store").mkdir()
    lines = ["path,label"]
    for number in range(1, 7):
        film, link = tmp_path / "store" / f"{number}", studies / f"{number}.dcm"
        link.rename(film)
        link.symlink_to(film)
        place = {"link": link.name, "store": f"store/{number}", "whole": film}[column]
        lines.append(f"{place},{('normal', 'ill')[number % 2]}")
    (studies / "labels.csv").unlink()
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    assert len(run(studies, tmp_path / "c", reading=Reading(accept=("symlinks",))).labels) == 6


def test_links_to_folders_are_classes(studies: Path, tmp_path: Path) -> None:
    (studies / "labels.csv").unlink()
    for number in range(1, 7):
        store = tmp_path / "store" / ("well", "ill")[number % 2]
        store.mkdir(parents=True, exist_ok=True)
        (studies / f"{number}.dcm").rename(store / f"{number}")
    for name in ("well", "ill"):
        (studies / name).symlink_to(tmp_path / "store" / name, target_is_directory=True)
    with pytest.raises(TooManyRefused, match=r"symlink_skipped 2; .* add --accept symlinks"):
        run(studies, tmp_path / "c")
    found = run(studies, tmp_path / "c", reading=Reading(accept=("symlinks",)))
    assert found.classes == ("ill", "well")


def test_an_archive_is_a_folder_of_classes_too(studies: Path, tmp_path: Path) -> None:
    (studies / "labels.csv").unlink()
    with zipfile.ZipFile(studies / "all.zip", "w") as made:
        for number in range(1, 7):
            made.write(studies / f"{number}.dcm", f"{('well', 'ill')[number % 2]}/{number}")
            (studies / f"{number}.dcm").unlink()
    assert run(studies, tmp_path / "c").classes == ("ill", "well")


def test_a_film_that_is_exchanged_while_being_read_ends_the_run(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    """Its pixels would count for the patient in the header that was read before."""
    steps = ingest(studies, None, folder=tmp_path / "c", size=8, key=KEY)
    assert next(steps) == (0, 6)
    film(7).save_as(studies / "4.dcm")
    with pytest.raises(CohortError, match="1 files changed while being read; run again"):
        list(steps)
    with pytest.raises(CohortError, match="no finished cohort"):
        Cohort.open(tmp_path / "c")
    (studies / "5.dcm").unlink()
    assert len(run(studies, tmp_path / "c", max_refused=1).labels) == 4


def test_a_sign_of_life_comes_before_the_first_film(
    studies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SIGN_OF_LIFE", 3)
    steps = list(ingest(studies, None, folder=tmp_path / "c", size=8, key=KEY))
    assert steps == [(0, 3), (0, 6), *((done, 6) for done in range(7))]


@pytest.mark.parametrize("stop_at", [1, 3, 5, 6])
def test_a_run_that_was_stopped_ends_with_the_same_bytes(
    studies: Path, tmp_path: Path, film: Film, stop_at: int
) -> None:
    film(4, Rows=13).save_as(studies / "4.dcm")  # truncated: a row that never fills
    options = {"size": 8, "key": KEY, "max_refused": 1.0}
    run(studies, tmp_path / "whole", **options)
    steps = ingest(studies, None, folder=tmp_path / "c", **options)
    for _ in range(stop_at):
        next(steps)
    steps.close()
    with pytest.raises(CohortError, match="no finished cohort"):
        Cohort.open(tmp_path / "c")
    steps = ingest(studies, None, folder=tmp_path / "c", **options)
    assert next(steps) == (stop_at - 1, 6)
    list(steps)
    assert content(tmp_path / "c") == content(tmp_path / "whole")


def killed(studies: Path, folder: Path) -> None:
    module._SETTLE_EVERY = 2
    steps = ingest(studies, None, size=8, folder=folder, key=KEY)
    for _ in range(6):
        next(steps)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_run_ends_with_the_same_bytes(
    studies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(studies, tmp_path / "whole")
    monkeypatch.setattr(module, "_SETTLE_EVERY", 2)
    child = get_context("spawn").Process(target=killed, args=(studies, tmp_path / "c"))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    steps = ingest(studies, None, size=8, folder=tmp_path / "c", key=KEY)
    assert next(steps) == (4, 6)  # the fifth film was decoded but not settled
    list(steps)
    assert content(tmp_path / "c") == content(tmp_path / "whole")


def test_a_finished_cohort_is_not_made_again(studies: Path, tmp_path: Path) -> None:
    run(studies, tmp_path / "c")
    assert list(ingest(studies, None, size=8, folder=tmp_path / "c", key=KEY)) == [(6, 6)]


def test_a_changed_folder_makes_a_new_cohort(studies: Path, tmp_path: Path, film: Film) -> None:
    run(studies, tmp_path / "c")
    film(1, np.eye(9, dtype=np.uint16)).save_as(studies / "1.dcm")
    changed = run(studies, tmp_path / "c")
    np.testing.assert_array_equal(changed.images, run(studies, tmp_path / "new").images)
    assert run(studies, tmp_path / "c", size=4).images.shape == (6, 4, 4)


def test_a_stopped_run_starts_again_where_the_folder_has_changed(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    steps = ingest(studies, None, size=8, folder=tmp_path / "c", key=KEY)
    for _ in range(4):
        next(steps)
    steps.close()
    film(1, np.eye(9, dtype=np.uint16)).save_as(studies / "1.dcm")
    run(studies, tmp_path / "c")
    run(studies, tmp_path / "new")
    assert content(tmp_path / "c") == content(tmp_path / "new")


def test_no_identifier_reaches_the_cohort_or_the_terminal(
    studies: Path,
    tmp_path: Path,
    film: Film,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    texts = [
        keyword
        for tag, (vr, _, _, retired, keyword) in sorted(DicomDictionary.items())
        if tag > 0x00080000
        and vr in ("LO", "SH", "PN", "LT", "ST", "UT", "UC")
        and keyword
        and not retired
    ]
    for number in range(1, 7):
        planted = film(number, **dict.fromkeys(texts, f"ZZPHI{number:04}"))
        planted.PatientID = f"ZZPHI-{number:04}"
        planted.private_block(0x0011, "ZZPHI", create=True).add_new(1, "LO", "ZZPHI")
        (studies / f"{number}.dcm").unlink()
        planted.save_as(studies / f"ZZPHI {number}.dcm")
    for number, elements in (
        (7, {"NumberOfFrames": "123456"}),
        (8, {"RescaleSlope": "123456", "RescaleIntercept": "0"}),
    ):
        path = studies / f"ZZPHI broken {number}.dcm"
        film(number, **elements).save_as(path)
        path.write_bytes(path.read_bytes().replace(b"123456", b"ZZPHI "))
    with (studies / "labels.csv").open("a") as table:
        table.write("\nZZPHI-0007,normal\nZZPHI-0008,normal")
    cohort = run(studies, tmp_path / "c", max_refused=1.0)
    assert cohort.refused == {"header_error": 2, "not_dicom": 1}
    stored = b"".join(content(tmp_path / "c").values())
    for secret in (b"ZZPHI", b"GIVEN", b"3680043", b"studies", str(tmp_path).encode()):
        assert secret not in stored
    assert "ZZPHI" not in caplog.text + "".join(capfd.readouterr())


def test_a_missing_patient_id_makes_the_study_the_patient(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    (studies / "labels.csv").write_text(
        (studies / "labels.csv").read_text().replace("PatientID", "AccessionNumber")
        .replace("ZZPHI-", "ZZPHIA")
    )  # fmt: skip
    for number in (1, 3):
        film(number, PatientID="", StudyInstanceUID="1.2.3").save_as(studies / f"{number}.dcm")
    cohort = run(studies, tmp_path / "c")
    assert b'"patient_id_missing": 2' in content(tmp_path / "c")["cohort.json"]
    assert cohort.patients[0] == cohort.patients[2] == keyed(KEY, "study|1.2.3")
    assert (cohort.unit, cohort.unnamed) == ("patient", 2)
    assert not cohort.tells_patients_apart


def test_a_film_without_patient_id_that_cannot_be_used_does_not_count(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    (studies / "labels.csv").write_text(
        (studies / "labels.csv").read_text().replace("PatientID", "AccessionNumber")
        .replace("ZZPHI-", "ZZPHIA")
    )  # fmt: skip
    film(1, PatientID="", Rows=13).save_as(studies / "1.dcm")
    cohort = run(studies, tmp_path / "c")
    assert cohort.refused["pixels_truncated"] == 1
    assert (cohort.unnamed, cohort.tells_patients_apart) == (0, True)


@pytest.mark.parametrize(("unit", "units"), [("patient", 2), ("study", 4), ("image", 6)])
def test_what_counts_as_a_patient_is_what_was_asked(
    studies: Path, tmp_path: Path, film: Film, unit: str, units: int
) -> None:
    lines = ["path,label"]
    for number in range(1, 7):
        study = f"1.2.{number % 2 + 1}{number // 4}"
        of = {"PatientID": f"ZZPHI-{number % 2}", "StudyInstanceUID": study}
        film(number, **of).save_as(studies / f"{number}.dcm")
        lines.append(f"{number}.dcm,{'ab'[number % 2]}")
    lines[1] = "1.dcm,a"
    lines[4] = "4.dcm,b"
    (studies / "labels.csv").write_text("\n".join(lines))
    cohort = run(studies, tmp_path / "c", unit=unit)
    assert cohort.unit == unit
    assert cohort.tells_patients_apart
    assert len(set(cohort.patients)) == units
    for row, number in enumerate(range(1, 7)):
        uid = f"1.2.826.0.1.3680043.10.1.{number}"
        names = {
            "patient": keyed(KEY, f"|ZZPHI-{number % 2}"),
            "study": keyed(KEY, f"study|1.2.{number % 2 + 1}{number // 4}"),
            "image": keyed(KEY, f"image|{uid}"),
        }
        assert cohort.patients[row] == names[unit]
        assert cohort.names[row] == set(names.values())


def test_another_unit_makes_a_new_cohort_even_of_the_same_hashes(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    """Without any PatientID studies stand for patients, but nobody has answered for it."""
    lines = ["path,label"]
    for number in range(1, 7):
        film(number, PatientID="").save_as(studies / f"{number}.dcm")
        lines.append(f"{number}.dcm,{'ab'[number % 2]}")
    (studies / "labels.csv").write_text("\n".join(lines))
    by_patient = run(studies, tmp_path / "c")
    by_study = run(studies, tmp_path / "c", unit="study")
    assert by_patient.patients.tolist() == by_study.patients.tolist()
    assert not by_patient.tells_patients_apart
    assert by_study.tells_patients_apart


def test_a_merged_patient_keeps_every_name(studies: Path, tmp_path: Path, film: Film) -> None:
    film(2, film(1).pixel_array).save_as(studies / "2.dcm")
    cohort = run(studies, tmp_path / "c")
    first, second = cohort.names[:2]
    assert cohort.patients[0] == cohort.patients[1]
    assert keyed(KEY, "|ZZPHI-0001") in first - second
    assert keyed(KEY, "|ZZPHI-0002") in second - first


def test_sex_age_and_device_are_kept_coarsely(studies: Path, tmp_path: Path, film: Film) -> None:
    maker = {"Manufacturer": "ZZPHI Works", "ManufacturerModelName": "Ray 1"}
    film(1, PatientSex="F", PatientAge="047Y", **maker).save_as(studies / "1.dcm")
    dates = {"PatientBirthDate": "19300101", "StudyDate": "20220314"}
    film(2, PatientSex="M", **dates, **maker).save_as(studies / "2.dcm")
    film(3, Manufacturer="ZZPHI works ").save_as(studies / "3.dcm")
    cohort = run(studies, tmp_path / "c")
    assert cohort.traits["sex"] == ["F", "M", "", "", "", ""]
    assert cohort.traits["age"] == ["40-49", "90+", "", "", "", ""]
    first, second, third, *others = cohort.traits["device"]
    assert first == second == keyed(KEY, "device|zzphi works|ray 1")[:8]
    assert third not in (first, "")
    assert others == [""] * 3
    stored = b"".join(content(tmp_path / "c").values())
    for word in (b"Works", b"works", b"Ray", b"047", b"19300101", b"20220314"):
        assert word not in stored


def test_no_film_is_lost_for_a_trait_that_cannot_be_read(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    film(1, PatientAge="047Y").save_as(studies / "1.dcm")
    data = (studies / "1.dcm").read_bytes()
    assert data.count(b"AS\x04\x00047Y") == 1
    (studies / "1.dcm").write_bytes(data.replace(b"AS\x04", b"FD\x04"))  # too short for a double
    cohort = run(studies, tmp_path / "c")
    assert len(cohort.images) == 6
    assert cohort.traits["age"][0] == ""


def test_one_patient_id_of_two_hospitals_is_two_patients(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    film(1, IssuerOfPatientID="ZZPHI A").save_as(studies / "1.dcm")
    film(9, PatientID="ZZPHI-0001", IssuerOfPatientID="ZZPHI B").save_as(studies / "9.dcm")
    assert len(set(run(studies, tmp_path / "c").patients)) == 7


def test_patients_with_the_same_film_become_one(studies: Path, tmp_path: Path, film: Film) -> None:
    film(2, film(1).pixel_array).save_as(studies / "2.dcm")
    film(9, film(4).pixel_array, PatientID="ZZPHI-0002").save_as(studies / "9.dcm")
    cohort = run(studies, tmp_path / "c")
    assert len(cohort.images) == 7
    assert len(set(cohort.patients)) == 4
    assert cohort.patients[0] == min(keyed(KEY, f"|ZZPHI-000{number}") for number in (1, 2, 4))
    assert b'"patients_merged": 2' in content(tmp_path / "c")["cohort.json"]


def test_the_same_film_with_two_labels_is_refused_altogether(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    table = (studies / "labels.csv").read_text().replace("PatientID", "AccessionNumber")
    table = table.replace("ZZPHI-", "ZZPHIA") + "\nZZPHIA0009,normal"
    (studies / "labels.csv").write_text(table)
    film(9, film(1).pixel_array, PatientID="ZZPHI-0001").save_as(studies / "9.dcm")
    cohort = run(studies, tmp_path / "c", max_refused=1.0)
    assert cohort.refused == {"conflicting_duplicate": 2, "not_dicom": 1}
    assert len(cohort.images) == 5


def test_splits_are_kept_and_a_patient_in_two_is_an_error(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    lines = ["path,label,split"]
    lines += [f"{n}.dcm,{'ab'[n % 2]},{('train', 'test')[n > 4]}" for n in range(1, 7)]
    (studies / "labels.csv").write_text("\n".join(lines))
    assert run(studies, tmp_path / "c").splits.tolist() == ["train"] * 4 + ["test"] * 2
    film(5, PatientID="ZZPHI-0001").save_as(studies / "5.dcm")
    with pytest.raises(CohortError, match="1 patients are in two splits"):
        run(studies, tmp_path / "c")


def test_a_patient_in_two_splits_is_found_by_equal_pixels(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    lines = ["path,label,split"]
    lines += [f"{n}.dcm,{'ab'[n % 2]},{('train', 'test')[n > 4]}" for n in range(1, 7)]
    (studies / "labels.csv").write_text("\n".join(lines))
    film(5, film(1).pixel_array).save_as(studies / "5.dcm")
    with pytest.raises(CohortError, match="1 patients are in two splits"):
        run(studies, tmp_path / "c")


def test_a_patient_may_have_films_of_both_classes(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    (studies / "labels.csv").unlink()
    for number in range(1, 7):
        folder = studies / ("a", "b")[number % 2]
        folder.mkdir(exist_ok=True)
        film(number, PatientID=f"ZZPHI-{number % 3}").save_as(folder / f"{number}")
        (studies / f"{number}.dcm").unlink()
    assert len(set(run(studies, tmp_path / "c").patients)) == 3


def test_too_many_refused_files_are_an_error_that_says_why(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    film(8, Modality="CT").save_as(studies / "ZZPHI8.dcm")
    run(studies, tmp_path / "c")
    film(9, Modality="CT").save_as(studies / "ZZPHI9.dcm")
    with pytest.raises(TooManyRefused, match=r"2 files refused .*\(modality_excluded 2\)") as e:
        run(studies, tmp_path / "c")
    assert "ZZPHI" not in str(e.value)


def test_refusals_while_decoding_count_too(studies: Path, tmp_path: Path, film: Film) -> None:
    for number in (1, 2):
        film(number, Rows=13).save_as(studies / f"{number}.dcm")
    with pytest.raises(TooManyRefused, match="pixels_truncated 2"):
        run(studies, tmp_path / "c")
    assert len(run(studies, tmp_path / "c", max_refused=0.5).images) == 4


def empty(root: Path) -> None:
    for path in root.iterdir():
        path.unlink()


def table_only(root: Path) -> None:
    for path in root.glob("*.dcm"):
        path.unlink()


def other_table(root: Path) -> None:
    (root / "labels.csv").write_text("PatientID,label\nnobody,normal\n")


def one_class(root: Path) -> None:
    table = root / "labels.csv"
    table.write_text(table.read_text().replace("pneumonia", "normal"))


def lonely_class(root: Path) -> None:
    table = root / "labels.csv"
    table.write_text(table.read_text().replace("ZZPHI-0002,normal", "ZZPHI-0002,rare"))


def folder_per_patient(root: Path) -> None:
    (root / "labels.csv").unlink()
    for path in list(root.iterdir()):
        (root / f"zzphi-000{path.stem}").mkdir()
        path.rename(root / f"zzphi-000{path.stem}" / "film")


def class_of_two_lines(root: Path) -> None:
    table = root / "labels.csv"
    table.write_text(table.read_text().replace("normal", '"nor\nmal"'))


def class_of_no_letters(root: Path) -> None:
    (root / "labels.csv").unlink()
    for path in list(root.iterdir()):
        folder = root / ("sick", os.fsdecode(b"norm\xe9"))[int(path.stem) % 2]
        folder.mkdir(exist_ok=True)
        path.rename(folder / path.name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (class_of_two_lines, "1 of 2 classes have a name with line ends"),
        (class_of_no_letters, "1 of 2 classes have a name with line ends"),
        (empty, "no DICOM file in it; name the folder"),
        (table_only, "no DICOM file in it; name the folder"),
        (shutil.rmtree, "no folder that can be read"),
        (other_table, "none of 6 films has a label; check that the column PatientID"),
        (one_class, "one class only"),
        (lonely_class, "1 of 3 classes have a single patient"),
        (folder_per_patient, "6 of 6 classes are named by an identifier"),
    ],
)
def test_a_folder_that_gives_no_cohort_is_an_error(
    studies: Path, tmp_path: Path, change: Callable[[Path], None], message: str
) -> None:
    change(studies)
    with pytest.raises(CohortError, match=message) as caught:
        run(studies, tmp_path / "c")
    assert "ZZPHI" not in str(caught.value).upper()
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_usable_film_says_why(studies: Path, tmp_path: Path, film: Film) -> None:
    for number in range(1, 7):
        film(number, Modality="CT").save_as(studies / f"{number}.dcm")
    with pytest.raises(CohortError, match="no usable film; refused: modality_excluded 6"):
        run(studies, tmp_path / "c")


def test_a_damaged_cohort_is_an_error(studies: Path, tmp_path: Path) -> None:
    run(studies, tmp_path / "c")
    (tmp_path / "c" / "images.npy").write_bytes(b"")
    with pytest.raises(CohortError, match="damaged; delete it"):
        Cohort.open(tmp_path / "c")
