"""Real and hard files from public collections, where they are at hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medidd.dicom.errors import Refused
from medidd.dicom.header import MODALITIES
from medidd.dicom.pixels import RadiographReader

ZOO = Path(__file__).parents[3].parent / "shared" / "data" / "dicom-zoo"
MANIFEST = ZOO / "manifest.json"
FILES: list[dict[str, Any]] = json.loads(MANIFEST.read_text()) if MANIFEST.is_file() else []

LARGE = 3_000_000  # bytes

# What the manifest expects to be decoded and a cohort of radiographs does without, and why.
LEFT_OUT = {
    "radiograph/RG2_JPLY_fixed.dcm": "pixels_invalid",  # JPEG Extended with 12 bits
    "radiograph/RG3_RLE.dcm": "secondary_capture",  # says so in Image Type
    "radiograph/MG1_J2KI.dcm": "secondary_capture",  # says so in SOP Class
}

pytestmark = pytest.mark.skipif(not FILES, reason="the collection of hard files is not here")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file["file"])
def test_a_file_ends_as_a_film_or_as_one_refusal(file: dict[str, Any]) -> None:
    if file["bytes"] > LARGE:
        pytest.skip("takes seconds")
    usable = file["expect"] in ("decode", "force") and file["modality"] in MODALITIES
    reader = RadiographReader(32)
    try:
        pixels, _ = reader.get_data(reader.read(ZOO / file["file"]))
        code = None
    except Refused as refusal:
        code = refusal.code
    assert (code is None) == (usable and file["file"] not in LEFT_OUT)
    if usable:
        assert code == LEFT_OUT.get(file["file"])
    if code is None:
        assert pixels.shape == (32, 32)
        assert 0 <= pixels.min() < pixels.max() <= 1


def test_lossless_copies_of_a_film_are_the_same_film() -> None:
    reader = RadiographReader(32)
    for name, syntaxes in {"RG2": ("JPLL", "JLSL"), "RG3": ("J2KR", "JPLL", "JLSL")}.items():
        paths = [ZOO / "radiograph" / f"{name}_{syntax}.dcm" for syntax in syntaxes]
        first, *others = [reader.get_data(reader.read(path))[0] for path in paths]
        for other in others:
            np.testing.assert_array_equal(first, other)
