"""PNG, JPEG and TIFF: gray values as they are in the file, and nothing else."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from monai.data import PILReader
from PIL import Image

from medidd.dicom.errors import Refused
from medidd.dicom.pixels.picture_file import read_picture
from medidd.dicom.reading import Reading
from medidd.dicom.source import Source
from medidd.dicom.stored.decoding import stored_values

Pixels = npt.NDArray[Any]
DEEP: Pixels = np.random.default_rng(0).integers(0, 2**16, (20, 30), np.uint16)
FLAT: Pixels = (DEEP >> 8).astype(np.uint8)


def png(width: int, height: int, depth: int, kind: int, lines: bytes) -> bytes:
    """Returns a PNG with any header, of which Pillow writes only a few."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def saved(pixels: Pixels, name: str, **options: Any) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        Image.fromarray(pixels).save(folder / name, **options)
        return folder / name

    return save


def written(data: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "made.png").write_bytes(data)
        return folder / "made.png"

    return write


def cut(save: Callable[[Path], Path], *, changed: bool = False) -> Callable[[Path], Path]:
    def damage(folder: Path) -> Path:
        path = save(folder)
        data = path.read_bytes()
        half = len(data) // 2
        path.write_bytes(data[:60] + b"----" + data[64:] if changed else data[:half])
        return path

    return damage


def palette(folder: Path) -> Path:
    Image.fromarray(FLAT).convert("P").save(folder / "made.png")
    return folder / "made.png"


def turned() -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = 6
    return found


def values(path: Path, **choices: Any) -> tuple[Pixels, tuple[str, ...], str]:
    film, odd = read_picture(Source(path), Reading(files="pictures", **choices))
    return stored_values(film), odd, film.PhotometricInterpretation


GRAY: dict[str, tuple[Callable[[Path], Path], Pixels, tuple[str, ...]]] = {
    "PNG of 16 bits": (saved(DEEP, "a.png"), DEEP, ()),
    "PNG of 8 bits": (saved(FLAT, "a.png"), FLAT, ()),
    "PNG of 2 bits": (written(png(4, 1, 2, 0, b"\0\x1b")), np.array([[0, 85, 170, 255]]), ()),
    "TIFF of 16 bits": (saved(DEEP, "a.tif"), DEEP, ()),
    "big-endian TIFF": (saved(DEEP.astype(">u2"), "a.tif"), DEEP, ()),
    "packed TIFF": (saved(DEEP, "a.tif", compression="tiff_lzw"), DEEP, ()),
    "TIFF of 8 bits": (saved(FLAT, "a.tif"), FLAT, ()),
    "TIFF of 8 bits where 0 is white": (saved(FLAT, "a.tif", tiffinfo={262: 0}), FLAT, ()),
    "equal colors": (saved(np.stack([FLAT] * 3, -1), "a.png"), FLAT, ()),
    "palette": (palette, FLAT, ()),
    "gray and alpha": (saved(np.stack([FLAT, FLAT], -1), "a.png"), FLAT, ("alpha_ignored",)),
    "colors and alpha": (saved(np.stack([FLAT] * 4, -1), "a.png"), FLAT, ("alpha_ignored",)),
    "one clear value": (saved(DEEP, "a.png", transparency=5), DEEP, ("alpha_ignored",)),
    "PNG on its side": (
        saved(DEEP, "a.png", exif=turned()),
        np.rot90(DEEP, -1),
        ("picture_turned",),
    ),
    "TIFF on its side": (
        saved(DEEP, "a.tif", exif=turned()),
        np.rot90(DEEP, -1),
        ("picture_turned",),
    ),
}

REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "color": (saved(np.stack([FLAT, FLAT, 255 - FLAT], -1), "a.png"), "color"),
    "one bit": (saved(FLAT > 99, "a.png"), "picture_depth"),
    "floating point": (saved(DEEP.astype(np.float32), "a.tif"), "picture_depth"),
    "32 bits": (saved(DEEP.astype(np.int32), "a.tif"), "picture_depth"),
    "16 bits per color": (written(png(3, 1, 16, 2, bytes(19))), "picture_depth"),
    "16 bits and alpha": (written(png(3, 1, 16, 4, bytes(13))), "picture_depth"),
    "pages": (
        saved(DEEP, "a.tif", save_all=True, append_images=[Image.fromarray(255 - FLAT)]),
        "multiframe",
    ),
    "cut PNG": (cut(saved(DEEP, "a.png")), "pixels_truncated"),
    "cut JPEG": (cut(saved(FLAT, "a.jpg")), "pixels_truncated"),
    "cut TIFF": (cut(saved(DEEP, "a.tif")), "pixels_truncated"),
    "damaged": (cut(saved(DEEP, "a.png"), changed=True), "pixels_invalid"),
    "another format": (saved(FLAT, "a.gif"), "pixels_invalid"),
    "large": (written(png(9000, 9000, 8, 0, b"")), "too_large"),
    "a bomb": (written(png(90000, 90000, 8, 0, b"")), "too_large"),
}


@pytest.mark.parametrize("kind", GRAY)
def test_gray_values_are_those_of_the_file(kind: str, tmp_path: Path) -> None:
    save, expected, warnings = GRAY[kind]
    found, odd, meaning = values(save(tmp_path))
    np.testing.assert_array_equal(found, expected)
    assert found.dtype.itemsize == expected.dtype.itemsize or kind == "PNG of 2 bits"
    assert (odd, meaning) == (warnings, "MONOCHROME2")


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_gray_film_is_refused_for_one_reason(kind: str, tmp_path: Path) -> None:
    save, code = REFUSED[kind]
    with pytest.raises(Refused) as refused:
        values(save(tmp_path))
    assert refused.value.code == code


def test_a_color_jpeg_of_a_gray_film_is_gray(tmp_path: Path) -> None:
    gray, _, _ = values(saved(FLAT, "gray.jpg")(tmp_path))
    colors, odd, _ = values(saved(np.stack([FLAT] * 3, -1), "colors.jpg")(tmp_path))
    assert np.abs(gray.astype(int) - colors).max() <= 2
    assert not odd
    inks = Image.fromarray(np.stack([FLAT] * 3, -1)).convert("CMYK")
    inks.save(tmp_path / "inks.jpg")
    with pytest.raises(Refused, match="color"):
        values(tmp_path / "inks.jpg")


def test_where_0_is_white_in_16_bits_the_film_is_monochrome1(tmp_path: Path) -> None:
    found, _, meaning = values(saved(DEEP, "a.tif", tiffinfo={262: 0})(tmp_path))
    np.testing.assert_array_equal(found, DEEP)
    assert meaning == "MONOCHROME1"


@pytest.mark.parametrize(("frames", "page"), [("first", 0), ("middle", 1)])
def test_one_page_of_several_is_used_if_asked_for(frames: str, page: int, tmp_path: Path) -> None:
    pages = [DEEP, DEEP // 2, DEEP // 3]
    more = [Image.fromarray(one) for one in pages[1:]]
    save = saved(DEEP, "a.tif", save_all=True, append_images=more)
    np.testing.assert_array_equal(values(save(tmp_path), frames=frames)[0], pages[page])


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
def test_the_values_are_those_of_monais_reader(name: str, tmp_path: Path) -> None:
    path = saved(FLAT if name == "a.jpg" else DEEP, name)(tmp_path)
    reader = PILReader(reverse_indexing=False)
    theirs, _ = reader.get_data(reader.read(path))
    np.testing.assert_array_equal(values(path)[0], theirs)
