"""Films found by their files: names, moved paths, and nothing that is a guess."""

from pathlib import Path

import pytest

from medidd.dicom.errors import CohortError, Refused
from medidd.dicom.folder.gathering import Gathered
from medidd.dicom.header.header import Header
from medidd.dicom.labels.labelling import Labelling
from medidd.dicom.labels.labels import Labels, read_labels
from medidd.dicom.source import Source

UID = "1.2.840.113619.2"


def film(path: Path, instance: str = "1.2.3", **links: str) -> Header:
    known = {"SOPInstanceUID": instance, "StudyInstanceUID": "", "PatientID": "", "StudyID": ""}
    return Header(Source(path), known | links, "", frozenset())


def labelled(root: Path, rows: list[str], column: str = "path") -> Labels:
    root.mkdir(exist_ok=True)
    (root / "labels.csv").write_text("\n".join([f"{column},label", *rows]))
    return read_labels(root, Labelling())


def told(labels: Labels, header: Header) -> str:
    try:
        return labels.of(header)[0]
    except Refused as refusal:
        return refusal.code


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("day1/a.dcm", "ill"),
        ("a.dcm", "ill"),
        ("a", "ill"),
        ("a.PNG", "ill"),
        ("a.dcm.gz", "ill"),
        (r"D:\Export\day1\a.png", "ill"),
        ("/mnt/old/day1/a.dcm", "ill"),
        ("./day1//a.jpg", "ill"),
        ("films/day1/a", "ill"),
        ("day2/a.dcm", "label_missing"),
        ("old/day2/a.dcm", "label_missing"),
        ("1/a.dcm", "label_missing"),
        ("aa.dcm", "label_missing"),
        ("A.dcm", "label_missing"),
        ("a.b", "label_missing"),
    ],
)
def test_a_path_finds_a_film_by_its_tail(tmp_path: Path, row: str, found: str) -> None:
    root = tmp_path / "films"
    labels = labelled(root, [f"{row},ill", "z/z.dcm,well"])
    assert told(labels, film(root / "day1" / "a.dcm")) == found


def test_the_last_part_of_a_uid_is_no_suffix(tmp_path: Path) -> None:
    labels = labelled(tmp_path, [f"{UID}.1,ill", f"{UID}.2.dcm,well"], "image_id")
    names = (f"x/{UID}.1", f"{UID}.1.dcm", f"{UID}.2", f"{UID}.3", UID)
    missing = "label_missing"
    assert [told(labels, film(tmp_path / name)) for name in names] == [
        *("ill", "ill", "well"),
        *(missing, missing),
    ]


def test_rows_that_could_all_mean_a_film_are_no_label(tmp_path: Path) -> None:
    rows = ["p1/study1/view1.jpg,ill", "p2/study1/view1.jpg,well", "b.png,ill", "b.jpg,ill"]
    labels = labelled(tmp_path, rows)
    assert told(labels, film(tmp_path / "view1.dcm")) == "label_ambiguous"
    assert told(labels, film(tmp_path / "study1" / "view1.dcm")) == "label_ambiguous"
    assert told(labels, film(tmp_path / "b.dcm")) == "label_ambiguous"
    assert told(labels, film(tmp_path / "b.jpg")) == "ill"
    assert told(labels, film(tmp_path / "x" / "p2" / "study1" / "view1.dcm")) == "well"
    assert labels.row_of(film(tmp_path / "view1.dcm")) == ""


def test_another_patient_in_a_folder_of_the_same_form_is_not_found(tmp_path: Path) -> None:
    root = tmp_path / "set"
    (root / "p9" / "study1").mkdir(parents=True)
    labels = labelled(root, ["old/p1/study1/view1.jpg,ill", "old/p2/study2/view1.jpg,well"])
    assert told(labels, film(root / "p9" / "study1" / "view1.dcm")) == "label_missing"


def codes(labels: Labels, headers: list[Header]) -> list[str]:
    seen = Gathered(labels, b"key", "patient")
    for header in headers:
        seen.add(header)
    seen.refuse_doubtful()
    return [*(one.label for one in seen.films), *(one.code for one in seen.refusals)]


def test_a_name_that_finds_two_films_labels_neither(tmp_path: Path) -> None:
    labels = labelled(tmp_path, ["a.dcm,ill", "b.dcm,well"], "filename")
    first, second = film(tmp_path / "x" / "a.dcm", "1.1"), film(tmp_path / "y" / "a.dcm", "1.2")
    other, copy = film(tmp_path / "x" / "b.dcm", "1.3"), film(tmp_path / "y" / "b.dcm", "1.3")
    assert codes(labels, [first, other]) == ["ill", "well"]
    assert codes(labels, [first, second, other]) == ["well", "label_ambiguous", "label_ambiguous"]
    assert codes(labels, [other, copy]) == ["well", "well"]
    whole = film(tmp_path / "a.dcm", "1.4")
    for both in ([first, whole], [whole, first]):
        assert codes(labels, both) == ["ill", "label_ambiguous"]
    again = film(tmp_path / "z" / "a.dcm", "1.4")
    assert codes(labels, [again, whole]) == ["ill", "ill"]


def test_a_study_id_is_of_one_patient(tmp_path: Path) -> None:
    labels = labelled(tmp_path, ["1,ill", "2,well"], "study_id")
    one, same, other = (
        film(tmp_path / "x", f"1.{n}", StudyID="1", PatientID=patient)
        for n, patient in enumerate(("A", "A", "B"))
    )
    assert codes(labels, [one, same]) == ["ill", "ill"]
    assert codes(labels, [one, same, other]) == ["label_ambiguous"] * 3


def test_a_study_id_that_the_table_gives_to_two_patients_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("PatientID,StudyID,label\nA,1,ill\nB,1,well\n")
    header = film(tmp_path / "x", StudyID="1", PatientID="B")
    assert told(read_labels(tmp_path, Labelling()), header) == "well"
    with pytest.raises(CohortError, match="contradicts itself for 1 values of StudyID"):
        read_labels(tmp_path, Labelling(key="StudyID"))


def test_a_second_table_says_the_split(tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("PatientID,label\nA,ill\nB,well\n")
    (tmp_path / "splits.csv").write_text("dicom_id,split\na,validate\n")
    found = read_labels(tmp_path, Labelling(splits=tmp_path / "splits.csv"))
    assert found.of(film(tmp_path / "x" / "a.dcm", PatientID="A")) == ("ill", "val")
    assert told(found, film(tmp_path / "b.dcm", PatientID="B")) == "split_missing"
    for content, message in (
        ("dicom_id,part\na,train\n", "table of splits has no column split"),
        ("ZZPHI,split\na,train\n", "--splits: the table of splits has no column that finds"),
        ("dicom_id,split\nZZPHI,train\nZZPHI,test\n", "of splits contradicts itself for 1 values"),
    ):
        (tmp_path / "splits.csv").write_text(content)
        with pytest.raises(CohortError, match=message) as caught:
            read_labels(tmp_path, Labelling(splits=tmp_path / "splits.csv"))
        assert "ZZPHI" not in str(caught.value)
    labels.write_text("PatientID,label,split\nA,ill,train\n")
    (tmp_path / "splits.csv").write_text("dicom_id,split\na,train\n")
    with pytest.raises(CohortError, match="has a column split, too"):
        read_labels(tmp_path, Labelling(splits=tmp_path / "splits.csv"))
