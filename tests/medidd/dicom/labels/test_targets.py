"""One target out of many: columns of 0 and 1, findings in a cell, folders."""

from itertools import product
from pathlib import Path

import pytest

from medidd.dicom.errors import CohortError, Refused
from medidd.dicom.header.header import Header
from medidd.dicom.labels.labelling import Labelling
from medidd.dicom.labels.labels import read_labels
from medidd.dicom.source import Source

CHEXPERT = """PatientID,Sex,No Finding,Pneumonia,Effusion
1,F,1.0,,
2,M,,1.0,0.0
3,F,,0.0,1.0
4,M,,-1.0,-1.0
5,F,,1.0,
"""
NIH = """Finding Labels,Follow-up #,Patient ID
Cardiomegaly,0,1
Cardiomegaly|Pneumonia,1,2
No Finding,0,3
,0,4
Pneumonia,0,5
"""


def told(folder: Path, labelling: Labelling, patients: str = "12345") -> list[str]:
    """The class of each patient, or why there is none."""
    labels = read_labels(folder, labelling)
    classes = []
    for patient in patients:
        try:
            classes.append(labels.of(header(folder / "x.dcm", PatientID=patient))[0])
        except Refused as refusal:
            classes.append(refusal.code)
    return classes


def header(path: Path, **links: str) -> Header:
    return Header(Source(path), links, "", frozenset())


def table(folder: Path, text: str) -> Path:
    (folder / "labels.csv").write_text(text)
    return folder


NONE, YES, NO = "label_missing", "Pneumonia", "not Pneumonia"


@pytest.mark.parametrize(
    ("target", "uncertain", "classes"),
    [
        ("Pneumonia", "drop", [NONE, YES, NO, NONE, YES]),
        ("Pneumonia", "positive", [NONE, YES, NO, YES, YES]),
        ("Pneumonia", "negative", [NONE, YES, NO, NO, YES]),
        ("effusion ", "drop", [NONE, "not effusion", "effusion", NONE, NONE]),
        ("Sex", "drop", ["F", "M", "F", "M", "F"]),
    ],
)
def test_a_column_of_many_becomes_the_class(
    tmp_path: Path, target: str, uncertain: str, classes: list[str]
) -> None:
    how = Labelling(target=target, uncertain=uncertain)  # type: ignore[arg-type]
    assert told(table(tmp_path, CHEXPERT), how) == classes


@pytest.mark.parametrize(
    ("target", "classes"),
    [
        ("Pneumonia", ["not Pneumonia", "Pneumonia", "not Pneumonia", NONE, "Pneumonia"]),
        ("no finding", ["not no finding"] * 2 + ["no finding", NONE, "not no finding"]),
    ],
)
def test_a_finding_in_a_cell_is_told_from_all_others(
    tmp_path: Path, target: str, classes: list[str]
) -> None:
    assert told(table(tmp_path, NIH), Labelling(target=target)) == classes


def test_every_cell_of_findings_agrees_with_a_plain_search(tmp_path: Path) -> None:
    findings = ("Mass", "mass", "Mass effect", "Nodule")
    cells = ["|".join(pair) for pair in product(findings, repeat=2)]
    rows = [f"{number},{cell}" for number, cell in enumerate(cells)]
    table(tmp_path, "\n".join(["PatientID,label", *rows]))
    labels = read_labels(tmp_path, Labelling(target="Mass"))
    for number, cell in enumerate(cells):
        expected = f"|{cell}|".lower().find("|mass|") >= 0
        label, _ = labels.of(header(tmp_path / "x", PatientID=f"{number}"))
        assert label == ("Mass" if expected else "not Mass"), cell


@pytest.mark.parametrize(
    ("uncertain", "label"), [("drop", NONE), ("positive", "Mass"), ("negative", "not Mass")]
)
def test_an_uncertain_cell_of_findings_is_what_the_user_says(
    tmp_path: Path, uncertain: str, label: str
) -> None:
    table(tmp_path, "PatientID,label\n1,uncertain\n2,?\n3,Mass\n4,unknown\n5,Nodule\n")
    how = Labelling(target="Mass", uncertain=uncertain)  # type: ignore[arg-type]
    assert told(tmp_path, how) == [label, label, "Mass", NONE, "not Mass"]


