"""Runs to compare, made once."""

from pathlib import Path

import pytest
from invented_cohort import PLAIN, Source, called, forgotten

SMALLEST = ("--size", "16", "--width", "4", "--steps", "4", "--device", "cpu", "--ipc", "1")


@pytest.fixture(scope="session")
def sweep(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline with two seeds; not to be changed."""
    folder = tmp_path_factory.mktemp("ZZFOLDER") / "sweep"
    methods = ("--method", "random", "--seeds", 2, "--workers", 1)
    with forgotten():
        ended = called(
            *("sweep", "--dicom-dir", source.folder, *SMALLEST, *PLAIN, *methods, "--out", folder)
        )
    assert ended.code == 0, ended.err
    return folder


@pytest.fixture(scope="session")
def guaranteed(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a guarantee on the same films; not to be changed."""
    folder = tmp_path_factory.mktemp("guaranteed") / "run"
    with forgotten():
        ended = called(
            *("distill", "--dicom-dir", source.folder, *SMALLEST[:4], "--device", "cpu"),
            *("--ipc", 1, "--patients", 100, "--out", folder),
        )
    assert ended.code == 0, ended.err
    return folder
