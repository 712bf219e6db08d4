"""A recipient's films meet the distilled ones: prepare.py of a bundle sees what medidd sees."""

import json
import subprocess
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from film_variants import (
    CURVE,
    DEEP,
    FILMS,
    FLAT,
    SAMPLE,
    frames,
    having,
    saved,
    with_table,
    written,
)
from PIL import Image
from pydicom import dcmwrite, uid
from recipient import LEVEL, command, how, imported, require_equal, theirs, unpacked
from safetensors import safe_open

from medidd.dicom.patches import Patches
from medidd.dicom.pixels.film import Shown, decoded
from medidd.dicom.reading import CROPS, VOIS, Reading
from medidd.dicom.source import Source

ZOO = Path(__file__).parents[3].parent / "shared" / "data" / "dicom-zoo"
READINGS = [Reading(voi=voi, crop=crop) for voi, crop in product(VOIS, CROPS)]

AS_PLAIN = {
    *("percentiles", "no window shows", "word in a window", "slope of nothing"),
    *("shut shutter", "shutter without edges", "collimator in millimeters", "flat spacing"),
    *("one direction", "values in the upper bits", "run lengths", "JPEG 2000", "JPEG-LS"),
    *("signed", "32 bits", "JPEG Lossless"),
}
"""Variants that look like the plain film: what they say cannot be used, or changes nothing."""


@pytest.fixture(scope="module")
def prepare() -> Iterator[Any]:
    """prepare.py, imported as a recipient imports it."""
    with imported() as module:
        yield module


@pytest.mark.parametrize("name", FILMS)
def test_a_film_is_what_medidd_makes_of_it(prepare: Any, name: str, tmp_path: Path) -> None:
    path = written(FILMS[name](), tmp_path / "film.dcm")
    for reading, size in product(READINGS, (17, 64)):
        require_equal(prepare, path, reading, size)


def test_the_variants_differ(prepare: Any, tmp_path: Path) -> None:
    """Else the table of films would show nothing."""
    shown = {}
    for name, make in FILMS.items():
        path = written(make(), tmp_path / "film.dcm")
        shown[name] = theirs(prepare, path, Reading(), 64).round(3).tobytes()
    same = {name for name, one in shown.items() if one == shown["percentiles"]}
    assert same == AS_PLAIN


@pytest.mark.parametrize("little", [True, False])
def test_a_film_without_explicit_types_or_in_big_endian(
    prepare: Any, little: bool, tmp_path: Path
) -> None:
    film = with_table(CURVE, 0, 12)
    syntax = uid.ImplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
    film.file_meta.TransferSyntaxUID = syntax
    if not little:
        film.PixelData = film.pixel_array.astype(">u2").tobytes()
        entries = film.VOILUTSequence[0]
        entries.add_new("LUTData", "OW", CURVE.astype(">u2").tobytes())
    path = tmp_path / "film.dcm"
    dcmwrite(path, film, implicit_vr=little, little_endian=little, force_encoding=True)
    require_equal(prepare, path, Reading(), 32)


def test_a_film_without_a_preamble_is_read(prepare: Any, tmp_path: Path) -> None:
    film = having(WindowCenter=1800, WindowWidth=2500)
    film.preamble = None
    path = tmp_path / "film"
    film.save_as(path, enforce_file_format=False)
    assert path.read_bytes()[128:132] != b"DICM"
    require_equal(prepare, path, Reading(), 32)


@pytest.mark.parametrize("choice", ["first", "middle"])
def test_the_frame_is_the_one_that_is_used(prepare: Any, choice: Any, tmp_path: Path) -> None:
    path = written(frames(), tmp_path / "film.dcm")
    require_equal(prepare, path, Reading(frames=choice), 32)


def test_the_films_of_the_sample_set(prepare: Any) -> None:
    for path in sorted(SAMPLE.rglob("*.dcm"))[::12]:
        for size in (16, 64):
            require_equal(prepare, path, Reading(), size)


@pytest.mark.parametrize("cut", [Patches(40, 17, 130), Patches(64, 64, 64), Patches(9, 30, 100)])
def test_patches_are_those_that_medidd_cuts(prepare: Any, cut: Patches, tmp_path: Path) -> None:
    for name in ("window", "high pixels", "on its other side", "round shutter"):
        path = written(FILMS[name](), tmp_path / "film.dcm")
        for crop in CROPS:
            require_equal(prepare, path, Reading(crop=crop, patches=cut), 17)


