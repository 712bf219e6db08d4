"""medidd inspect: a folder at a glance."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from invented_cohort import ROOT, Source, called, found_in, traces, tree


def test_a_folder_is_summed_up_without_naming_anybody(source: Source, tmp_path: Path) -> None:
    shutil.copytree(source.folder, tmp_path / "films")
    shutil.copy(source.labels, tmp_path / "labels.csv")
    (tmp_path / "films" / "ZZPHI.txt").write_text("ZZPHI")
    before = tree(tmp_path)
    ended = called("inspect", tmp_path / "films")
    assert ended.code == 0, ended.err
    films, patients = len(source.instances), len(set(source.patient_of.values()))
    assert f"usable: {films} radiographs of {patients} patients in" in ended.out
    assert "view: PA" in ended.out
    assert "1 not_dicom: no DICOM file" in ended.out
    assert "labels: normal" in ended.out
    answer = called("inspect", tmp_path / "films", "--json")
    found = json.loads(answer.out)
    assert (found["files"], found["usable"], found["patients"]) == (films + 1, films, patients)
    assert sum(found["labels"]["films"].values()) == films
    assert sum(found["modalities"].values()) == found["dicom"] == films
    texts = [("", (ended.out + ended.err + answer.out + answer.err).encode())]
    named = [one for one in traces(source) if one != str(source.folder.parent).encode()]
    assert found_in(texts, named) == []
    assert tree(tmp_path) == before


def test_a_folder_may_have_no_labels_yet(source: Source, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    for number, film in enumerate(source.folder.rglob("*.dcm")):
        shutil.copy(film, tmp_path / "films" / f"{number}.dcm")
    ended = called("inspect", tmp_path / "films")
    assert ended.code == 0, ended.err
    assert "no labels; put a labels.csv there" in ended.out
    assert json.loads(called("inspect", tmp_path / "films", "--json").out)["labels"] is None


def test_a_table_that_was_named_must_be_one(source: Source, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("one\ntwo\n")
    ended = called("inspect", source.folder, "--labels", tmp_path / "bad.csv")
    assert ended.code == 3
    assert "no column that finds films" in ended.err.splitlines()[-1]
    assert called("inspect", source.folder, "--target", "nothing").code == 3


def test_keys_and_films_that_do_not_match_are_counted(source: Source, tmp_path: Path) -> None:
    head, *rows = source.labels.read_text().splitlines()
    (tmp_path / "few.csv").write_text("\n".join([head, *rows[3:], "1.2.3,normal"]))
    found = called("inspect", source.folder, "--labels", tmp_path / "few.csv")
    assert "films have no label, 1 keys of the table of labels match no usable film" in found.out


def test_an_empty_folder_is_no_failure(tmp_path: Path) -> None:
    ended = called("inspect", tmp_path)
    assert ended.code == 0
    assert "0 files" in ended.out


def test_neither_torch_nor_monai_is_loaded(source: Source) -> None:
    program = (
        "import sys\nfrom pipelines.cli import main\n"
        f"main.main(['inspect', {str(source.folder)!r}, '--json'])\n"
        "print(sorted({'torch', 'monai', 'sklearn'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.endswith("\n[]\n")
