"""Display values against those of DCMTK, an implementation that shares nothing with this one."""

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from medidd.dicom.pixels.display import display
from medidd.dicom.stored.decoding import stored_values

sys.path.insert(0, str(Path(__file__).parent / "golden"))
from dcmtk import CASES, HERE, rendered, stored

FAR: dict[str, float] = {"voi_8_bit": 4e-3, "voi_12_bit": 2.5e-4, "voi_signed": 2.5e-4} | {
    "voi_first_500": 2.5e-4,
    "voi_unsigned": 2.5e-4,
}
"""Where DCMTK scales a table by the powers of two of its depth: one step of the table at most."""

CLOSE = 2e-5  # a step of 16 bits is 1.5e-5


def shown(name: str) -> npt.NDArray[Any]:
    made = CASES[name]
    return display(stored_values(made), made).rows()


@pytest.mark.parametrize("name", CASES)
def test_a_film_looks_as_dcmtk_shows_it(name: str) -> None:
    golden = stored(name) / 65535
    assert golden.std() > 0.1
    np.testing.assert_allclose(shown(name), golden, rtol=0, atol=FAR.get(name, CLOSE))


@pytest.mark.skipif(shutil.which("dcmj2pnm") is None, reason="dcmj2pnm is not installed")
@pytest.mark.parametrize("name", CASES)
def test_the_golden_pictures_are_what_dcmtk_shows(name: str, tmp_path: Path) -> None:
    np.testing.assert_array_equal(rendered(CASES[name], tmp_path), stored(name))


def test_every_golden_picture_has_a_case() -> None:
    assert {path.stem for path in HERE.glob("*.pgm")} == CASES.keys()
