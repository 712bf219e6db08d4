"""Orientation, proportions and the letterbox."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medidd.dicom.pixels import framing
from medidd.dicom.pixels.picture import Picture

Film = Callable[..., Any]


def picture(shown: np.ndarray[Any, Any]) -> Picture:
    index = np.arange(shown.size, dtype=np.uint32).reshape(shown.shape)
    return Picture(index, np.ascontiguousarray(shown, np.float32).ravel())


def square(shown: np.ndarray[Any, Any], film: Any, size: int) -> np.ndarray[Any, Any]:
    return framing.square(picture(shown), film, size)


def letterbox(shown: np.ndarray[Any, Any], aspect: float, size: int) -> np.ndarray[Any, Any]:
    return framing.letterbox(picture(shown), aspect, size)


SHOWN = np.zeros((30, 40), np.float32)
SHOWN[:10, :10] = 1  # the patient's head and right, as a film is read


def test_rows_stay_rows(film: Film) -> None:
    framed = square(SHOWN, film(), 40)
    assert framed[5:15, :10].all()
    assert framed.sum() == 100


@pytest.mark.parametrize(
    ("orientation", "shown"),
    [
        (["L", "F"], SHOWN),
        (["R", "F"], SHOWN[:, ::-1]),
        (["L", "H"], SHOWN[::-1]),
        (["RA", "HL"], SHOWN[::-1, ::-1]),
        (["F", "L"], SHOWN.T),
        (["H", "R"], SHOWN[::-1, ::-1].T),
        (["A", "F"], SHOWN),
    ],
)
def test_a_film_is_turned_so_that_the_patient_faces_the_reader(
    film: Film, orientation: list[str], shown: np.ndarray[Any, Any]
) -> None:
    framed = square(shown, film(PatientOrientation=orientation), 40)
    np.testing.assert_array_equal(framed, square(SHOWN, film(), 40))


@pytest.mark.parametrize("orientation", ["", "L", ["L", ""], ["X", "Y"]])
def test_an_unusable_orientation_leaves_the_film_as_it_is(film: Film, orientation: Any) -> None:
    framed = square(SHOWN, film(PatientOrientation=orientation), 40)
    np.testing.assert_array_equal(framed, square(SHOWN, film(), 40))


@pytest.mark.parametrize(
    "elements",
    [
        {"PixelAspectRatio": [2, 1], "PixelSpacing": [1, 1]},
        {"ImagerPixelSpacing": [0.4, 0.2], "PixelSpacing": [1, 1]},
        {"PixelSpacing": [0.4, 0.2]},
        {"PixelSpacing": [0, 0.2], "NominalScannedPixelSpacing": [0.2, 0.1]},
    ],
)
def test_pixels_that_are_twice_as_high_make_the_film_higher(film: Film, elements: Any) -> None:
    framed = square(np.ones((10, 20), np.float32), film(**elements), 20)
    assert framed.all()
    turned = film(PatientOrientation=["F", "L"], **elements)
    assert square(np.ones((10, 20), np.float32), turned, 20).all()


@pytest.mark.parametrize("spacing", [None, "0.2", [0.2]])
def test_an_unusable_spacing_means_square_pixels(film: Film, spacing: Any) -> None:
    given_film = film()
    if spacing is not None:
        given_film.PixelSpacing = spacing
    assert square(np.ones((10, 20), np.float32), given_film, 20).sum() == 200


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 24), st.integers(0, 99))
def test_resampling_by_area_keeps_the_mean(rows: int, columns: int, size: int, seed: int) -> None:
    shown = np.random.default_rng(seed).random((rows, columns), np.float32)
    framed = letterbox(shown, 1.0, size)
    longest = max(rows, columns)
    height = max(1, round(size * rows / longest))
    width = max(1, round(size * columns / longest))
    assert framed.sum() / (height * width) == pytest.approx(shown.mean(), abs=1e-5)


def test_each_pixel_is_the_mean_of_the_area_under_it() -> None:
    shown = np.random.default_rng(0).random((7, 5)).astype(np.float32)
    fine = np.kron(shown, np.ones((4, 4)))  # 28 x 20, which 4 x 3 pixels of 7 x 20/3 lie on
    want = np.kron(fine, np.ones((1, 3))).reshape(4, 7, 3, 20).mean((1, 3))
    framed = letterbox(shown, 1.0, 4)
    np.testing.assert_allclose(framed[:, :3], want, atol=1e-6)
    assert not framed[:, 3].any()
