"""Display values against the formulas of the standard, pixel by pixel in double precision."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmwrite, uid

from medidd.dicom.errors import Refused
from medidd.dicom.header.header import read
from medidd.dicom.pixels import display as module

Film = Callable[..., Any]


def display(stored: Any, film: Any, **options: Any) -> np.ndarray[Any, Any]:
    return module.display(stored, film, **options).rows()


UNSIGNED = np.arange(0, 4095, 13, np.uint16).reshape(9, 35)
SIGNED = np.arange(-2000, 2000, 13, np.int16).reshape(28, 11)


def window(name: str, x: float, c: float, w: float) -> float:
    if name == "SIGMOID":
        return 1 / (1 + math.exp(min(-4 * (x - c) / w, 700)))
    if name == "LINEAR_EXACT":
        return 0.0 if x <= c - w / 2 else 1.0 if x > c + w / 2 else (x - c) / w + 0.5
    if x <= c - 0.5 - (w - 1) / 2:
        return 0.0
    return 1.0 if x > c - 0.5 + (w - 1) / 2 else (x - (c - 0.5)) / (w - 1) + 0.5


def sequence(entries: Any, first: int, depth: int, vr: str = "US") -> list[Dataset]:
    item = Dataset()
    item.add_new("LUTDescriptor", vr, [len(entries) % 2**16, first, depth])
    data = entries if isinstance(entries, bytes) else np.asarray(entries, "<u2").tobytes()
    item.add_new("LUTData", "OW", data)
    return [item]


def mapped(x: np.ndarray[Any, Any], entries: Any, first: int) -> np.ndarray[Any, Any]:
    at = [min(max(int(v) - first, 0), len(entries) - 1) for v in x.ravel()]
    return np.array([float(entries[i]) for i in at]).reshape(x.shape)


@pytest.mark.parametrize("name", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("center", "width"), [(2048, 4096), (1000.5, 300), (900, 1), (900, 2)])
@pytest.mark.parametrize("stored", [UNSIGNED, SIGNED])
def test_a_window_follows_the_formula_of_the_standard(
    film: Film, name: str, center: float, width: float, stored: np.ndarray[Any, Any]
) -> None:
    given = film(stored=stored, RescaleSlope=1.5, RescaleIntercept=-100)
    given.WindowCenter, given.WindowWidth = [center, 1], [width, 7]
    given.VOILUTFunction = name
    want = [window(name, float(x) * 1.5 - 100, center, width) for x in stored.ravel()]
    np.testing.assert_allclose(display(stored, given).ravel(), want, atol=2e-5)


@pytest.mark.parametrize("width", ["0", "-5", ""])
def test_a_window_without_a_width_gives_way_to_percentiles(film: Film, width: str) -> None:
    given = film(stored=UNSIGNED, WindowCenter="100")
    given.WindowWidth = width
    low, high = np.percentile(UNSIGNED.astype(float), (0.5, 99.5))
    want = np.clip((UNSIGNED - low) / (high - low), 0, 1)
    np.testing.assert_allclose(display(UNSIGNED, given), want, atol=1e-5)


def test_percentiles_ignore_padding(film: Film) -> None:
    stored = UNSIGNED.copy()
    stored[:, :20] = 65000
    given = film(stored=stored, PixelPaddingValue=65000)
    low, high = np.percentile(stored[:, 20:].astype(float), (0.5, 99.5))
    want = np.clip((stored[:, 20:] - low) / (high - low), 0, 1)
    shown = display(stored, given)
    np.testing.assert_allclose(shown[:, 20:], want, atol=1e-5)
    assert not shown[:, :20].any()


@pytest.mark.parametrize("slope", ["0", ""])
def test_a_slope_of_nothing_is_one(film: Film, slope: str) -> None:
    given = film(stored=UNSIGNED, RescaleIntercept="10", WindowCenter=500, WindowWidth=900)
    given.RescaleSlope = slope
    want = [window("LINEAR", float(x) + 10, 500, 900) for x in UNSIGNED.ravel()]
    np.testing.assert_allclose(display(UNSIGNED, given).ravel(), want, atol=1e-5)


def test_a_slope_without_an_intercept_counts(film: Film) -> None:
    given = film(stored=UNSIGNED, RescaleSlope="2", WindowCenter=500, WindowWidth=900)
    want = [window("LINEAR", float(x) * 2, 500, 900) for x in UNSIGNED.ravel()]
    np.testing.assert_allclose(display(UNSIGNED, given).ravel(), want, atol=1e-5)


CURVE = np.rint(np.linspace(0, 1, 4096) ** 2 * 4095).astype(int)


@pytest.mark.parametrize(
    ("entries", "first", "depth", "top"),
    [
        pytest.param(CURVE, 0, 12, 4095, id="12 bit"),
        pytest.param(CURVE * 16, 0, 16, 65520, id="16 bit"),
        pytest.param(CURVE, 0, 16, 4095, id="16 bit that hold 12"),
        pytest.param(CURVE // 16, 0, 8, 255, id="8 bit in words"),
        pytest.param(bytes(CURVE // 16), 0, 8, 255, id="8 bit packed"),
        pytest.param(CURVE[:501], 500, 12, CURVE[500], id="first value 500"),
    ],
)
def test_a_voi_lut_maps_every_value(
    film: Film, entries: Any, first: int, depth: int, top: int
) -> None:
    given = film(stored=UNSIGNED, VOILUTSequence=sequence(entries, first, depth))
    given.WindowCenter, given.WindowWidth = 10, 10  # the table wins
    want = mapped(UNSIGNED, entries, first) / top
    np.testing.assert_allclose(display(UNSIGNED, given), want, atol=1e-6)


def test_packed_bytes_of_odd_number_may_be_padded(film: Film) -> None:
    item = sequence(bytes(range(255)), 0, 8)
    item[0].LUTData += b"\0"
    stored = np.arange(255, dtype=np.uint8).reshape(15, 17)
    np.testing.assert_allclose(
        display(stored, film(stored=stored, VOILUTSequence=item)), stored / 254, atol=1e-6
    )


@pytest.mark.parametrize(("first", "vr"), [(-2000, "SS"), (2**16 - 2000, "US")])
def test_a_voi_lut_may_begin_below_zero(film: Film, first: int, vr: str) -> None:
    given = film(stored=SIGNED)
    given.VOILUTSequence = sequence(CURVE[:4001], first, 12, vr)
    want = mapped(SIGNED, CURVE[:4001], -2000) / CURVE[4000]
    np.testing.assert_allclose(display(SIGNED, given), want, atol=1e-6)


def test_a_voi_lut_below_zero_does_not_wrap_unsigned_values(film: Film) -> None:
    given = film(stored=UNSIGNED)
    given.VOILUTSequence = sequence(CURVE, -100, 12, "SS")
    want = mapped(UNSIGNED, CURVE, -100) / 4095
    np.testing.assert_allclose(display(UNSIGNED, given), want, atol=1e-6)


def test_a_voi_lut_sees_rescaled_values(film: Film) -> None:
    given = film(stored=UNSIGNED, RescaleSlope="0.5", RescaleIntercept="-1000")
    given.VOILUTSequence = sequence(CURVE[:2049], 2**16 - 1000, 12)
    want = mapped(np.rint(UNSIGNED * 0.5 - 1000), CURVE[:2049], -1000) / CURVE[2048]
    np.testing.assert_allclose(display(UNSIGNED, given), want, atol=1e-6)


def test_a_modality_lut_of_all_signed_values_does_not_wrap(film: Film) -> None:
    entries = np.arange(65536)
    given = film(stored=SIGNED, ModalityLUTSequence=sequence(entries, -32768, 16, "SS"))
    given.RescaleSlope, given.RescaleIntercept = 99, 99  # the table wins
    given.WindowCenter, given.WindowWidth = 32768, 4000
    want = [window("LINEAR", float(x) + 32768, 32768, 4000) for x in SIGNED.ravel()]
    np.testing.assert_allclose(display(SIGNED, given).ravel(), want, atol=1e-5)


@pytest.mark.parametrize("shape", ["INVERSE", "IDENTITY"])
def test_monochrome1_is_inverted_once(film: Film, shape: str) -> None:
    elements = {"WindowCenter": 2048, "WindowWidth": 4096}
    plain = display(UNSIGNED, film(stored=UNSIGNED, **elements))
    elements["PhotometricInterpretation"] = "MONOCHROME1"  # type: ignore[assignment]
    inverted = display(UNSIGNED, film(stored=UNSIGNED, PresentationLUTShape=shape, **elements))
    np.testing.assert_allclose(inverted, 1 - plain, atol=1e-6)


def test_padding_is_black_after_the_inversion(film: Film) -> None:
    given = film(stored=UNSIGNED, PhotometricInterpretation="MONOCHROME1")
    given.PixelPaddingValue, given.PixelPaddingRangeLimit = 0, 260
    shown = display(UNSIGNED, given)
    assert not shown[UNSIGNED <= 260].any()
    assert shown[UNSIGNED > 260].max() == 1


def test_signed_padding_may_be_written_unsigned(film: Film) -> None:
    given = film(stored=SIGNED)
    given.add_new("PixelPaddingValue", "US", 2**16 - 2000)
    assert display(SIGNED, given).ravel()[0] == 0
    given.add_new("PixelPaddingValue", "SS", -2000)
    assert display(SIGNED, given).ravel()[0] == 0


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 65535}, "constant_image"),
        ({"RescaleSlope": "nan", "RescaleIntercept": "0"}, "non_finite"),
    ],
)
def test_what_cannot_be_shown_is_refused(film: Film, elements: Any, code: str) -> None:
    given = film(stored=UNSIGNED)
    for keyword, value in elements.items():
        setattr(given, keyword, value if isinstance(value, int) else float(value))
    with pytest.raises(Refused, match=code):
        display(UNSIGNED, given)


def shown_with(film: Film, stored: Any, **elements: Any) -> tuple[np.ndarray[Any, Any], list[str]]:
    warnings: list[str] = []
    return display(stored, film(stored=stored, **elements), warnings=warnings), warnings


def by_percentiles(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    low, high = np.percentile(values.astype(float), (0.5, 99.5))
    return np.clip((values - low) / (high - low), 0, 1)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("center", [60000, -30000])
@pytest.mark.parametrize("stored", [UNSIGNED, SIGNED])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_window_beside_all_values_gives_way_to_percentiles(
    film: Film, function: str, center: int, stored: Any, photometric: str
) -> None:
    elements: dict[str, Any] = {"WindowCenter": center, "WindowWidth": 100}
    elements |= {"VOILUTFunction": function, "PhotometricInterpretation": photometric}
    shown, warnings = shown_with(film, stored, **elements)
    want = by_percentiles(stored)
    want = 1 - want if photometric == "MONOCHROME1" else want
    np.testing.assert_allclose(shown, want, atol=1e-5)
    assert warnings == ["window_ignored"]


def test_the_second_window_serves_where_the_first_shows_nothing(film: Film) -> None:
    elements = {"WindowCenter": [60000, 1000], "WindowWidth": [10, 500]}
    shown, warnings = shown_with(film, UNSIGNED, **elements)
    want = [window("LINEAR", float(x), 1000, 500) for x in UNSIGNED.ravel()]
    np.testing.assert_allclose(shown.ravel(), want, atol=1e-5)
    assert warnings == ["window_ignored"]


@pytest.mark.parametrize("window_given", [True, False])
@pytest.mark.parametrize("item", ["empty", "no data", "black", "short"])
def test_a_voi_lut_of_no_use_gives_way_to_the_window(
    film: Film, item: str, window_given: bool
) -> None:
    table = {
        "empty": [Dataset()],
        "no data": sequence(CURVE, 0, 12),
        "black": sequence(CURVE * 0, 0, 12),
        "short": sequence(CURVE[:100], 0, 12),
    }[item]
    if item == "no data":
        del table[0].LUTData
    if item == "short":
        table[0].LUTDescriptor[0] = 4096
    elements: dict[str, Any] = {"VOILUTSequence": table}
    elements |= {"WindowCenter": 1000, "WindowWidth": 500} if window_given else {}
    if item == "short" and not window_given:  # nothing else says how the film is shown
        with pytest.raises(Refused, match="lut_short"):
            shown_with(film, UNSIGNED, **elements)
        return
    shown, warnings = shown_with(film, UNSIGNED, **elements)
    if window_given:
        want = [window("LINEAR", float(x), 1000, 500) for x in UNSIGNED.ravel()]
    else:
        want = by_percentiles(UNSIGNED).ravel()
    np.testing.assert_allclose(shown.ravel(), want, atol=1e-5)
    assert warnings == ["voi_lut_ignored"]


def test_the_next_voi_lut_serves_where_the_first_has_no_data(film: Film) -> None:
    broken, good = sequence(CURVE, 0, 12), sequence(CURVE[::-1], 0, 12)
    del broken[0].LUTData
    shown, warnings = shown_with(film, UNSIGNED, VOILUTSequence=broken + good)
    np.testing.assert_allclose(shown, mapped(UNSIGNED, CURVE[::-1], 0) / 4095, atol=1e-6)
    assert warnings == ["voi_lut_ignored"]


@pytest.mark.parametrize(
    ("elements", "first", "warned"),
    [
        # Signed pixels, but what is rescaled is 0 to 65535: unsigned (C.11.2.1.1).
        ({"RescaleSlope": "1", "RescaleIntercept": "32768"}, 31000, []),
        ({"RescaleSlope": "1", "RescaleIntercept": "32768"}, 33000, []),
        # Unsigned pixels that a negative slope takes below zero: signed.
        ({"RescaleSlope": "-1", "RescaleIntercept": "0"}, -3900, []),
        # Nothing rescales: as the pixels are. This sign is wrong, and no value would be reached.
        ({}, -1000, ["lut_sign"]),
        ({"RescaleSlope": "1", "RescaleIntercept": "-30000"}, -30000, []),
    ],
)
@pytest.mark.parametrize("vr", ["US", "SS"])
def test_the_first_value_of_a_voi_lut_has_the_sign_of_what_it_maps(
    film: Film, elements: Any, first: int, warned: list[str], vr: str
) -> None:
    intercept = float(elements.get("RescaleIntercept", 0))
    stored = SIGNED if intercept > 0 else UNSIGNED
    values = np.rint(stored * float(elements.get("RescaleSlope", 1)) + intercept)
    written = first % 2**16 if vr == "US" else (first + 2**15) % 2**16 - 2**15
    table = sequence(CURVE[:4096], written, 12, vr)
    if not elements:
        stored, values = UNSIGNED[:3], UNSIGNED[:3]
    shown, warnings = shown_with(film, stored, VOILUTSequence=table, **elements)
    np.testing.assert_allclose(shown, mapped(values, CURVE, first) / 4095, atol=1e-6)
    assert warnings == warned


def test_entries_that_fit_only_with_their_bytes_exchanged_are_exchanged(film: Film) -> None:
    swapped = sequence(CURVE.astype("<u2").byteswap(), 0, 12)
    shown, warnings = shown_with(film, UNSIGNED, VOILUTSequence=swapped)
    np.testing.assert_allclose(shown, mapped(UNSIGNED, CURVE, 0) / 4095, atol=1e-6)
    assert warnings == ["lut_swapped"]


@pytest.mark.parametrize("of", ["VOILUTSequence", "ModalityLUTSequence"])
@pytest.mark.parametrize("entry", ["word", "byte", "US"])
def test_a_big_endian_table_is_read_as_it_was_written(
    film: Film, tmp_path: Path, of: str, entry: str
) -> None:
    entries = CURVE // 16 if entry == "byte" else CURVE
    table = sequence(entries, 0, 8 if entry == "byte" else 12)
    words = np.frombuffer(bytes(entries.tolist()), "<u2") if entry == "byte" else entries
    table[0].LUTData = words.astype(">u2").tobytes()  # pydicom writes OW as it is given
    if entry == "US":
        table[0].add_new("LUTData", "US", entries.tolist())
    table[0].ModalityLUTType = "US"
    made = film(stored=UNSIGNED, WindowCenter=128, WindowWidth=256, **{of: table})
    made.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    made.PixelData = UNSIGNED.astype(">u2").tobytes()
    made["PixelData"].VR = "OW"
    path = tmp_path / "film.dcm"
    dcmwrite(path, made, implicit_vr=False, little_endian=False, force_encoding=True)
    want = mapped(UNSIGNED, entries, 0) / max(entries)
    if of == "ModalityLUTSequence":
        values = mapped(UNSIGNED, entries, 0).ravel()
        want = np.array([window("LINEAR", x, 128, 256) for x in values]).reshape(UNSIGNED.shape)
    np.testing.assert_allclose(display(UNSIGNED, read(path, pixels=True)), want, atol=1e-5)
