"""medidd ingest: the films alone, and by name those that cannot be used."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest
from invented_cohort import ROOT, SMALL, Source, called, files_of, found_in, traces

from medidd.dicom.folder.cohort import Cohort
from pipelines.run.store import Run, read_json, write_json


@pytest.fixture
def broken(source: Source, tmp_path: Path) -> Path:
    """Eight patients' studies, with one file of a patient cut short and named after her."""
    for number in range(8):
        shutil.copytree(source.folder / str(number), tmp_path / "films" / str(number))
    shutil.copy(source.labels, tmp_path / "labels.csv")
    victim = next((tmp_path / "films" / "0").rglob("ZZPHI_*.dcm"))
    victim.write_bytes(victim.read_bytes()[:-5000])
    return tmp_path / "films"


@pytest.mark.usefixtures("broken")
def test_the_films_are_read_counted_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ("ingest", "--dicom-dir", "films", "--out", "out", "--size", 16, "--max-rejected", 1)
    ended = called(*command)
    assert ended.code == 0, ended.err
    kept = Cohort.open(Path("out/private/cohort"))
    assert f"out: {len(kept.labels)} films of" in ended.out
    assert "  1 pixels_truncated: fewer pixels than the header says" in ended.out
    assert "keys of the table of labels match no usable film" in ended.out
    listed = Path("out/private/refused-files.csv")
    assert f"their list is in {listed}; do not share it" in ended.out
    assert "ZZPHI" in listed.read_text()
    assert listed.stat().st_mode & 0o777 == 0o600
    assert "ZZPHI" not in ended.out + ended.err
    answer = json.loads(called(*command, "--json").out)
    assert sum(answer["films"].values()) == len(kept.labels)
    assert answer["refused"] == {"pixels_truncated": 1}
    assert answer["refused_list"] == str(listed)


def test_nothing_but_the_list_names_anybody(broken: Path, source: Source, tmp_path: Path) -> None:
    contradict(next((broken / "7").rglob("*.dcm")))
    films = ("--dicom-dir", broken, "--max-rejected", 1)
    assert called("ingest", *films, "--out", tmp_path / "out").code == 0
    ended = called("distill", *films, "--ipc", 1, *SMALL, "--out", tmp_path / "run")
    assert ended.code == 0, ended.err
    assert "ZZPHI" not in ended.out + ended.err
    for folder in ("out", "run"):
        written = files_of(tmp_path / folder)
        listed = written.pop("private/refused-files.csv")
        assert "ZZPHI" in listed.read_text()
        texts = [(name, path.read_bytes()) for name, path in written.items()]
        assert found_in(texts, [*traces(source), str(tmp_path).encode()]) == []
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Left out: pixels_truncated 1." in page
    assert "Used with a warning: presentation_lut_conflict 1." in page
    assert "1 pixels_truncated" not in ended.err
    assert f"pixels_truncated 1; list of files: {tmp_path / 'run'}" in ended.out


def test_too_many_refused_files_are_listed_and_can_be_mended(
    broken: Path, source: Source, tmp_path: Path
) -> None:
    command = ("ingest", "--dicom-dir", broken, "--out", tmp_path / "out", "--max-rejected", 0)
    ended = called(*command)
    assert ended.code == 4
    *_, line = ended.err.splitlines()
    listed = tmp_path / "out" / "private" / "refused-files.csv"
    assert line.endswith(f"their list is in {listed}")
    (path, code, _) = listed.read_text().splitlines()[1].split(",")
    assert code == "pixels_truncated"
    shutil.copy(source.folder / path, broken / path)
    assert called(*command).code == 0
    assert not listed.exists()


def test_a_distillation_that_is_refused_says_how_to_list_the_files(
    broken: Path, tmp_path: Path
) -> None:
    films = ("--dicom-dir", broken, "--max-rejected", 0, "--ipc", 1)
    ended = called("distill", *films, *SMALL, "--out", tmp_path / "run")
    assert ended.code == 4
    assert "medidd ingest lists them by name" in ended.err
    assert not (tmp_path / "run").exists()


def test_other_films_do_not_go_into_the_same_folder(broken: Path, tmp_path: Path) -> None:
    out = ("--dicom-dir", broken, "--max-rejected", 1, "--out", tmp_path / "out")
    assert called("ingest", *out).code == 0
    ended = called("ingest", *out, "--size", 32)
    assert ended.code == 2
    assert "size" in ended.err
    assert "--out" in ended.err


