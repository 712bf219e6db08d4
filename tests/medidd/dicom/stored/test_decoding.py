"""Every transfer syntax gives the same pixels, by whichever decoder."""

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
from pydicom.pixels.decoders.base import get_decoder

from medidd.dicom import codecs
from medidd.dicom.errors import Refused
from medidd.dicom.header.header import read
from medidd.dicom.stored import decoding
from medidd.dicom.stored.decoding import reduced_values, stored_values

Film = Callable[..., Any]
Array = npt.NDArray[Any]

LOSSLESS = np.random.default_rng(0).integers(0, 4096, (48, 40), np.uint16)
SMOOTH = (
    2000 + 1500 * np.sin(np.arange(64)[:, None] / 9) * np.cos(np.arange(48)[None] / 7)
).astype(np.uint16)


def twelve_bits(film: Film, stored: Array, **elements: Any) -> Any:
    made = film(1, stored, **elements)
    made.BitsStored, made.HighBit = 12, 11
    return made


def encapsulated(made: Any, syntax: uid.UID, *frames: bytes) -> Any:
    made.file_meta.TransferSyntaxUID = syntax
    made.PixelData = encapsulate(list(frames))
    made["PixelData"].is_undefined_length = True
    made["PixelData"].VR = "OB"
    return made


def written(made: Any, path: Path) -> Any:
    if made.file_meta.TransferSyntaxUID == uid.ExplicitVRBigEndian:
        dcmwrite(path, made, implicit_vr=False, little_endian=False, force_encoding=True)
    else:
        made.save_as(path, enforce_file_format=True)
    return read(path, pixels=True)


def encoded(made: Any, syntax: uid.UID, stored: Array) -> Any:
    """Encodes by imagecodecs, where pydicom has no encoder."""
    imagecodecs = pytest.importorskip("imagecodecs")
    if syntax in (uid.JPEGLossless, uid.JPEGLosslessSV1):
        frame = imagecodecs.ljpeg_encode(stored, bitspersample=12)
    else:
        frame = imagecodecs.htj2k_encode(stored, reversible=True)
    return encapsulated(made, syntax, frame)


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.RLELossless,
        uid.JPEGLSLossless,
        uid.JPEG2000Lossless,
        uid.JPEGLossless,
        uid.JPEGLosslessSV1,
        uid.HTJ2KLossless,
        uid.HTJ2KLosslessRPCL,
        uid.HTJ2K,
    ],
    ids=lambda syntax: syntax.keyword,
)
def test_a_lossless_syntax_gives_the_same_values(
    film: Film, tmp_path: Path, syntax: uid.UID
) -> None:
    made = twelve_bits(film, LOSSLESS)
    if syntax in (uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless):
        made.compress(syntax, generate_instance_uid=False)
    elif syntax.is_encapsulated:
        made = encoded(made, syntax, LOSSLESS)
    else:
        made.file_meta.TransferSyntaxUID = syntax
        if syntax == uid.ExplicitVRBigEndian:
            made.PixelData = LOSSLESS.astype(">u2").tobytes()
            made["PixelData"].VR = "OW"
    found = written(made, tmp_path / "film.dcm")
    np.testing.assert_array_equal(stored_values(found), LOSSLESS)
    for plugin in get_decoder(syntax).available_plugins:
        one, _ = get_decoder(syntax).as_array(found, index=0, decoding_plugin=plugin)
        np.testing.assert_array_equal(one, LOSSLESS)