def test_the_file_says_of_which_film_each_patch_is(prepare: Any, tmp_path: Path) -> None:
    reading = Reading(patches=Patches(40, 30, 100))
    bundle, folder = unpacked(tmp_path / "bundle", reading, 16), tmp_path / "films"
    folder.mkdir()
    for name, path in zip(("b.dcm", "a.dcm"), sorted(SAMPLE.rglob("*.dcm")), strict=False):
        (folder / name).write_bytes(path.read_bytes())
    (folder / "note.txt").write_text("no film")
    to = tmp_path / "films.safetensors"
    subprocess.run(command(bundle, folder, "--to", to), check=True, capture_output=True)
    with safe_open(to, "pt") as file:
        tensor, film = file.get_tensor("films"), file.get_tensor("film")
        assert json.loads(file.metadata()["names"]) == ["a.dcm", "b.dcm"]
    assert film.tolist() == [0] * 9 + [1] * 9
    for number, name in enumerate(("a.dcm", "b.dcm")):
        own = prepare.prepared(folder / name, how(reading, 16))
        # Two processes may round otherwise, for their memory lies elsewhere.
        torch.testing.assert_close(tensor[film == number], own, rtol=0, atol=1e-5)


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def palette(folder: Path) -> Path:
    image = Image.fromarray(FLAT).convert("P")
    image.putpalette([level for level in range(255, -1, -1) for _ in range(3)])
    image.save(folder / "a.png")
    return folder / "a.png"


def pages(folder: Path) -> Path:
    more = [Image.fromarray(one) for one in (DEEP[::-1], DEEP[:, ::-1])]
    return saved(DEEP, "a.tif", save_all=True, append_images=more)(folder)


PICTURES: dict[str, Callable[[Path], Path]] = {
    "PNG of 8 bits": saved(FLAT, "a.png"),
    "PNG of 16 bits": saved(DEEP, "a.png"),
    "TIFF of 8 bits": saved(FLAT, "a.tif"),
    "TIFF of 16 bits": saved(DEEP, "a.tif", compression="tiff_lzw"),
    "TIFF of 8 bits where 0 is white": saved(FLAT, "a.tif", tiffinfo={262: 0}),
    "TIFF of 16 bits where 0 is white": saved(DEEP, "a.tif", tiffinfo={262: 0}),
    "big-endian TIFF": saved(DEEP.astype(">u2"), "a.tif"),
    "JPEG": saved(FLAT, "a.jpg"),
    "JPEG on its side": saved(FLAT, "a.jpg", exif=turned()),
    "TIFF on its side": saved(DEEP, "a.tif", exif=turned()),
    "equal colors": saved(np.stack([FLAT] * 3, -1), "a.png"),
    "palette": palette,
    "gray and alpha": saved(np.stack([FLAT, FLAT], -1), "a.png"),
    "colors and alpha": saved(np.stack([FLAT] * 4, -1), "a.png"),
    "pages": pages,
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_what_medidd_makes_of_it(prepare: Any, name: str, tmp_path: Path) -> None:
    path = PICTURES[name](tmp_path)
    for reading, size in product(READINGS, (17, 40)):
        chosen = Reading(voi=reading.voi, crop=reading.crop, files="pictures", frames="middle")
        require_equal(prepare, path, chosen, size)


@pytest.mark.slow
@pytest.mark.skipif(not ZOO.is_dir(), reason="the collection of hard files is not here")
def test_real_films_are_what_medidd_makes_of_them(prepare: Any) -> None:
    films = 0
    for path in sorted(one for one in ZOO.rglob("*") if one.is_file() and one.suffix != ".png"):
        own = decoded(Source(path), 64, Reading())
        if isinstance(own, Shown):
            found = theirs(prepare, path, Reading(), 64)
            assert np.abs(own.levels / 65535 - found).max() < LEVEL / 10, path
            films += 1
        else:
            with pytest.raises(prepare.Refused):
                prepare.prepared(path, how(Reading(), 64))
    assert films > 20
