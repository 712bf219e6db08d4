"""Text in the pixels of films of full size."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from medidd.dicom.errors import Refused
from medidd.dicom.header.header import quiet, read
from medidd.dicom.header.radiograph import MODALITIES
from medidd.dicom.pixels.burned_in import masked, text
from medidd.dicom.pixels.pixels import RadiographReader
from medidd.dicom.pixels.preparation import prepared
from medidd.dicom.reading import Reading

Film = Callable[..., Any]
Array = npt.NDArray[Any]
ZOO = Path(__file__).parents[4].parent / "shared" / "data" / "dicom-zoo"


def noisy(seed: int = 0, shape: tuple[int, int] = (600, 500)) -> Array:
    rng = np.random.default_rng(seed)
    shaded = ndimage.gaussian_filter(rng.normal(0, 1, shape), 30) * 20000 + 2000
    return np.clip(shaded + rng.normal(0, 20, shape), 1, 4094).astype(np.uint16)


def written(stored: Array, words: str, height: int, value: int, at: tuple[int, int]) -> Array:
    canvas = Image.new("1", stored.shape[::-1])
    ImageDraw.Draw(canvas).text(at, words, fill=1, font=ImageFont.load_default(height))
    out = stored.copy()
    out[np.asarray(canvas)] = value
    return out


@pytest.mark.parametrize("height", [12, 16, 24, 40])
@pytest.mark.parametrize("value", [0, 4095])
@pytest.mark.parametrize("words", ["DOE JANE", "19610714", "MRN 48213"])
def test_a_line_of_text_is_found(height: int, value: int, words: str) -> None:
    found = text(written(noisy(), words, height, value, (50, 80)))
    assert len(found) >= 4
    assert all(80 <= box.top < box.bottom <= 80 + 1.4 * height for box in found)


@pytest.mark.parametrize("words", ["L", "R", "LA", "R 1"])
def test_a_side_marker_is_no_text(words: str) -> None:
    assert text(written(noisy(), words, 40, 4095, (50, 80))) == []


@pytest.mark.parametrize("seed", range(5))
def test_noise_and_saturation_are_no_text(seed: int) -> None:
    film = noisy(seed)
    assert text(film) == []
    blown = np.clip(film.astype(int) * 2, 0, 4095).astype(np.uint16)
    assert np.mean(blown == 4095) > 0.05
    assert text(blown) == []


def test_text_beside_a_black_border_is_found() -> None:
    film = noisy()
    film[:60] = 0
    assert len(text(written(film, "DOE JANE", 16, 4095, (50, 20)))) >= 4
    assert len(text(written(film, "DOE JANE", 16, 0, (50, 90)))) >= 4


def test_masking_leaves_nothing_of_the_text_and_the_rest_as_it_was() -> None:
    clean = noisy()
    film = written(clean, "DOE JANE", 24, 4095, (50, 80))
    out = masked(film, text(film))
    assert (out == 4095).sum() == 0
    assert text(out) == []
    changed = np.argwhere(out != film)
    assert changed.min(0).tolist() >= [76, 46]
    assert changed.max(0)[0] <= 80 + 36
    near = np.abs(out.astype(float) - clean)[76:116, 46:300]
    assert near.max() < 600  # the film's shade, not the text's


def test_suspicion_is_counted_and_the_film_is_kept(film: Film) -> None:
    given = film(1, written(noisy(), "DOE JANE", 24, 4095, (50, 80)))
    assert prepared(given, 32, Reading()).warnings == ("burned_in_suspected",)
    assert prepared(given, 32, Reading(burned_in="keep")).warnings == ()
    found = prepared(given, 200, Reading(burned_in="mask", voi="none"))
    shown, warned = found.picture, found.warnings
    assert warned == ("burned_in_masked",)
    assert np.abs(shown - prepared(film(1, noisy()), 200, Reading(voi="none")).picture).max() < 0.2


def test_a_film_that_says_it_shows_text_is_masked_or_refused(film: Film, tmp_path: Path) -> None:
    film(1, noisy(), BurnedInAnnotation="YES").save_as(tmp_path / "not found.dcm")
    seen = written(noisy(), "DOE JANE", 24, 4095, (50, 80))
    film(2, seen, BurnedInAnnotation="YES").save_as(tmp_path / "found.dcm")
    for how, refused in (("reject", {"found", "not found"}), ("mask", {"not found"}), ("keep", ())):
        reader = RadiographReader(32, Reading(burned_in=how))  # type: ignore[arg-type]
        for name in ("found", "not found"):
            if name in refused:
                with pytest.raises(Refused, match="burned_in_tag"):
                    reader.get_data(reader.read(tmp_path / f"{name}.dcm"))
            else:
                reader.get_data(reader.read(tmp_path / f"{name}.dcm"))


@pytest.mark.skipif(not ZOO.is_dir(), reason="the collection of hard files is not here")
def test_real_text_is_found() -> None:
    names = ("phi/US_GREYSCALE_IMAGE_burned_in.dcm", "colour/JPGLosslessP14SV1_1s_1f_8b.dcm")
    for name in names:
        with quiet():
            assert len(text(read(ZOO / name, pixels=True).pixel_array)) > 20


@pytest.mark.skipif(not ZOO.is_dir(), reason="the collection of hard files is not here")
def test_no_real_radiograph_raises_a_false_alarm() -> None:
    files = json.loads((ZOO / "manifest.json").read_text())
    kinds = {*MODALITIES, "MG"}
    seen = 0
    for file in files:
        if file["modality"] in kinds and file["expect"] == "decode" and file["bytes"] < 2_000_000:
            with quiet():
                found = read(ZOO / file["file"], pixels=True)
                if "Extended" in found.file_meta.TransferSyntaxUID.name:
                    continue
                assert text(found.pixel_array) == []
            seen += 1
    assert seen >= 8