def test_jpeg_baseline_gives_nearly_the_same_values(film: Film, tmp_path: Path) -> None:
    shown = (SMOOTH // 16).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(shown).save(data, "JPEG", quality=95)
    made = encapsulated(film(1, shown), uid.JPEGBaseline8Bit, data.getvalue())
    found = stored_values(written(made, tmp_path / "film.dcm"))
    assert found.dtype == np.uint8
    assert 0 < np.abs(found.astype(int) - shown).max() <= 6


def extended(film: Film, tmp_path: Path) -> Any:
    imagecodecs = pytest.importorskip("imagecodecs")
    frame = imagecodecs.jpeg8_encode(SMOOTH, level=95, bitspersample=12)
    return written(
        encapsulated(twelve_bits(film, SMOOTH), uid.JPEGExtended12Bit, frame), tmp_path / "film.dcm"
    )


def test_jpeg_extended_of_12_bits_gives_nearly_the_same_values(film: Film, tmp_path: Path) -> None:
    found = stored_values(extended(film, tmp_path))
    assert found.max() > 255
    assert 0 < np.abs(found.astype(int) - SMOOTH).max() <= 60


def test_the_extra_is_named_where_only_it_could_decode(
    film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = extended(film, tmp_path)
    decoder = get_decoder(uid.JPEGExtended12Bit)
    without = {name: use for name, use in decoder._available.items() if name != "imagecodecs"}
    monkeypatch.setattr(decoder, "_available", without)
    monkeypatch.setattr(codecs, "find_spec", lambda _: None)
    with pytest.raises(Refused, match=r"codec_missing: .*medidd\[codecs\]"):
        stored_values(found)


def test_another_decoder_takes_over_where_the_fastest_fails(
    film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = twelve_bits(film, LOSSLESS)
    made.compress(uid.JPEGLSLossless, generate_instance_uid=False)
    found = written(made, tmp_path / "film.dcm")
    decoder = get_decoder(uid.JPEGLSLossless)

    def fail(*_: Any) -> bytes:
        raise RuntimeError

    monkeypatch.setitem(decoder._available, codecs.fastest(uid.JPEGLSLossless), fail)
    np.testing.assert_array_equal(stored_values(found), LOSSLESS)


def test_bits_above_those_stored_are_left_out(film: Film, tmp_path: Path) -> None:
    overlaid = LOSSLESS | (LOSSLESS % 2 << 15).astype(np.uint16)
    found = written(twelve_bits(film, overlaid), tmp_path / "film.dcm")
    np.testing.assert_array_equal(stored_values(found), LOSSLESS)
    signed = (LOSSLESS.astype(np.int16) - 2048) & 0x0FFF
    found = written(twelve_bits(film, signed.astype(np.int16)), tmp_path / "film.dcm")
    np.testing.assert_array_equal(stored_values(found), LOSSLESS.astype(np.int16) - 2048)


@pytest.mark.parametrize(("frames", "index"), [("first", 0), ("middle", 2)])
@pytest.mark.parametrize("syntax", [None, uid.RLELossless])
def test_one_frame_of_several_is_decoded_alone(
    film: Film, tmp_path: Path, frames: Any, index: int, syntax: uid.UID | None
) -> None:
    stack = np.random.default_rng(1).integers(0, 4096, (5, 12, 10), np.uint16)
    made = twelve_bits(film, stack[0], NumberOfFrames=5, PixelData=stack.tobytes())
    if syntax:
        made.compress(syntax, generate_instance_uid=False)
    found = written(made, tmp_path / "film.dcm")
    np.testing.assert_array_equal(stored_values(found, frames), stack[index])
    calls: list[int] = []

    def counted(*args: Any, _decode: Any = decoding._decoded) -> Any:
        calls.append(args[1])
        return _decode(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "_decoded", counted)
        stored_values(found, frames)
    assert calls == [index]


@pytest.mark.parametrize("kind", [np.uint16, np.int16])
@pytest.mark.parametrize("halvings", [1, 2, 9])
def test_a_lower_resolution_is_nearly_every_other_pixel(
    film: Film, tmp_path: Path, kind: Any, halvings: int
) -> None:
    offset = 2048 if kind == np.int16 else 0
    waves = 1500 * np.sin(np.arange(128)[:, None] / 18) * np.cos(np.arange(96)[None] / 14)
    stored = (2000 + waves - offset).astype(kind)
    made = twelve_bits(film, stored)
    made.compress(uid.JPEG2000Lossless, generate_instance_uid=False)
    small = reduced_values(written(made, tmp_path / "film.dcm"), "reject", halvings)
    assert small is not None
    assert small.dtype == kind
    step = 128 // small.shape[0]
    assert step == 2 ** min(halvings, 5)  # OpenJPEG halves five times
    if halvings < 3:  # the wavelet's low band stands where the first of the pixels does
        assert np.abs(small - stored[::step, ::step].astype(int)).mean() < 20


@pytest.mark.parametrize("syntax", [None, uid.RLELossless])
def test_other_syntaxes_have_no_lower_resolution(
    film: Film, tmp_path: Path, syntax: uid.UID | None
) -> None:
    made = twelve_bits(film, SMOOTH)
    if syntax:
        made.compress(syntax, generate_instance_uid=False)
    assert reduced_values(written(made, tmp_path / "film.dcm"), "reject", 2) is None
