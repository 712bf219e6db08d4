"""The MONAI reader and transform."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydicom import uid

from medidd.dicom.errors import Refused
from medidd.dicom.pixels.pixels import LoadRadiographd, RadiographReader

Film = Callable[..., Any]


def test_a_dictionary_of_paths_becomes_one_of_images(film: Film, tmp_path: Path) -> None:
    film(1, WindowCenter=2048, WindowWidth=4096).save_as(tmp_path / "ZZPHI.dcm")
    data = LoadRadiographd("image", size=16)({"image": tmp_path / "ZZPHI.dcm", "label": 1})
    assert data["image"].shape == (1, 16, 16)
    assert type(data["image"]) is torch.Tensor  # a MetaTensor would carry the file's name
    assert data["image"].dtype == torch.float32
    assert 0 <= data["image"].min() < data["image"].max() <= 1
    assert data["label"] == 1


def test_a_file_that_cannot_be_used_is_an_error_and_no_other_reader_is_tried(
    film: Film, tmp_path: Path
) -> None:
    film(1, Modality="CT").save_as(tmp_path / "ct.dcm")
    with pytest.raises(Refused, match="modality_excluded"):
        LoadRadiographd("image", size=16)({"image": str(tmp_path / "ct.dcm")})


@pytest.mark.parametrize(
    "syntax", [uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless, None]
)
def test_lossless_syntaxes_give_the_same_pixels(
    film: Film, tmp_path: Path, syntax: uid.UID | None
) -> None:
    stored = np.random.default_rng(0).integers(0, 4096, (48, 40), np.uint16)
    made = film(1, stored)
    made.BitsStored, made.HighBit = 12, 11
    made.save_as(tmp_path / "native.dcm")
    if syntax:
        made.compress(syntax, generate_instance_uid=False)
        made.save_as(tmp_path / "other.dcm")
    else:  # no preamble and no file meta information, as old archives have it
        data = (tmp_path / "native.dcm").read_bytes()
        (tmp_path / "other.dcm").write_bytes(data[data.index(b"\x08\x00\x16\x00") :])
    reader = RadiographReader(16)
    one, other = (
        reader.get_data(reader.read(tmp_path / name))[0] for name in ("native.dcm", "other.dcm")
    )
    np.testing.assert_array_equal(one, other)


def test_a_decoder_that_fails_says_nothing(
    film: Film,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    made = film(1, np.arange(4096, dtype=np.uint16).reshape(64, 64))
    made.compress(uid.JPEG2000Lossless, generate_instance_uid=False)
    made.PixelData = made.PixelData[: len(made.PixelData) // 4 * 2]
    made.save_as(tmp_path / "broken.dcm")
    reader = RadiographReader(16)
    with pytest.raises(Refused, match="pixels_invalid") as caught:
        reader.get_data(reader.read(tmp_path / "broken.dcm"))
    assert caught.value.__cause__ is None
    assert caplog.text + "".join(capfd.readouterr()) == ""


def test_scanning_and_opening_a_cohort_import_neither_monai_nor_torch() -> None:
    code = (
        "import sys, medidd.dicom.folder.scan, medidd.dicom.folder.cohort;"
        "import medidd.dicom.labels.labels;"
        "sys.exit(bool({'monai', 'torch'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
