"""Whatever a command writes or says names no patient, no file and no place of the films."""

import shutil
from pathlib import Path

import pytest
from invented_cohort import (
    FEW,
    MATCHING,
    SMALL,
    Made,
    Source,
    called,
    copied,
    files_of,
    found_in,
    started,
    traces,
)


def test_no_file_of_a_run_names_anybody(made: Made, source: Source) -> None:
    texts = [(name, path.read_bytes()) for name, path in files_of(made.path).items()]
    assert len(texts) > 15
    assert found_in(texts, traces(source)) == []


def test_nothing_a_finished_command_says_names_anybody(made: Made, source: Source) -> None:
    said = [("out", made.ended.out.encode()), ("err", made.ended.err.encode())]
    assert found_in(said, traces(source)) == []


def test_the_search_finds_what_is_there(source: Source) -> None:
    film = next(source.folder.rglob("*.dcm"))
    places = {one for _, one in found_in([("film", film.read_bytes())], traces(source))}
    assert places & set(source.patient_of)
    assert "ZZPHI" in places
    assert found_in([("ZZPHI.png", b"")], traces(source))
    assert found_in([("wide", "ZZPHI".encode("utf-16-le"))], traces(source))


def test_no_command_on_a_run_names_anybody(
    made: Made, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    copied(made.path, tmp_path / "run")
    texts = []
    commands = [
        ("audit", "run"),
        ("audit", "run", "--level", "screen", "--json"),
        ("evaluate", "run", "--network", "mlp,lenet", "--test", source.folder),
        ("evaluate", "run", "--network", "mlp", "--ranking"),
        ("evaluate", "run", "--network", "convnet", "--json"),
        ("export", "run", "--to", "bundle"),
        ("methods",),
    ]
    for command in commands:
        ended = called(*command)
        assert ended.code == (6 if command[0] == "export" else 0), ended.err
        texts += [(f"{command[0]}", ended.out.encode()), (f"{command[0]}", ended.err.encode())]
    texts += [(name, path.read_bytes()) for name, path in files_of(tmp_path).items()]
    assert (tmp_path / "run" / "metrics-mlp.json").exists()
    assert found_in(texts, traces(source)) == []


def test_no_expert_and_no_run_that_matches_them_names_anybody(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    films = ("--dicom-dir", source.folder)
    matching = ("--method", "mtt", "--experts", "experts", *MATCHING, "--out", "run")
    other = ("--method", "mtt", "--experts", "experts", "--seed", 1, "--out", "other")
    commands: list[tuple[tuple[object, ...], int]] = [
        (("experts", *films, *FEW, "--out", "experts"), 0),
        (("experts", *films, *FEW, "--out", "experts", "--resume", "--json"), 0),
        (("experts", *films, *FEW, "--out", "experts"), 2),
        (("distill", *films, "--ipc", 1, *SMALL, *matching), 0),
        (("distill", *films, "--ipc", 1, *SMALL, *matching, "--resume", "--json"), 0),
        (("distill", *films, "--ipc", 1, *SMALL, *other), 2),
    ]
    texts = []
    for command, code in commands:
        ended = called(*command)
        assert ended.code == code, ended.err
        texts += [("out", ended.out.encode()), ("err", ended.err.encode())]
    written = files_of(tmp_path)
    assert {"experts/experts.json", "experts/expert-0000.npy", "run/report.html"} <= set(written)
    texts += [(name, path.read_bytes()) for name, path in written.items()]
    assert found_in(texts, traces(source)) == []


def test_no_failing_distillation_names_anybody(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is named as it was typed, so it is typed without its place here."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(source.folder, "films")
    shutil.copy(source.labels, "labels.csv")
    head, *rows = source.labels.read_text().splitlines()
    Path("twice.csv").write_text("\n".join([head, *rows, f"{rows[0].split(',')[0]},other"]))
    Path("others.csv").write_text(f"{head}\n1.2.3,normal\n")
    patients = [
        f"{path.relative_to(tmp_path)},{path.parent.parent.name}"
        for path in sorted((tmp_path / "films").rglob("*.dcm"))
    ]
    Path("paths.csv").write_text("\n".join(["path,label", *patients]))
    broken = Path("broken")
    shutil.copytree("films", broken / "films")
    shutil.copy("labels.csv", broken)
    for path in sorted(broken.rglob("*.dcm"))[::2]:
        path.write_bytes(path.read_bytes()[:-5000])
    films = ("--dicom-dir", "films", "--ipc", 3, *SMALL, "--out", "run")
    failing = [
        ((*films, "--labels", "twice.csv"), 3),
        ((*films, "--labels", "others.csv"), 3),
        ((*films, "--labels", "paths.csv"), 3),
        ((*films, "--ipc", 900), 3),
        ((*films, "--method", "magic"), 2),
        (("--dicom-dir", "broken/films", "--ipc", 3, *SMALL, "--out", "run"), 4),
    ]
    traced = [*traces(source), str(tmp_path).encode()]
    for arguments, code in failing:
        ended = called("distill", *arguments)
        assert ended.code == code, ended.err
        assert found_in([("out", ended.out.encode()), ("err", ended.err.encode())], traced) == []
        assert not Path("run").exists()


def test_a_process_of_its_own_names_nobody_either(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decoders written in C speak past Python's streams."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(source.folder, "films")
    shutil.copy(source.labels, "labels.csv")
    for path in sorted(Path("films").rglob("*.dcm"))[::2]:
        path.write_bytes(path.read_bytes()[:-5000])
    process = started("distill", "--dicom-dir", "films", "--ipc", 3, *SMALL, "--out", "run")
    out, err = process.communicate()
    assert process.returncode == 4
    traced = [*traces(source), str(tmp_path).encode()]
    assert found_in([("out", out.encode()), ("err", err.encode())], traced) == []
    assert not Path("run").exists()
