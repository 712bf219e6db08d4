"""Films that are cut: every patch where it should be, with the class that its region gives it."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medidd.dicom.errors import CohortError
from medidd.dicom.folder.cohort import Cohort, ingest
from medidd.dicom.labels.labelling import Labelling
from medidd.dicom.patches import Patches
from medidd.dicom.reading import Reading

Film = Callable[..., Any]
KEY = b"a key that lies elsewhere"
CUT = Patches(size=16, stride=8, frame=32)
PLAIN = Reading(voi="none", patches=CUT)
CLASSES = ("negative", "positive")


def cohort(root: Path, folder: Path, regions: Path | None = None, **options: Any) -> Cohort:
    chosen: dict[str, Any] = {"size": 16, "key": KEY, "reading": PLAIN, **options}
    list(ingest(root, Labelling(regions=regions), folder=folder, **chosen))
    return Cohort.open(folder)


def left(side: int = 32) -> Any:
    mask = np.zeros((side, side), bool)
    mask[:, : side // 2] = True
    return mask


@pytest.fixture
def films(film: Film, tmp_path: Path) -> Path:
    """Six films of six patients with values where the left half is, and masks that say so."""
    return planted(film, tmp_path)


def planted(film: Film, place: Path, mask: Any = None, **elements: Any) -> Path:
    root = place / "studies"
    root.mkdir()
    (place / "masks").mkdir()
    lines = ["PatientID,label"]
    for number in range(1, 7):
        inside = left() if mask is None else mask
        stored = np.where(inside, 4095, 0).astype(np.uint16)
        stored[[5, 20], 0] -= np.uint16(100 * number) * inside[[5, 20], 0]  # no two are equal
        film(number, stored, **elements).save_as(root / f"{number}.dcm")
        Image.fromarray(np.uint8(255 * inside)).save(place / "masks" / f"{number}.png")
        lines.append(f"ZZPHI-{number:04},{CLASSES[number % 2]}")
    (root / "labels.csv").write_text("\n".join(lines))
    return root


def table(path: Path, *rows: tuple[object, ...], header: str = "file,x,y,width,height") -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])
    return path


def test_patches_are_the_parts_of_the_film_row_by_row(films: Path, tmp_path: Path) -> None:
    whole = cohort(films, tmp_path / "whole", size=32, reading=Reading(voi="none"))
    found = cohort(films, tmp_path / "cut")
    assert found.images.shape == (6 * 9, 16, 16)
    for row, patch in enumerate(found.images):
        number, place = divmod(row, 9)
        top, beside = 8 * (place // 3), 8 * (place % 3)
        np.testing.assert_array_equal(
            patch, whole.images[number, top : top + 16, beside : beside + 16]
        )
    assert found.labels.tolist() == found.of_films.tolist() == np.repeat(whole.labels, 9).tolist()
    assert found.patients.tolist() == np.repeat(whole.patients, 9).tolist()
    assert list(found.films) == np.repeat(range(6), 9).tolist()
    smaller = cohort(films, tmp_path / "smaller", size=8)
    by_four = found.images.reshape(-1, 8, 2, 8, 2).mean((2, 4))
    np.testing.assert_allclose(smaller.images, by_four, atol=1)


OBLIQUE = np.add.outer(np.arange(32), 2 * np.arange(32)) < 40
TURNED: dict[str, dict[str, Any]] = {
    "as stored": {},
    "mirrored": {"PatientOrientation": ["R", "F"]},
    "lying, upside down": {"PatientOrientation": ["H", "L"]},
    "pixels twice as high as wide": {"PixelAspectRatio": [2, 1]},
    "behind a shutter": {
        "ShutterShape": "RECTANGULAR",
        "ShutterLeftVerticalEdge": 0,
        "ShutterRightVerticalEdge": 17,
        "ShutterUpperHorizontalEdge": 16,
        "ShutterLowerHorizontalEdge": 33,
    },
}


@pytest.mark.parametrize("elements", TURNED.values(), ids=TURNED.keys())
def test_a_mask_goes_the_way_of_its_film(
    film: Film, tmp_path: Path, elements: dict[str, Any]
) -> None:
    # Of a film that becomes half as wide, no patch would be inside an oblique mask.
    mask = left().T if "PixelAspectRatio" in elements else OBLIQUE
    root = planted(film, tmp_path, mask, **elements)
    found = cohort(root, tmp_path / "c", tmp_path / "masks")
    every = cohort(root, tmp_path / "every")
    assert found.classes == ("background", *CLASSES)
    # The films are bright where their masks are, so a patch's brightness is what a mask covers.
    share = every.images.mean((1, 2)) / every.images.max()
    own, nothing = share >= CUT.inside, share <= CUT.outside
    assert own.any()
    assert nothing.any()
    assert not (own | nothing).all()
    whole = [CLASSES.index(every.classes[of]) for of in every.labels]
    expected = [1 + of if its else 0 for of, its in zip(whole, own, strict=True)]
    assert found.labels.tolist() == np.array(expected)[own | nothing].tolist()
    np.testing.assert_array_equal(found.images, every.images[own | nothing])


def test_boxes_name_classes_and_films_of_the_background_need_none(
    films: Path, tmp_path: Path
) -> None:
    ill, well = ([n for n in range(1, 7) if n % 2 == of] for of in (1, 0))
    boxes = table(
        tmp_path / "boxes.csv",
        *((f"{n}.dcm", 0, 0, 16, 32, "") for n in ill),
        *((f"{n}.dcm", 16, 0, 16, 16, "marker") for n in ill),
        header="file,x,y,width,height,label",
    )
    patches = Patches(size=16, stride=16, frame=32, background="negative")
    found = cohort(films, tmp_path / "c", boxes, reading=Reading(patches=patches))
    assert found.classes == ("marker", "negative", "positive")
    named = [found.classes[of] for of in found.labels]
    of_film = [named[4 * n : 4 * n + 4] for n in range(6)]
    assert of_film == [
        ["positive", "marker", "positive", "negative"] if n in ill else ["negative"] * 4
        for n in range(1, 7)
    ]
    assert [found.classes[of] for of in found.of_films[::4]] == [
        CLASSES[n % 2] for n in range(1, 7)
    ]
    assert len(well) == 3


def test_a_row_without_a_box_says_that_there_is_nothing(films: Path, tmp_path: Path) -> None:
    rows = [(f"{n}.dcm", 0, 0, 32, 16) for n in range(1, 7)]
    boxes = table(tmp_path / "boxes.csv", *rows[:-1], (*rows[-1][:1], "", "", "", ""))
    found = cohort(films, tmp_path / "c", boxes)
    last = found.labels[np.array(found.films) == 5]
    assert {found.classes[of] for of in last} == {"background"}
    assert len(last) == 9


def test_a_row_with_a_place_alone_is_about_one_patch(films: Path, tmp_path: Path) -> None:
    rows = [(f"{n}.dcm", 8, 16) for n in range(1, 7)]
    found = cohort(films, tmp_path / "c", table(tmp_path / "t.csv", *rows, header="file,x,y"))
    own = np.flatnonzero(found.labels == found.of_films)
    whole = cohort(films, tmp_path / "every")
    np.testing.assert_array_equal(found.images[own], whole.images[7::9])


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda place: (place / "3.png").unlink(), "region_missing"),
        (lambda place: (place / "3.png").write_bytes(b"no picture"), "region_invalid"),
        (lambda place: Image.new("L", (31, 32)).save(place / "3.png"), "region_invalid"),
    ],
)
def test_a_film_without_a_right_mask_is_refused(
    films: Path, tmp_path: Path, spoil: Callable[[Path], None], code: str
) -> None:
    spoil(tmp_path / "masks")
    found = cohort(films, tmp_path / "c", tmp_path / "masks", max_refused=1.0)
    assert found.refused == {"not_dicom": 1, code: 1}
    assert len(set(found.patients)) == 5


def test_boxes_that_cannot_be_right_refuse_their_film(films: Path, tmp_path: Path) -> None:
    rows = [(f"{n}.dcm", 0, 0, 32, 16) for n in range(1, 6)]
    boxes = table(tmp_path / "boxes.csv", *rows, ("6.dcm", 40, 0, 8, 8))
    found = cohort(films, tmp_path / "c", boxes, max_refused=1.0)
    assert found.refused == {"not_dicom": 1, "region_invalid": 1}


def test_a_mask_whose_name_fits_two_films_is_neithers(film: Film, tmp_path: Path) -> None:
    root = planted(film, tmp_path)
    for number in (7, 8):
        (root / str(number)).mkdir()
        film(
            number, np.full((32, 32), 7, np.uint16) + np.eye(32, dtype=np.uint16) * number
        ).save_as(root / str(number) / "own.dcm")
    with (root / "labels.csv").open("a") as file:
        file.write("\nZZPHI-0007,negative\nZZPHI-0008,positive")
    Image.fromarray(np.uint8(255 * left())).save(tmp_path / "masks" / "own.png")
    found = cohort(root, tmp_path / "c", tmp_path / "masks", max_refused=1.0)
    assert found.refused == {"not_dicom": 1, "region_ambiguous": 2}
    (tmp_path / "masks" / "7").mkdir()
    (tmp_path / "masks" / "own.png").rename(tmp_path / "masks" / "7" / "own.png")
    found = cohort(root, tmp_path / "c", tmp_path / "masks", max_refused=1.0)
    assert found.refused == {"not_dicom": 1, "region_missing": 1}
    Image.fromarray(np.uint8(255 * left())).save(tmp_path / "masks" / "nobody.png")
    found = cohort(root, tmp_path / "d", tmp_path / "masks", max_refused=1.0)
    assert found.refused == {"not_dicom": 1, "region_missing": 1, "region_unused": 1}


@pytest.mark.parametrize(
    ("rows", "header", "said"),
    [
        ([(1, "a", 2, 3, 4)], "file,x,y,width,height", "1 rows of the table of regions"),
        ([(1, 1, 2, 0, 4)], "file,x,y,width,height", "1 rows of the table of regions"),
        ([(1, 1, 2)], "file,left,row", "no columns x and y"),
        ([(1, 1, 2, 5)], "file,x,y,width", "one of width and height"),
        ([(1, 1, 2, 5, 5)], "film,x,y,width,height", "--regions"),
        ([(1, 1, 2, 5, 5)], "PatientID,x,y,width,height", "can find several films"),
        ([], "file,x,y,width,height", "--regions: the table of regions is empty"),
    ],
)
def test_a_table_of_regions_that_says_nothing_is_one_line(
    films: Path, tmp_path: Path, rows: list[tuple[object, ...]], header: str, said: str
) -> None:
    with pytest.raises(CohortError, match=said):
        cohort(films, tmp_path / "c", table(tmp_path / "t.csv", *rows, header=header))


def test_regions_need_films_that_are_cut_and_masks_need_to_be_there(
    films: Path, tmp_path: Path
) -> None:
    with pytest.raises(CohortError, match="--patch-size"):
        cohort(films, tmp_path / "c", tmp_path / "masks", reading=Reading())
    (tmp_path / "empty").mkdir()
    with pytest.raises(CohortError, match="has no mask"):
        cohort(films, tmp_path / "c", tmp_path / "empty")
    Image.new("L", (32, 32)).save(tmp_path / "empty" / "another.png")
    with pytest.raises(CohortError, match="none of 6 films has a region; "):
        cohort(films, tmp_path / "c", tmp_path / "empty")


def test_a_class_whose_patches_are_of_one_patient_is_no_class(films: Path, tmp_path: Path) -> None:
    rows = [(f"{n}.dcm", 0, 0, 32, 16, "rare" if n == 1 else "") for n in range(1, 7)]
    boxes = table(tmp_path / "b.csv", *rows, header="file,x,y,width,height,label")
    with pytest.raises(CohortError, match="1 of 4 classes have patches of fewer than two patients"):
        cohort(films, tmp_path / "c", boxes)


def test_equal_patches_join_nobody_and_equal_films_do(film: Film, tmp_path: Path) -> None:
    root = planted(film, tmp_path)  # all right halves are black
    assert len(set(cohort(root, tmp_path / "c", tmp_path / "masks").patients)) == 6
    stored = np.where(left(), 4095, 0).astype(np.uint16)
    stored[[5, 20], 0] -= 100  # as film 1
    film(3, stored).save_as(root / "3.dcm")
    joined = cohort(root, tmp_path / "joined", tmp_path / "masks")
    assert len(set(joined.patients)) == 5


def test_a_stopped_reading_goes_on_and_a_changed_mask_begins_again(
    films: Path, tmp_path: Path
) -> None:
    masks = tmp_path / "masks"
    want = cohort(films, tmp_path / "want", masks)
    how: dict[str, Any] = {"size": 16, "key": KEY, "reading": PLAIN, "folder": tmp_path / "c"}
    steps = ingest(films, Labelling(regions=masks), **how)
    while next(steps)[0] < 3:
        pass
    steps.close()
    assert next(ingest(films, Labelling(regions=masks), **how)) == (3, 6)
    found = cohort(films, tmp_path / "c", masks)
    for name in ("cohort.json", "films.jsonl", "images.npy"):
        assert (tmp_path / "c" / name).read_bytes() == (tmp_path / "want" / name).read_bytes()
    Image.fromarray(np.uint8(~left())).save(masks / "2.png")
    other = cohort(films, tmp_path / "c", masks)
    assert not np.array_equal(other.labels, found.labels)
    assert np.array_equal(want.labels, found.labels)


def test_a_mask_that_changes_while_films_are_read_stops_the_reading(
    films: Path, tmp_path: Path
) -> None:
    masks = Labelling(regions=tmp_path / "masks")
    steps = ingest(films, masks, size=16, key=KEY, reading=PLAIN, folder=tmp_path / "c")
    next(steps)
    Image.fromarray(np.uint8(255 * ~left())).resize((32, 31)).save(tmp_path / "masks" / "2.png")
    with pytest.raises(CohortError, match="1 files changed while being read"):
        list(steps)


def test_how_films_are_cut_is_part_of_how_they_are_read() -> None:
    assert Reading.from_json(PLAIN.to_json()) == PLAIN
    assert "patches" not in Reading().to_json()
    with pytest.raises(ValueError, match="fast-j2k"):
        Reading(fast_j2k=True, patches=CUT)
    for wrong in (
        {"size": 64},
        {"stride": 0},
        {"frame": 8},
        {"background": " "},
        {"inside": 0.01},
        {"frame": 4096, "size": 8, "stride": 1},
    ):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}|film-size|patch-size|stride"):
            Patches(**{"size": 16, "stride": 8, "frame": 32, **wrong})
