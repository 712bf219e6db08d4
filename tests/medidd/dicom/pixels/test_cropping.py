"""What shutters and collimators leave open, and flat edges."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from medidd.dicom.pixels.cropping import Opening, lively, opening, part, reduced
from medidd.dicom.pixels.picture import Picture
from medidd.dicom.pixels.preparation import prepared
from medidd.dicom.reading import Reading

Film = Callable[..., Any]
STORED = np.random.default_rng(0).integers(0, 4096, (40, 30), np.uint16)

RECTANGLE = {
    "UpperHorizontalEdge": 4,  # the last row that is shut, counted from 1
    "LowerHorizontalEdge": 37,
    "LeftVerticalEdge": 2,
    "RightVerticalEdge": 28,
}


def shaped(kind: str, *shapes: str, **elements: Any) -> dict[str, Any]:
    return {f"{kind}Shape": list(shapes)} | {
        (f"{kind}{name}" if "Edge" in name else f"{name}{kind}"): value
        for name, value in elements.items()
    }


CIRCLE = {"CenterOfCircular": [20, 15], "RadiusOfCircular": 9}
TRIANGLE = {"VerticesOfThePolygonal": [5, 5, 35, 5, 35, 25]}


def naive(shape: str, row: int, column: int) -> bool:
    """Whether a pixel is open, rows and columns counted from 1."""
    if shape == "RECTANGULAR":
        return (4 < row < 37) and (2 < column < 28)
    if shape == "CIRCULAR":
        return (row - 20) ** 2 + (column - 15) ** 2 <= 81
    return row < 35 and column > 5 and (column - 5) / 20 < (row - 5) / 30


@pytest.mark.parametrize("kind", ["Shutter", "Collimator"])
@pytest.mark.parametrize(
    ("shapes", "elements"),
    [
        (("RECTANGULAR",), RECTANGLE),
        (("CIRCULAR",), CIRCLE),
        (("POLYGONAL",), TRIANGLE),
        (("RECTANGULAR", "CIRCULAR"), RECTANGLE | CIRCLE),
        (("CIRCULAR", "POLYGONAL"), CIRCLE | TRIANGLE),
    ],
)
def test_a_pixel_is_open_where_every_shape_leaves_it_open(
    film: Film, kind: str, shapes: tuple[str, ...], elements: Any
) -> None:
    given = film(1, STORED, **shaped(kind, *shapes, **elements))
    found = opening(given)
    assert found is not None
    seen = np.zeros(STORED.shape, bool)
    seen[found.rows, found.columns] = True if found.hidden is None else ~found.hidden
    want = np.array(
        [
            [all(naive(shape, r + 1, c + 1) for shape in shapes) for c in range(30)]
            for r in range(40)
        ]
    )
    different = np.argwhere(seen != want)
    if "POLYGONAL" in shapes:  # whether a pixel on a side is open is anybody's guess
        on_a_side = [
            abs((c + 1 - 5) / 20 - (r + 1 - 5) / 30) < 1e-9 or c == 4 for r, c in different
        ]
        assert all(on_a_side)
    else:
        assert not len(different)
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    assert (found.rows.start, found.rows.stop) == (rows[0], rows[-1] + 1)
    assert (found.columns.start, found.columns.stop) == (columns[0], columns[-1] + 1)


def test_a_film_without_a_shutter_is_whole(film: Film) -> None:
    assert opening(film(1, STORED)) is None
    assert opening(film(1, STORED, ShutterShape="BITMAP")) is None


def test_what_is_shut_is_cut_away_or_black_and_counts_for_nothing(film: Film) -> None:
    bright = STORED.copy()
    down, across = np.ogrid[1:41, 1:31]
    bright[(down - 20) ** 2 + (across - 15) ** 2 > 81] = 60000
    given = film(1, bright, **shaped("Shutter", "CIRCULAR", **CIRCLE))
    found = prepared(given, 19, Reading())
    shown, warned = found.picture, found.warnings
    assert warned == ()
    assert shown[0, 0] == shown[0, -1] == shown[-1, 0] == 0
    assert shown[9].mean() > 0.3  # percentiles over 60000 would leave next to nothing
    whole = prepared(given, 19, Reading(crop="none")).picture
    assert whole[:, 7:].max() == 1
    assert np.abs(whole - shown).max() > 0.3


@pytest.mark.parametrize(
    "elements",
    [
        {"ShutterShape": "RECTANGULAR"},
        shaped("Shutter", "RECTANGULAR", **(RECTANGLE | {"RightVerticalEdge": 2})),
        shaped("Shutter", "CIRCULAR", CenterOfCircular=[200, 15], RadiusOfCircular=9),
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 1]},
    ],
)
def test_a_shutter_that_makes_no_sense_is_left_alone_and_counted(film: Film, elements: Any) -> None:
    found = prepared(film(1, STORED, **elements), 16, Reading())
    shown, warned = found.picture, found.warnings
    assert warned == ("shutter_ignored",)
    np.testing.assert_array_equal(shown, prepared(film(1, STORED), 16, Reading()).picture)


def test_an_opening_shrinks_with_its_film() -> None:
    hidden = np.zeros((16, 8), bool)
    hidden[:8] = True
    found = reduced(Opening(slice(4, 20), slice(8, 16), hidden), 2)
    assert (found.rows, found.columns) == (slice(1, 5), slice(2, 4))
    assert found.hidden is not None
    assert found.hidden.tolist() == [[True, True]] * 2 + [[False, False]] * 2


def test_flat_edges_are_dropped_and_flat_films_are_not() -> None:
    shown = np.full((30, 20), 0.5, np.float32)
    shown[4:25, 3:18] = np.random.default_rng(0).random((21, 15), np.float32)
    index = np.arange(600, dtype=np.uint32).reshape(30, 20)
    picture = Picture(index, shown.ravel())
    kept = part(picture, lively(picture))
    np.testing.assert_array_equal(kept.rows(), shown[4:25, 3:18])
    picture = Picture(index, np.full(600, 0.5, np.float32))
    flat = part(picture, lively(picture))
    assert flat.shape == (30, 20)


def test_edges_are_dropped_where_that_is_asked(film: Film) -> None:
    stored = np.full((60, 40), 3000, np.uint16)
    stored[10:50, 5:35] = np.random.default_rng(0).integers(0, 4096, (40, 30))
    trim = prepared(film(1, stored), 40, Reading(crop="auto")).picture
    cut = prepared(film(1, stored[10:50, 5:35]), 40, Reading(crop="none")).picture
    np.testing.assert_allclose(trim, cut, atol=0.05)  # the flat part shifts the percentiles
    assert np.abs(prepared(film(1, stored), 40, Reading()).picture - cut).max() > 0.2


@pytest.mark.parametrize(
    "edges", [(907, 1299, -184, 184), (0, 60, 0, 30), (-1, 5, 0, 5), (1, 12, 1, 9)]
)
def test_a_collimator_that_is_not_counted_in_pixels_of_the_film_cuts_nothing(
    film: Film, edges: tuple[int, int, int, int]
) -> None:
    names = ("UpperHorizontal", "LowerHorizontal", "LeftVertical", "RightVertical")
    said = {f"Collimator{name}Edge": edge for name, edge in zip(names, edges, strict=True)}
    odd = film(stored=np.arange(1200, dtype=np.uint16).reshape(40, 30), **said)
    odd.CollimatorShape = "RECTANGULAR"
    with pytest.raises(ValueError, match="not counted in pixels"):
        opening(odd)
