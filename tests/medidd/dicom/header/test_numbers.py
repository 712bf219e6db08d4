"""Numbers that a header writes as text, read from files as devices write them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, uid

from medidd.dicom.header.header import read
from medidd.dicom.header.numbers import number, numbers, odd, readable
from medidd.dicom.pixels.preparation import prepared
from medidd.dicom.reading import Reading

Film = Callable[..., Any]
KEEP = Reading(burned_in="keep")


def as_written(
    film: Film, path: Path, syntax: uid.UID = uid.ExplicitVRLittleEndian, **texts: str
) -> Any:
    """Returns a film read from a file whose numbers have these words, of the film's own values."""
    stored = np.arange(0, 4096, 4, dtype=np.uint16).reshape(32, 32)
    # Digits of equal length take the place of the words, because pydicom writes no such words.
    made = film(1, stored)
    made.file_meta.TransferSyntaxUID = syntax
    marks = {
        keyword: f"{place}".ljust(len(text), "7")
        for place, (keyword, text) in enumerate(texts.items(), 1)
    }
    for keyword, mark in marks.items():
        setattr(made, keyword, mark)
    made.save_as(path, enforce_file_format=True)
    data = path.read_bytes()
    for keyword, mark in marks.items():
        assert data.count(mark.encode()) == 1
        data = data.replace(mark.encode(), texts[keyword].encode())
    path.write_bytes(data)
    return read(path, pixels=True)


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian])
def test_a_comma_is_a_decimal_point(film: Film, tmp_path: Path, syntax: uid.UID) -> None:
    texts = {
        "WindowCenter": "2047,50",
        "WindowWidth": "1000,00",
        "RescaleSlope": "1,00000",
        "RescaleIntercept": "-10,0000",
    }
    found = as_written(film, tmp_path / "film.dcm", syntax, **texts)
    assert number(found, "WindowCenter") == 2047.5
    result = prepared(found, 32, KEEP)
    shown, about = result.picture, result.warnings
    assert about == ("decimal_comma",)
    plain = {keyword: text.replace(",", ".") for keyword, text in texts.items()}
    other = as_written(film, tmp_path / "film.dcm", syntax, **plain)
    result = prepared(other, 32, KEEP)
    want, about = result.picture, result.warnings
    np.testing.assert_array_equal(shown, want)
    assert about == ()


@pytest.mark.parametrize(
    ("text", "rows", "warned"),
    [
        ("0,1430\\0,1430", 32, ("decimal_comma",)),
        ("0,2000\\0,1000", 16, ("decimal_comma",)),
        ("0.2000\\0.1000", 16, ()),
        ("0.143mm\\0.143mm", 32, ("number_ignored",)),
        ("unknown", 32, ("number_ignored",)),
    ],
)
def test_proportions_that_cannot_be_read_cost_no_film(
    film: Film, tmp_path: Path, text: str, rows: int, warned: tuple[str, ...]
) -> None:
    found = as_written(film, tmp_path / "film.dcm", ImagerPixelSpacing=text)
    result = prepared(found, 32, KEEP)
    shown, about = result.picture, result.warnings
    assert about == warned
    # Pixels twice as high as wide leave black columns at the sides.
    assert (shown.max(0) > 0).sum() == rows


def test_a_window_of_words_gives_way_to_percentiles(film: Film, tmp_path: Path) -> None:
    found = as_written(film, tmp_path / "film.dcm", WindowCenter="middle", WindowWidth="400.00")
    result = prepared(found, 32, KEEP)
    shown, about = result.picture, result.warnings
    assert about == ("number_ignored", "window_ignored")
    plain = prepared(as_written(film, tmp_path / "film.dcm"), 32, KEEP).picture
    np.testing.assert_array_equal(shown, plain)


@pytest.mark.parametrize("text", ["", "  ", "\\"])
def test_an_element_without_a_value_has_no_number(text: str) -> None:
    found = Dataset()
    found.add_new("WindowCenter", "LO", text)
    assert number(found, "WindowCenter") is None
    assert numbers(found, "PixelSpacing") == []
    assert odd(found) == []


def test_numbers_written_in_binary_are_read_as_such(film: Film, tmp_path: Path) -> None:
    made = film(1)
    made.add_new("WindowCenter", "US", 12345)
    made.add_new("ImagerPixelSpacing", "FD", [0.5, 0.25])
    made.save_as(tmp_path / "film.dcm", enforce_file_format=True)
    found = read(tmp_path / "film.dcm", pixels=True)
    assert readable(found, "WindowCenter") == [12345]
    assert readable(found, "ImagerPixelSpacing") == [0.5, 0.25]


@pytest.mark.parametrize("frames", [0, -1])
def test_a_film_that_says_it_has_no_frame_has_one(film: Film, tmp_path: Path, frames: int) -> None:
    film(1, NumberOfFrames=frames).save_as(tmp_path / "film.dcm")
    result = prepared(read(tmp_path / "film.dcm", pixels=True), 16, KEEP)
    shown, about = result.picture, result.warnings
    assert about == ("frames_zero",)
    plain = prepared(film(1), 16, KEEP).picture
    np.testing.assert_array_equal(shown, plain)
