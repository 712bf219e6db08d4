"""Folders and tables as hospitals have them, each from a public bug report.

The cases lie beside the project and are not part of it; their own checker judges.
"""

import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from invented_cohort import ROOT, called

CASES = ROOT.parent / "shared" / "cases"
EXPECTED = CASES / "dicom" / "expected.json"
ABOUT = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}


@pytest.fixture(scope="session")
def checker() -> Iterator[ModuleType]:
    """The checker, whose commands run in this process."""
    if not ABOUT:
        pytest.skip(f"{EXPECTED} is absent")
    found = importlib.util.spec_from_file_location("check_dicom", CASES / "check_dicom.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)

    def run(command: list[str], **_: object) -> SimpleNamespace:
        ended = called(*command[1:])
        return SimpleNamespace(returncode=ended.code, stdout=ended.out, stderr=ended.err)

    module.subprocess = SimpleNamespace(run=run)  # type: ignore[attr-defined]
    yield module
    shutil.rmtree(module.OUTSIDE)


@pytest.mark.parametrize("name", sorted(ABOUT) or ["no cases"])
def test_a_situation_ends_as_the_standard_says(name: str, checker: ModuleType) -> None:
    case, about = CASES / "dicom" / name, ABOUT[name]
    code, said, _ = checker.run("medidd", case, about, str(Path()))
    right, why = checker.judge(about["expect"], case, code, said)
    assert right, f"{about['why']}\n{why}\n{said}"
