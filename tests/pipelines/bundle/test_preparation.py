"""What a bundle says of how films must be prepared follows from what the release says of itself."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from medidd.dicom.patches import Patches
from medidd.dicom.pixels.display import PERCENTILES
from medidd.dicom.reading import ACCEPTS, BURNED_IN, CROPS, FILES, FRAMES, VOIS, Reading
from medidd.dicom.views import CHOICES
from pipelines.bundle.contents import template_words
from pipelines.bundle.preparation import MEANINGS, OF_PATCHES, contract, preparation
from privacy.gates.leaks import SHORTEST, tokens

SCALE = {"mean": 0.5, "std": 0.25, "levels": 255}


def facts(reading: Reading) -> dict[str, Any]:
    said = {"reading": reading.to_json(), "normalization": SCALE, "seed": 3}
    return said | ({"film classes": ["ill", "well"]} if reading.patches else {})


def stated(reading: Reading, size: int = 64) -> Any:
    return json.loads(preparation(facts(reading), (6, 1, size, size)))


def test_the_contract_is_what_the_release_says_of_itself() -> None:
    chosen = Reading(
        voi="window",
        views=("PA", "AP"),
        frames="middle",
        burned_in="mask",
        crop="auto",
        accept=("no-uid", "symlinks"),
        files="pictures",
    )
    assert stated(chosen, 48) == {
        "version": 1,
        "files": "pictures",
        "display": {
            "voi": "window",
            "sources": ["window", "percentiles"],
            "percentiles": list(PERCENTILES),
        },
        "views": ["AP", "PA"],
        "frames": "middle",
        "accept": ["no-uid"],
        "burned_in": "mask",
        "crop": "auto",
        "jpeg2000": "full",
        "orientation": "reading",
        "framing": "letterbox",
        "size": 48,
        "interpolation": "area",
        "normalization": SCALE,
        "meanings": MEANINGS,
    }


@pytest.mark.parametrize("voi", VOIS)
def test_every_choice_of_display_values_names_its_sources(voi: Any) -> None:
    found = stated(Reading(voi=voi))["display"]
    assert found["voi"] == voi
    assert found["sources"]
    assert all(source in MEANINGS["display"] for source in found["sources"])


def test_jpeg_2000_that_was_reduced_is_said() -> None:
    assert stated(Reading(fast_j2k=True))["jpeg2000"] == "reduced"


def test_films_that_are_cut_have_a_contract_that_no_older_program_follows() -> None:
    whole, cut = stated(Reading()), stated(Reading(patches=Patches(24, 10, 90, "beside")))
    assert (whole["version"], cut["version"]) == (1, 2)
    assert "patches" not in whole
    assert cut["patches"] == {
        "size": 24,
        "stride": 10,
        "frame": 90,
        "background": "beside",
        "vote": ["ill", "well"],
    }
    assert cut["size"] == 64
    assert cut["meanings"] == MEANINGS | OF_PATCHES
    assert cut["meanings"].keys() == cut.keys() - {"meanings"}
    same = whole.keys() - {"version", "meanings"}
    assert {name: cut[name] for name in same} == {name: whole[name] for name in same}


def test_every_field_has_a_meaning_and_every_meaning_a_field() -> None:
    assert contract(facts(Reading()), (2, 1, 8, 8)).keys() == MEANINGS.keys()


def test_no_word_of_it_counts_as_a_patients_name() -> None:
    """Gate G4 would take a word that no template has for an identifier of that name."""
    every = [
        Reading(voi=voi, crop=crop, frames=frames, burned_in=burned_in)
        for voi, crop, frames, burned_in in product(VOIS, CROPS, FRAMES, BURNED_IN)
    ]
    every += [Reading(files=files) for files in FILES]
    every += [Reading(views=CHOICES, accept=ACCEPTS, fast_j2k=True)]
    every += [Reading(patches=Patches(299, 150))]
    for reading in every:
        text = preparation(facts(reading), (6, 1, 64, 64)).decode()
        words = {word for word in tokens(text) if len(word) >= SHORTEST}
        words -= {"2048", "well"}  # a number that the user chose, and a class
        assert words - {str(SCALE["std"])} <= template_words()  # the manifest has this number, too


def test_the_bundle_states_it_and_the_croissant_file_lists_it(sent: Path) -> None:
    said = json.loads((sent / "preparation.json").read_text())
    manifest = json.loads((sent / "manifest.json").read_text())
    assert said == json.loads(preparation(manifest, (1, 1, 16, 16)))
    listed = json.loads((sent / "croissant.json").read_text())["distribution"]
    kinds = {file["name"]: file["encodingFormat"] for file in listed}
    assert kinds["preparation.json"] == "application/json"
    assert kinds["prepare.py"] == kinds["radiograph.py"] == kinds["display.py"] == "text/x-python"
