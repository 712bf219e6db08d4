"""Where the bits of a value are, against an oracle that takes each value apart by itself."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydicom import dcmwrite, uid
from pydicom.encaps import encapsulate

from medidd.dicom.header.header import read
from medidd.dicom.pixels.preparation import prepared
from medidd.dicom.reading import Reading
from medidd.dicom.stored.decoding import reduced_values, stored_values

Film = Callable[..., Any]
Array = npt.NDArray[Any]


def oracle(word: int, stored: int, high: int, signed: bool) -> int:
    """Returns the value in a word, from its binary digits."""
    digits = f"{word:064b}"[::-1][high - stored + 1 : high + 1]
    value = sum(2**place for place, digit in enumerate(digits) if digit == "1")
    return value - 2**stored if signed and digits[-1] == "1" else value


def framed(made: Any, syntax: uid.UID, frame: bytes) -> Any:
    made.file_meta.TransferSyntaxUID = syntax
    made.PixelData = encapsulate([frame])
    made["PixelData"].is_undefined_length, made["PixelData"].VR = True, "OB"
    return made


def packed(film: Film, syntax: uid.UID, words: Array, **elements: Any) -> Any:
    """Returns a film whose cells hold ``words``, unsigned, all bits of them compressed."""
    imagecodecs = pytest.importorskip("imagecodecs")
    made = film(1, words)
    if syntax == uid.RLELossless:  # while the header says that all bits are used
        made.compress(syntax, generate_instance_uid=False)
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    if syntax in (uid.JPEGLossless, uid.JPEGLosslessSV1):
        return framed(made, syntax, imagecodecs.ljpeg_encode(words, bitspersample=16))
    if syntax == uid.JPEGLSLossless:
        return framed(made, syntax, imagecodecs.jpegls_encode(words))
    if syntax == uid.JPEG2000Lossless:
        frame = imagecodecs.jpeg2k_encode(words, reversible=True, codecformat="j2k")
        return framed(made, syntax, frame)
    made.file_meta.TransferSyntaxUID = syntax
    if syntax == uid.ExplicitVRBigEndian:
        made.PixelData, made["PixelData"].VR = words.astype(f">u{words.itemsize}").tobytes(), "OW"
    return made


def written(made: Any, path: Path) -> Any:
    if made.file_meta.TransferSyntaxUID == uid.ExplicitVRBigEndian:
        dcmwrite(path, made, implicit_vr=False, little_endian=False, force_encoding=True)
    else:
        made.save_as(path, enforce_file_format=True)
    return read(path, pixels=True)


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.RLELossless,
        uid.JPEGLosslessSV1,
        uid.JPEGLSLossless,
        uid.JPEG2000Lossless,
    ],
    ids=lambda syntax: syntax.keyword,
)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("stored", "high"), [(12, 15), (12, 13), (10, 15), (10, 11), (8, 12)])
def test_values_are_the_bits_below_high_bit(
    film: Film, tmp_path: Path, syntax: uid.UID, signed: bool, stored: int, high: int
) -> None:
    # The other bits of the cell hold something else, such as overlays.
    words = np.random.default_rng(stored).integers(0, 2**16, (24, 20), np.uint16)
    words[0, 0] = 2**16 - 1  # else an encoder may save the highest bit
    made = packed(film, syntax, words, BitsStored=stored, HighBit=high)
    made.PixelRepresentation = int(signed)
    warnings: list[str] = []
    found = stored_values(written(made, tmp_path / "film.dcm"), warnings=warnings)
    want = [oracle(word, stored, high, signed) for word in words.ravel().tolist()]
    assert found.ravel().tolist() == want
    assert warnings == ["high_bit_shifted"]


@pytest.mark.parametrize(("stored", "high"), [(6, 7), (5, 6)])
@pytest.mark.parametrize("signed", [False, True])
def test_cells_of_8_bits_are_shifted_too(
    film: Film, tmp_path: Path, stored: int, high: int, signed: bool
) -> None:
    words = np.arange(256, dtype=np.uint8).reshape(16, 16)
    made = film(1, words, BitsStored=stored, HighBit=high, PixelRepresentation=int(signed))
    found = stored_values(written(made, tmp_path / "film.dcm"))
    assert found.ravel().tolist() == [oracle(word, stored, high, signed) for word in range(256)]


@pytest.mark.parametrize("high", [0, 7, 16, 40, None])
def test_a_high_bit_that_cannot_be_is_ignored(film: Film, tmp_path: Path, high: int | None) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (12, 10), np.uint16)
    found = written(film(1, values, BitsStored=12, HighBit=high), tmp_path / "film.dcm")
    warnings: list[str] = []
    np.testing.assert_array_equal(stored_values(found, warnings=warnings), values)
    assert warnings == ["high_bit_ignored"]


@pytest.mark.parametrize("syntax", [uid.JPEGLSLossless, uid.JPEG2000Lossless])
def test_values_compressed_without_their_cells_are_not_shifted(
    film: Film, tmp_path: Path, syntax: uid.UID
) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (64, 64), np.uint16)
    made = film(1, values, BitsStored=12, HighBit=11)
    made.compress(syntax, generate_instance_uid=False)  # a codestream of 12 bits
    made.HighBit = 15
    warnings: list[str] = []
    found = stored_values(written(made, tmp_path / "film.dcm"), warnings=warnings)
    np.testing.assert_array_equal(found, values)
    assert warnings == ["high_bit_ignored"]


@pytest.mark.parametrize("stored", [8, 10, 11])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_jpeg_of_12_bits_keeps_what_ends_above_bits_stored(
    film: Film, tmp_path: Path, stored: int, photometric: str
) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    top = 2**stored - 1
    values = np.random.default_rng(0).choice(np.array([0, top], np.uint16), (32, 32))
    frame = imagecodecs.jpeg8_encode(values, level=95, bitspersample=12)
    made = film(1, values, BitsStored=stored, PhotometricInterpretation=photometric)
    made.HighBit, made.WindowCenter, made.WindowWidth = stored - 1, (top + 1) / 2, top + 1
    if stored == 8:  # cells of 8 bits cannot hold such values at all
        made.BitsAllocated = 8
    found = written(framed(made, uid.JPEGExtended12Bit, frame), tmp_path / "film.dcm")
    warnings: list[str] = []
    assert np.abs(stored_values(found, warnings=warnings) - values.astype(int)).max() < top / 4
    assert set(warnings) == {"codestream_conflict"}
    shown = prepared(found, 32, Reading(burned_in="keep")).picture
    want = values == top if photometric == "MONOCHROME2" else values == 0
    assert np.abs(shown - want).max() < 0.25


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("extended", [True, False])
@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.JPEGLSLossless, uid.JPEGLosslessSV1])
def test_signed_values_in_unsigned_codestreams_get_their_sign(
    film: Film, tmp_path: Path, bits: int, extended: bool, syntax: uid.UID
) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    values = np.random.default_rng(0).integers(-2000, 2000, (24, 20)).astype(np.int16)
    words = values.view(np.uint16) if extended and bits == 16 else values.view(np.uint16) & 0xFFF
    if syntax == uid.JPEG2000Lossless:
        frame = imagecodecs.jpeg2k_encode(
            words, reversible=True, codecformat="j2k", bitspersample=bits
        )
    elif syntax == uid.JPEGLSLossless:
        frame = imagecodecs.jpegls_encode(words)
    else:
        frame = imagecodecs.ljpeg_encode(words, bitspersample=bits)
    made = framed(film(1, values, BitsStored=12, HighBit=11), syntax, frame)
    found = stored_values(written(made, tmp_path / "film.dcm"))
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    ("elements", "reduced"),
    [
        ({}, True),
        ({"PixelRepresentation": 1}, False),
        ({"BitsStored": 10, "HighBit": 9}, False),
        ({"BitsStored": 16, "HighBit": 15}, False),
        ({"HighBit": 15}, False),
    ],
)
def test_a_lower_resolution_needs_the_depth_and_sign_of_the_header(
    film: Film, tmp_path: Path, elements: dict[str, int], reduced: bool
) -> None:
    waves = np.add.outer(np.arange(128), np.arange(128)).astype(np.uint16) * 15
    made = film(1, waves, BitsStored=12, HighBit=11)
    made.compress(uid.JPEG2000Lossless, generate_instance_uid=False)
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    found = written(made, tmp_path / "film.dcm")
    assert (reduced_values(found, "reject", 1) is not None) == reduced
    keep = {"burned_in": "keep"}
    fast = prepared(found, 16, Reading(fast_j2k=True, **keep)).picture
    whole = prepared(found, 16, Reading(**keep)).picture
    if reduced:
        assert 0 < np.abs(fast - whole).mean() < 0.02
    else:
        np.testing.assert_array_equal(fast, whole)


@pytest.mark.parametrize("stored", [8, 12])
def test_jpeg_of_8_bits_may_be_meant_for_cells_of_16(
    film: Film, tmp_path: Path, stored: int
) -> None:
    waves = np.add.outer(np.arange(48), np.arange(48)).astype(np.uint16)
    data = io.BytesIO()
    Image.fromarray(waves.astype(np.uint8)).save(data, "JPEG", quality=98)
    made = film(1, waves, BitsStored=stored, HighBit=stored - 1)
    found = written(framed(made, uid.JPEGBaseline8Bit, data.getvalue()), tmp_path / "film.dcm")
    assert np.abs(stored_values(found).astype(int) - waves).max() <= 2
