"""Whose film it is, on the command line: said by every command, and refused if the user asks."""

import json
import shutil
from pathlib import Path

import pydicom
import pytest
from invented_cohort import SMALL, Ended, Source, called

pytestmark = pytest.mark.usefixtures("no_rehearsal")


@pytest.fixture
def films(source: Source, tmp_path: Path) -> Path:
    """Eight patients' studies with their labels; in one study the films have two PatientIDs."""
    for number in range(8):
        shutil.copytree(source.folder / str(number), tmp_path / "films" / str(number))
    shutil.copy(source.labels, tmp_path / "labels.csv")
    film = pydicom.dcmread(min((tmp_path / "films").rglob("*.dcm")))
    film.PatientID, film.SOPInstanceUID = "ZZPHI-MERGED", "1.2.3.4"
    film.save_as(tmp_path / "films" / "merged.dcm")
    return tmp_path / "films"


def command(name: str, films: Path, *more: object) -> Ended:
    if name == "inspect":
        return called("inspect", films, *more)
    small = (*SMALL, "--ipc", 1, "--dry-run") if name == "distill" else ()
    return called(name, "--dicom-dir", films, "--out", films.parent / "out", *small, *more)


@pytest.mark.parametrize("name", ["inspect", "ingest", "distill"])
def test_a_study_of_two_ids_is_one_patient_and_said(films: Path, name: str) -> None:
    ended = command(name, films)
    assert ended.code == 0, ended.err
    assert "8 patients" in ended.out
    assert "note: 1 studies have several PatientIDs; a study is of one patient" in ended.out
    found = json.loads(command(name, films, "--json").out)
    assert found["evidence"] == {"study_of_several_ids": 1}
    assert "ZZPHI" not in ended.out + ended.err


@pytest.mark.parametrize("name", ["ingest", "distill"])
def test_strict_refuses_it_and_leaves_nothing(films: Path, name: str) -> None:
    ended = command(name, films, "--strict")
    assert ended.code == 3
    assert "--strict: the films contradict themselves: 1 studies have several" in ended.err
    assert not (films.parent / "out").exists()
    (films / "merged.dcm").unlink()
    assert command(name, films, "--strict").code == 0


@pytest.mark.parametrize("name", ["inspect", "ingest", "distill"])
def test_the_patient_may_be_in_a_column_of_the_table(films: Path, name: str) -> None:
    table = films.parent / "labels.csv"
    head, *rows = table.read_text().splitlines()
    lines = [f"{head},Subject", *(f"{row},{n % 2}{row[-3:]}" for n, row in enumerate(rows))]
    table.write_text("\n".join(lines))
    few = command(name, films, "--patient-column", "subject", "--json")
    assert few.code == 0, few.err
    found = json.loads(few.out)
    people = found["patients"]
    assert (sum(people.values()) if name == "ingest" else people) < 8
    assert "study_of_several_ids" not in found["evidence"]
    shutil.rmtree(films.parent / "out", ignore_errors=True)
    ended = command(name, films, "--patient-column", "nobody")
    assert ended.code == 3
    assert "--patient-column: the table of labels has no such column" in ended.err