def test_two_rows_that_say_the_same_of_the_target_are_no_contradiction(tmp_path: Path) -> None:
    table(tmp_path, "PatientID,label\n1,Mass\n1,Nodule\n2,Pneumonia\n")
    assert told(tmp_path, Labelling(target="Pneumonia"), "12") == ["not Pneumonia", "Pneumonia"]
    with pytest.raises(CohortError, match="contradicts itself for 1 values"):
        read_labels(tmp_path, Labelling(target="Mass"))


def test_folders_are_findings_too(tmp_path: Path) -> None:
    for name in ("Mass", "Nodule", "uncertain"):
        (tmp_path / name).mkdir()
    labels = read_labels(tmp_path, Labelling(target="mass"))
    assert labels.of(header(tmp_path / "Mass" / "a"))[0] == "mass"
    assert labels.of(header(tmp_path / "Nodule" / "a"))[0] == "not mass"
    with pytest.raises(Refused, match="label_missing"):
        labels.of(header(tmp_path / "uncertain" / "a"))
    with pytest.raises(CohortError, match="no folder in it has the name of --target"):
        read_labels(tmp_path, Labelling(target="ZZPHI"))


@pytest.mark.parametrize(
    ("text", "labelling", "message"),
    [
        (CHEXPERT, Labelling(), "4 columns that could be the label; .* --target COLUMN"),
        (CHEXPERT, Labelling(target="ZZPHI"), "no column and no cell that --target names"),
        (CHEXPERT, Labelling(target="Patient ID"), "no column and no cell"),
        (CHEXPERT, Labelling(target="Sex", uncertain="negative"), "drop --uncertain"),
        (CHEXPERT, Labelling(key="path"), "no column path, which --label-key names"),
        ("PatientID,a,b\n1,Mass,Mass\n", Labelling(target="Mass"), "2 columns .* contain it"),
        ("PatientID,Mass,mass\n1,0,Mass\n", Labelling(target="mass"), "2 columns .* contain it"),
    ],
)
def test_a_target_that_cannot_be_found_is_an_error_without_cells(
    tmp_path: Path, text: str, labelling: Labelling, message: str
) -> None:
    table(tmp_path, text)
    with pytest.raises(CohortError, match=message) as caught:
        read_labels(tmp_path, labelling)
    assert "Pneumonia" not in str(caught.value)
    assert "ZZPHI" not in str(caught.value)


def test_the_column_named_label_counts_where_two_hold_the_target(tmp_path: Path) -> None:
    table(tmp_path, "PatientID,report,label\n1,Mass,Nodule\n2,Mass,Mass\n")
    assert told(tmp_path, Labelling(target="Mass"), "12") == ["not Mass", "Mass"]


@pytest.mark.parametrize(
    "wrong", [{"target": " "}, {"uncertain": "positive"}, {"key": "Institution"}]
)
def test_a_labelling_that_means_nothing_is_an_error(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"target|uncertain|key"):
        Labelling(**wrong)  # type: ignore[arg-type]


def test_another_key_may_be_asked_for(tmp_path: Path) -> None:
    table(tmp_path, "AccessionNumber,PatientID,label\nA,1,normal\nB,1,normal\nC,2,ill\n")
    found = header(tmp_path / "x", AccessionNumber="C", PatientID="1")
    assert read_labels(tmp_path, Labelling()).of(found)[0] == "ill"
    assert read_labels(tmp_path, Labelling(key="PatientID")).of(found)[0] == "normal"
    assert read_labels(tmp_path, Labelling(key="PatientID")).row_of(found) == "1"


def test_a_film_is_known_by_its_key_in_the_table(tmp_path: Path) -> None:
    table(tmp_path, "path,label\na.dcm,x\nsub\\b.dcm,y\nc.dcm,x\nd.dcm,\n")
    labels = read_labels(tmp_path, Labelling())
    films = [header(tmp_path / name) for name in ("a.dcm", "sub/b.dcm", "e.dcm")]
    assert labels.rows.keys() == {"a.dcm", "sub/b.dcm", "c.dcm"}
    assert [labels.row_of(one) for one in films] == ["a.dcm", "sub/b.dcm", ""]


@pytest.mark.parametrize(
    ("word", "split"),
    [("training", "train"), ("Valid", "val"), ("DEV", "val"), ("testing", "test"), ("", "")],
)
def test_usual_spellings_of_splits_are_understood(tmp_path: Path, word: str, split: str) -> None:
    table(tmp_path, f"PatientID,label,Split\n1,normal,{word}\n")
    found = read_labels(tmp_path, Labelling()).of(header(tmp_path / "x", PatientID="1"))
    assert found == ("normal", split)
