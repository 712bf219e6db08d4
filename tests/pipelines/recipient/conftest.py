"""A model trained on the bundle that all tests share."""

from pathlib import Path

import pytest
from invented_cohort import called


@pytest.fixture(scope="session")
def model(sent: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one bundle; not to be changed."""
    folder = tmp_path_factory.mktemp("model") / "model"
    ended = called("train", sent, "--out", folder, "--device", "cpu")
    assert ended.code == 0, ended.err
    return folder
