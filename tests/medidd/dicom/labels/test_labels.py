"""Tables as hospitals write them, and one folder per class."""

from pathlib import Path

import pytest

from medidd.dicom.errors import CohortError, Refused
from medidd.dicom.header.header import Header
from medidd.dicom.labels.labelling import USUAL, Labelling
from medidd.dicom.labels.labels import read_labels
from medidd.dicom.source import Source

LINKS = {
    "SOPInstanceUID": "1.2.1",
    "StudyInstanceUID": "1.2.2",
    "AccessionNumber": "0007",
    "PatientID": "00000001",
}


def header(path: Path) -> Header:
    return Header(Source(path), LINKS, "", frozenset())


@pytest.mark.parametrize(
    "table",
    [
        "PatientID,label\n00000001,normal\n",
        "\ufeffPatientID;label\r\n00000001;normal\r\n",
        "patient_id\tlabel\n 00000001 \tnormal\n",
        "Accession Number;Finding\n0007;normal\n",
        "StudyInstanceUID,split,finding\n1.2.2,,normal\n",
        "PatientID,SOPInstanceUID,label\nsomebody,1.2.1,normal\n",
        "path,PatientID,label\nday1\\a.dcm,x,normal\n",
        "path,label\n./films/day1/a.dcm,normal\n",
        'PatientID,label\n"00000001","normal"\n00000001,normal\n00000001,\n',
        "PatientID,comment,label\n00000001,a,normal\n",
        'PatientID;label;note,free\n00000001;normal;a,b\nx;"o,p"\n',
        "PatientID|label\n00000001|normal\n",
        "Name, first;PatientID;label\nDoe, J.;00000001;normal\n",
        'PatientID,comment,label\n00000001,"a;b;c",normal\nx,"a\nb",normal\n',
        "label;PATIENT  ID\n\nnormal;00000001\n\n",
        "PatientID;dose;label\n00000001;0,5;normal\nx;0,7;other\n",
        "PatientID,label,,\n00000001,normal,,\n",
    ],
)
def test_a_table_finds_its_films(tmp_path: Path, table: str) -> None:
    root = tmp_path / "films"
    root.mkdir()
    (tmp_path / "labels.csv").write_text(table, encoding="utf-8", newline="")
    assert read_labels(root, USUAL).of(header(root / "day1" / "a.dcm")) == ("normal", "")


def test_the_table_in_the_folder_comes_before_the_one_beside_it(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    for folder, label in ((tmp_path, "beside"), (tmp_path / "films", "inside")):
        (folder / "labels.csv").write_text(f"PatientID,label\n00000001,{label}")
    assert read_labels(tmp_path / "films", USUAL).of(header(tmp_path / "a"))[0] == "inside"


def test_a_table_may_say_the_split(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("PatientID,label,split\n00000001,normal,Test")
    assert read_labels(tmp_path, USUAL).of(header(tmp_path / "a.dcm")) == ("normal", "test")


def test_none_and_na_are_labels_and_not_missing(tmp_path: Path) -> None:
    for label in ("None", "NA"):
        (tmp_path / "labels.csv").write_text(f"PatientID,label\n00000001,{label}")
        assert read_labels(tmp_path, USUAL).of(header(tmp_path / "a.dcm"))[0] == label


@pytest.mark.parametrize(
    ("label", "code"),
    [("", "missing"), ("-1", "missing"), ("nan", "missing"), ("?", "missing"), ("A|B", "unmapped")],
)
def test_an_unusable_label_is_refused(tmp_path: Path, label: str, code: str) -> None:
    (tmp_path / "labels.csv").write_text(f"PatientID,label\n00000001,{label}\nothers,normal")
    with pytest.raises(Refused, match=f"label_{code}"):
        read_labels(tmp_path, USUAL).of(header(tmp_path / "a.dcm"))


def test_without_a_table_the_first_folder_is_the_class(tmp_path: Path) -> None:
    (tmp_path / "normal" / "day1").mkdir(parents=True)
    labels = read_labels(tmp_path, USUAL)
    assert labels.of(header(tmp_path / "normal" / "day1" / "a.dcm")) == ("normal", "")
    with pytest.raises(Refused, match="label_missing"):
        labels.of(header(tmp_path / "a.dcm"))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"", "is empty"),
        (b"PatientID,label\n", "is empty"),
        (b"ZZPHI,label\nx,normal\n", "no column that finds films"),
        (b"PatientID,ZZPHIA,ZZPHIB\nx,a,b\n", "2 columns that could be the label"),
        (b"PatientID,label\nZZPHI,a\nZZPHI,b\nx,a\n", "contradicts itself for 1 values"),
        (b"PatientID,label,split\nZZPHI,a,train\nZZPHI,a,test\n", "for 1 values"),
        (b"PatientID,label,split\nZZPHI,a,holdout\n", "unknown split; use train, val, test"),
        (b"PatientID,label\nM\xfcller,a\n", r"no CSV in UTF-8; save the table as CSV \(UTF-8\)"),
        (b'PatientID,label\n"ZZPHI"x,a\n', "no CSV in UTF-8"),
        (b'PatientID,label\n"ZZPHI,a\n', "no CSV in UTF-8"),
        (b"PatientID,label\nZZPHI,a,b\nx,a,b\ny,a\n", "2 rows of .* more cells than its header"),
        (b"ZZPHI,ZZPHI^DOE\nx,a\n", "no column that finds films"),
    ],
)
def test_an_unusable_table_is_an_error_without_its_content(
    tmp_path: Path, table: bytes, message: str
) -> None:
    (tmp_path / "labels.csv").write_bytes(table)
    with pytest.raises(CohortError, match=message) as caught:
        read_labels(tmp_path, USUAL)
    assert "ZZPHI" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_spreadsheet_is_refused_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "labels.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(CohortError, match="spreadsheet; save the table as CSV"):
        read_labels(tmp_path, USUAL)
    with pytest.raises(CohortError, match="spreadsheet"):
        read_labels(tmp_path, Labelling(tmp_path / "labels.xlsx"))


def test_a_table_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="cannot be read"):
        read_labels(tmp_path, Labelling(tmp_path / "no.csv"))


def test_no_labels_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"no labels; put a labels\.csv there"):
        read_labels(tmp_path, USUAL)
