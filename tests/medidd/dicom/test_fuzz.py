"""Damaged files end as a film or as one reason; ``benchmarks/fuzz.py`` is the long form."""

import sys
from pathlib import Path

import pytest

from medidd.dicom.errors import REASONS

ROOT = Path(__file__).parents[3]
ZOO = ROOT.parent / "shared" / "data" / "dicom-zoo"
FEW = 250


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "benchmarks")])


@pytest.mark.parametrize("folder", [ROOT / "sample_data" / "studies", ZOO], ids=["sample", "zoo"])
def test_every_damaged_file_is_decoded_or_refused(folder: Path) -> None:
    from fuzz import fuzzed

    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if not paths:
        pytest.skip("the collection of hard files is not here")
    originals = [path.read_bytes() for path in paths if 200 < path.stat().st_size < 200_000]
    ends, _ = fuzzed(originals, FEW, seed=1)
    assert ends.total() == FEW
    assert ends.keys() <= {"film", *REASONS}
    assert len(ends) > 5
    assert 0 < ends["film"] < FEW
