"""medidd talks to nobody."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from invented_cohort import ROOT, SMALL, Source, called, distill

from pipelines.run.installation import SILENT


def test_a_distillation_opens_no_connection(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    connect = socket.socket.connect

    def refuse(asking: socket.socket, address: str) -> None:
        if asking.family == socket.AF_UNIX:  # how processes of one machine find each other
            connect(asking, address)
            return
        tried.append(address)
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(OSError, match="unreachable"), socket.socket() as one:
        one.connect(("192.0.2.1", 9))
    tried.clear()
    assert distill(source, tmp_path / "run").code == 0
    assert called("audit", tmp_path / "run").code == 0
    assert called("evaluate", tmp_path / "run", "--network", "mlp").code == 0
    assert called("doctor").code == 0
    assert called("inspect", source.folder).code == 0
    assert called("ingest", "--dicom-dir", source.folder, "--out", tmp_path / "films").code == 0
    assert called("cache", "purge", tmp_path / "films", "--yes").code == 0
    assert tried == []


def test_a_run_is_made_where_there_is_no_network(source: Source, tmp_path: Path) -> None:
    alone = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("this system lets nobody take the network away from a process")
    program = Path(__file__).parents[1] / "short_trainings.py"
    films = ["--dicom-dir", source.folder, "--ipc", 1, *SMALL, "--out", tmp_path / "run"]
    ended = subprocess.run(
        [*alone, sys.executable, str(program), "distill", *map(str, films)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "run" / "report.html").exists()


def test_dependencies_are_told_to_be_silent() -> None:
    assert called("methods").code == 0
    assert {name: os.environ.get(name) for name in SILENT} == SILENT
