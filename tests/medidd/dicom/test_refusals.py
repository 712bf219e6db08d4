"""The one place where a refused file is named."""

import csv
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medidd.dicom.errors import REASONS, TooManyRefused
from medidd.dicom.folder.cohort import Cohort, ingest
from medidd.dicom.refusals import Refusal, write_refusals

Film = Callable[..., Any]


def listed(place: Path) -> dict[str, str]:
    with place.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert all(row["meaning"] == REASONS[row["reason"]] for row in rows)
    return {row["path"]: row["reason"] for row in rows}


def make(studies: Path, folder: Path, *, max_refused: float = 1.0) -> Cohort:
    steps = ingest(
        studies,
        None,
        size=8,
        folder=folder / "c",
        key=b"key",
        max_refused=max_refused,
        refused_list=folder / "list.csv",
    )
    list(steps)
    return Cohort.open(folder / "c")


def test_every_refused_file_is_listed_at_whatever_stage(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    (studies / "deep").mkdir()
    (studies / "closed").mkdir(mode=0)
    film(8, Modality="CT").save_as(studies / "deep" / "a, b.dcm")
    film(9).save_as(studies / "unlabelled.dcm")
    film(4, Rows=13).save_as(studies / "4.dcm")
    film(1).save_as(studies / "copy.dcm")
    film(2, SOPInstanceUID="1.2.3.4").save_as(studies / "same.dcm")
    cohort = make(studies, tmp_path)
    (studies / "closed").chmod(0o700)
    found = listed(tmp_path / "list.csv")
    copies = {name for name in found if found[name] in ("duplicate", "duplicate_pixels")}
    assert len(copies & {"1.dcm", "copy.dcm"}) == len(copies & {"2.dcm", "same.dcm"}) == 1
    closed = {"closed": "unreadable"} if os.geteuid() else {}
    assert {name: code for name, code in found.items() if name not in copies} == {
        "deep/a, b.dcm": "modality_excluded",
        "unlabelled.dcm": "label_missing",
        "4.dcm": "pixels_truncated",
        "labels.csv": "not_dicom",
        **closed,
    }
    assert Counter(found.values()) == cohort.refused
    assert (tmp_path / "list.csv").stat().st_mode & 0o777 == 0o600


def test_the_list_is_there_where_too_many_are_refused(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    for number in (1, 2, 3):
        film(number, Modality="CT").save_as(studies / f"{number}.dcm")
    with pytest.raises(TooManyRefused):
        make(studies, tmp_path, max_refused=0.1)
    assert {name for name in listed(tmp_path / "list.csv") if name.endswith(".dcm")} == {
        "1.dcm",
        "2.dcm",
        "3.dcm",
    }


def test_a_finished_cohort_keeps_its_whole_list(studies: Path, tmp_path: Path, film: Film) -> None:
    film(4, Rows=13).save_as(studies / "4.dcm")
    make(studies, tmp_path)
    make(studies, tmp_path)
    assert listed(tmp_path / "list.csv")["4.dcm"] == "pixels_truncated"


def test_where_nothing_is_refused_there_is_no_list(tmp_path: Path) -> None:
    write_refusals(tmp_path / "list.csv", tmp_path, [Refusal(tmp_path / "a", "color")])
    assert (tmp_path / "list.csv").exists()
    write_refusals(tmp_path / "list.csv", tmp_path, [])
    assert not (tmp_path / "list.csv").exists()


def test_a_name_that_is_no_text_is_listed_as_it_is(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"M\xfcller.dcm")
    write_refusals(tmp_path / "list.csv", tmp_path, [Refusal(odd, "color")])
    assert b"M\xfcller.dcm,color" in (tmp_path / "list.csv").read_bytes()


def test_a_refusal_has_no_repr_that_names_a_file(tmp_path: Path) -> None:
    assert "ZZPHI" not in repr(Refusal(tmp_path / "ZZPHI", "color"))
