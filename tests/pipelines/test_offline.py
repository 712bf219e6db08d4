"""medidd talks to nobody."""

import os
import socket
from pathlib import Path

import pytest
from invented_cohort import Source, called, distill

from pipelines.installation import SILENT


def test_a_distillation_opens_no_connection(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def refuse(_: socket.socket, address: object) -> None:
        tried.append(address)
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(OSError, match="unreachable"), socket.socket() as one:
        one.connect(("192.0.2.1", 9))
    tried.clear()
    assert distill(source, tmp_path / "run").code == 0
    assert called("audit", tmp_path / "run").code == 0
    assert called("evaluate", tmp_path / "run", "--network", "mlp").code == 0
    assert tried == []


def test_dependencies_are_told_to_be_silent() -> None:
    assert called("methods").code == 0
    assert {name: os.environ.get(name) for name in SILENT} == SILENT