def test_a_folder_without_labels_leaves_nothing(broken: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("PatientID,label\nnobody,a\n")
    assert called("ingest", "--dicom-dir", broken, "--out", tmp_path / "out").code == 3
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["audit", "evaluate", "export"])
def test_films_alone_are_no_run(broken: Path, tmp_path: Path, command: str) -> None:
    out = ("--dicom-dir", broken, "--max-rejected", 1, "--out", tmp_path / "out")
    assert called("ingest", *out).code == 0
    to = ("--to", tmp_path / "bundle") if command == "export" else ()
    ended = called(command, tmp_path / "out", *to)
    assert ended.code == 2
    assert "not a run; make one with medidd distill" in ended.err


def contradict(path: Path) -> None:
    """Gives a film two opinions on what is black."""
    film = pydicom.dcmread(path)
    dark = film.PhotometricInterpretation == "MONOCHROME2"
    film.PresentationLUTShape = "INVERSE" if dark else "IDENTITY"
    film.save_as(path)


def test_what_is_odd_about_films_that_are_used_is_said(source: Source, tmp_path: Path) -> None:
    shutil.copytree(source.folder, tmp_path / "films")
    shutil.copy(source.labels, tmp_path / "labels.csv")
    for path in sorted((tmp_path / "films").rglob("*.dcm"))[:2]:
        contradict(path)
    command = ("ingest", "--dicom-dir", tmp_path / "films", "--out", tmp_path / "out")
    ended = called(*command)
    assert "note: 2 films presentation_lut_conflict: Presentation LUT Shape" in ended.out
    answer = called(
        "ingest", "--dicom-dir", tmp_path / "films", "--out", tmp_path / "out", "--json"
    )
    assert json.loads(answer.out)["warned"] == {"presentation_lut_conflict": 2}


def test_neither_torch_nor_monai_is_loaded(source: Source, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pipelines.cli import main\n"
        f"main.main(['ingest', '--dicom-dir', {str(source.folder)!r}, '--out', 'out'])\n"
        "print(sorted({'torch', 'monai', 'sklearn'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program]
    settings = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        command, cwd=tmp_path, env=settings, capture_output=True, text=True, check=True
    )
    assert ended.stdout.endswith("\n[]\n")


def test_after_an_error_the_same_folder_takes_other_options(broken: Path, tmp_path: Path) -> None:
    films = ("ingest", "--dicom-dir", broken, "--out", tmp_path / "out")
    assert called(*films, "--max-rejected", 0).code == 4
    kept = tmp_path / "out" / "private" / "refused-files.csv"
    assert kept.exists()
    (tmp_path / "labels.csv").rename(tmp_path / "moved.csv")
    assert called(*films, "--voi", "percentile").code == 3
    (tmp_path / "moved.csv").rename(tmp_path / "labels.csv")
    ended = called(*films, "--max-rejected", 1, "--voi", "percentile", "--size", 16)
    assert ended.code == 0, ended.err
    assert Cohort.open(tmp_path / "out" / "private" / "cohort").images.shape[1:] == (16, 16)
    ended = called(*films, "--max-rejected", 1, "--size", 32)
    assert (ended.code, "differs in" in ended.err) == (2, True)


@pytest.mark.parametrize(("options", "code"), [(("--max-rejected", 0), 4), (("--ipc", 50), 3)])
def test_a_run_that_was_killed_and_then_ends_with_an_error_takes_other_options(
    broken: Path, tmp_path: Path, options: tuple[str, ...], code: int
) -> None:
    """Nothing was made of its films, so they may serve another job."""
    films = ("distill", "--dicom-dir", broken, "--ipc", 1, *SMALL, "--max-rejected", 1)
    place = Run(tmp_path / "run")
    command = (*films, *options, "--out", place.path)
    place.create()
    place.end({})
    assert called(*command).code == code
    asked = read_json(place.job)
    assert asked.pop("ended")
    write_json(place.job, asked)  # as a run leaves it that was killed while it read
    assert called(*films, "--out", place.path).code == 2
    assert called(*command, "--resume").code == code
    assert not place.ledger.exists()
    ended = called(*films, "--out", place.path)
    assert ended.code == 0, ended.err
    assert "ended" not in read_json(place.job)
