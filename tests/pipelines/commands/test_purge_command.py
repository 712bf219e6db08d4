"""medidd cache purge: the films go, what was released stays, and later commands say so."""

import json
import shutil
from pathlib import Path

import pytest
from invented_cohort import Made, Source, called, copied, distill, public, train_experts, tree

from pipelines.commands.purge import HOLD_FILMS, KEPT
from pipelines.run.installation import home


@pytest.fixture
def run(made: Made, tmp_path: Path) -> Path:
    return copied(made.path, tmp_path / "runs" / "run")


def test_without_yes_nothing_is_deleted(run: Path) -> None:
    before = tree(run)
    ended = called("cache", "purge", run)
    assert ended.code == 0, ended.err
    assert f"{run}: would delete films, " in ended.out
    assert "--yes" in ended.out
    assert tree(run) == before
    size = json.loads(called("cache", "purge", run, "--json").out)["bytes"]
    kept = sum(
        path.stat().st_size for path in (run / "private").rglob("*")
        if path.is_file() and path.relative_to(run / "private").parts[0] in HOLD_FILMS
    )  # fmt: skip
    assert size == kept > 0


def test_every_file_of_a_private_part_is_deleted_or_kept_on_purpose(run: Path) -> None:
    assert called("audit", run).code == 0
    (run / "private" / "refused-files.csv").write_text("path,reason,meaning\nZZPHI,color,x\n")
    outside = public(run)
    names = {path.name for path in (run / "private").iterdir()}
    assert names <= {*HOLD_FILMS, *KEPT}
    assert {"cohort", "audit", "checkpoint.safetensors"} <= names
    assert called("cache", "purge", run, "--yes").code == 0
    assert {path.name for path in (run / "private").iterdir()} <= set(KEPT)
    assert public(run) == outside
    assert "ZZPHI" not in "".join(name for name, _ in tree(run))


@pytest.mark.parametrize("command", ["audit", "evaluate", "export", "resume"])
def test_a_purged_run_answers_with_one_line(
    run: Path, source: Source, tmp_path: Path, command: str
) -> None:
    assert called("cache", "purge", run, "--yes").code == 0
    before = tree(run)
    if command == "resume":
        ended = distill(source, run, "--resume")
    else:
        to = ("--to", tmp_path / "bundle") if command == "export" else ()
        ended = called(command, run, *to)
    assert ended.code == 3
    (line,) = ended.err.splitlines()
    assert "medidd cache purge deleted its films" in line
    assert "--out makes the run again" in line
    assert tree(run) == before
    assert not (tmp_path / "bundle").exists()


def test_a_second_purge_finds_nothing(run: Path) -> None:
    assert called("cache", "purge", run, "--yes").code == 0
    ended = called("cache", "purge", run, "--yes", "--json")
    assert json.loads(ended.out) == {"bytes": 0, "deleted": True, "folders": {}}


def test_a_purge_that_was_stopped_is_finished_by_the_next(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/ZZPHI")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", fail)
        ended = called("cache", "purge", run, "--yes")
    assert ended.code == 2
    assert "repeat the command" in ended.err
    assert "ZZPHI" not in ended.err
    assert "deleted its films" in called("audit", run).err
    assert called("cache", "purge", run, "--yes").code == 0
    assert not (run / "private" / "cohort").exists()


def test_all_runs_of_a_folder_are_purged_and_nothing_else(
    run: Path, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = run.parent
    assert train_experts(source, runs / "experts").code == 0
    assert called("ingest", "--dicom-dir", source.folder, "--out", runs / "films").code == 0
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(run, elsewhere)
    (runs / "link").symlink_to(elsewhere, target_is_directory=True)
    shutil.rmtree(run / "private" / "nulls", ignore_errors=True)
    (run / "private" / "nulls").symlink_to(elsewhere, target_is_directory=True)
    for name in ("bundle", "thesis"):
        (runs / name / "private" / "cohort").mkdir(parents=True)
        (runs / name / "private" / "cohort" / "images.npy").write_text("mine")
    untouched = (elsewhere, runs / "bundle", runs / "thesis", home())
    before = [tree(folder) for folder in untouched]
    experts = {path: path.read_bytes() for path in (runs / "experts").glob("*.npy")}
    monkeypatch.chdir(tmp_path)
    ended = called("cache", "purge", "--yes", "--json")
    assert ended.code == 0, ended.err
    assert set(json.loads(ended.out)["folders"]) == {"runs/run", "runs/experts", "runs/films"}
    for name in ("run", "experts", "films"):
        assert not (runs / name / "private" / "cohort").exists()
    assert not (run / "private" / "nulls").is_symlink()
    assert [tree(folder) for folder in untouched] == before
    assert experts
    assert all(path.read_bytes() == data for path, data in experts.items())


def test_films_that_were_ingested_can_be_read_again(source: Source, tmp_path: Path) -> None:
    command = ("ingest", "--dicom-dir", source.folder, "--out", tmp_path / "films")
    assert called(*command).code == 0
    job = tmp_path / "films" / "run.json"

    def films() -> object:
        # Each reading takes its own seconds.
        asked = {name: of for name, of in json.loads(job.read_text()).items() if name != "stages"}
        return asked, [file for file in tree(tmp_path / "films") if file[0] != job.name]

    before = films()
    assert called("cache", "purge", tmp_path / "films", "--yes").code == 0
    assert called(*command).code == 0
    assert films() == before


def test_experts_that_were_purged_say_so(source: Source, tmp_path: Path) -> None:
    assert train_experts(source, tmp_path / "experts").code == 0
    assert called("cache", "purge", tmp_path / "experts", "--yes").code == 0
    ended = train_experts(source, tmp_path / "experts", "--resume")
    assert ended.code == 3
    assert "deleted its films" in ended.err


def test_where_no_run_is_nothing_is_purged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "album").mkdir()
    for arguments in (("album",), (), (home(),)):
        ended = called("cache", "purge", *arguments, "--yes")
        assert ended.code == 2
        assert "folder of runs" in ended.err or "folder that holds runs" in ended.err
