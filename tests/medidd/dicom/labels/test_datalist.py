"""MONAI's datalists."""

import json
from pathlib import Path
from typing import Any

import pytest

from medidd.dicom.errors import CohortError, Refused
from medidd.dicom.header.header import Header
from medidd.dicom.labels.labelling import Labelling
from medidd.dicom.labels.labels import Labels, read_labels
from medidd.dicom.source import Source


def labels_of(folder: Path, content: Any, **labelling: Any) -> Labels:
    (folder / "list.json").write_text(json.dumps(content))
    return read_labels(folder, Labelling(folder / "list.json", **labelling))


def film(path: Path) -> Header:
    return Header(Source(path), {"PatientID": "1"}, "", frozenset())


@pytest.mark.parametrize(
    ("section", "entry", "found"),
    [
        ("training", {"image": "a.dcm", "label": "normal", "fold": 3}, ("normal", "train")),
        ("validation", {"image": ["./a.dcm"], "label": 1}, ("1", "val")),
        ("test", {"image": "a.dcm", "label": 0.0}, ("0", "test")),
        ("testing", {"label": [True], "image": "a.dcm"}, ("1", "test")),
        ("train", {"image": "a.dcm", "label": "normal", "path": "other"}, ("normal", "train")),
        ("train", {"PatientID": "1", "label": "normal", "split": "test"}, ("normal", "train")),
    ],
)
def test_an_entry_finds_its_film(
    tmp_path: Path, section: str, entry: dict[str, Any], found: tuple[str, str]
) -> None:
    assert labels_of(tmp_path, {section: [entry]}).of(film(tmp_path / "a.dcm")) == found


def test_a_path_may_be_absolute(tmp_path: Path) -> None:
    entry = {"image": str(tmp_path / "deep" / "a.dcm"), "label": "normal"}
    labels = labels_of(tmp_path, {"training": [entry]})
    assert labels.of(film(tmp_path / "deep" / "a.dcm")) == ("normal", "train")
    assert labels.row_of(film(tmp_path / "deep" / "a.dcm")) in labels.rows


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ("a.dcm", "missing"),
        ({"image": "a.dcm"}, "missing"),
        ({"image": "a.dcm", "label": None}, "missing"),
        ({"image": "a.dcm", "label": ["x", "y"]}, "unmapped"),
    ],
)
def test_an_entry_without_one_label_is_refused(tmp_path: Path, entry: Any, code: str) -> None:
    other = {"image": "b.dcm", "label": "x"}
    labels = labels_of(tmp_path, {"test": [entry, other], "name": "x", "labels": {"0": "x"}})
    with pytest.raises(Refused, match=f"label_{code}"):
        labels.of(film(tmp_path / "a.dcm"))


def test_a_field_may_be_the_target(tmp_path: Path) -> None:
    films = [
        {"image": "a.dcm", "Mass": True, "box": {"x": 1}},
        {"image": "b.dcm", "Mass": -1, "Nodule": 1},
    ]
    labels = labels_of(tmp_path, {"training": films}, target="mass", uncertain="negative")
    assert labels.of(film(tmp_path / "a.dcm"))[0] == "mass"
    assert labels.of(film(tmp_path / "b.dcm"))[0] == "not mass"


def test_a_list_in_the_usual_place_is_found_after_a_table(tmp_path: Path) -> None:
    listed = {"training": [{"image": "a.dcm", "label": "listed"}]}
    (tmp_path / "labels.json").write_text(json.dumps(listed))
    assert read_labels(tmp_path, Labelling()).of(film(tmp_path / "a.dcm"))[0] == "listed"
    (tmp_path / "labels.csv").write_text("path,label\na.dcm,tabled")
    assert read_labels(tmp_path, Labelling()).of(film(tmp_path / "a.dcm"))[0] == "tabled"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no JSON in UTF-8"),
        ('{"training": [{"image": "ZZPHI"', "no JSON in UTF-8"),
        ("[" * 100_000, "no JSON in UTF-8"),
        ("[1]", "no section training, validation or test"),
        ('{"ZZPHI": [{"image": "ZZPHI"}]}', "no section"),
        ('{"training": {"image": "ZZPHI"}}', "no section"),
        ('{"training": [{"label": "ZZPHI"}]}', "1 entries"),
        ('{"training": [{"image": "a", "label": 1}, {"image": ["ZZPHI", "b"]}]}', "1 entries"),
        ('{"training": [7, {"image": ""}, {"image": {"ZZPHI": 1}}]}', "2 entries"),
        ('{"training": [{"image": "ZZPHI", "label": 1}], "test": [{"image": "ZZPHI", "label": 1}]}',
         "contradicts itself for 1 values of path"),
    ],
)  # fmt: skip
def test_an_unusable_list_is_an_error_without_its_content(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(CohortError, match=message) as caught:
        read_labels(tmp_path, Labelling(tmp_path / "list.json"))
    assert "ZZPHI" not in str(caught.value)
    assert "\n" not in str(caught.value)
