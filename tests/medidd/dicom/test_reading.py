"""How films are read: every choice is checked, recorded and changes what it says."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, uid
from pydicom.sr import codes

from medidd.dicom.errors import Refused
from medidd.dicom.folder.cohort import Cohort, ingest
from medidd.dicom.header.header import read_header
from medidd.dicom.pixels.display import display
from medidd.dicom.pixels.preparation import prepared
from medidd.dicom.pixels.values import Values
from medidd.dicom.reading import Reading
from medidd.dicom.source import Source
from medidd.dicom.views import matches, view_of

Film = Callable[..., Any]
STORED = np.arange(0, 4095, 13, np.uint16).reshape(9, 35)


@pytest.mark.parametrize(
    ("choice", "value"),
    [
        ("voi", "best"),
        ("views", ("PA", "AB")),
        ("frames", "last"),
        ("burned_in", "yes"),
        ("crop", "all"),
        ("accept", ("secondary",)),
    ],
)
def test_a_choice_that_there_is_not_is_refused(choice: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{choice.replace('_', '-')}: no .*; there are: "):
        Reading(**{choice: value})


def test_text_is_not_masked_at_a_lower_resolution() -> None:
    with pytest.raises(ValueError, match="burned-in"):
        Reading(burned_in="mask", fast_j2k=True)


def test_it_survives_json_and_pickle_and_lists_have_no_order() -> None:
    accepted = ("symlinks", "no-uid", "symlinks")
    reading = Reading("lut", ("PA", "AP", "PA"), "first", "keep", "auto", True, accepted)
    assert (reading.views, reading.accept) == (("AP", "PA"), ("no-uid", "symlinks"))
    assert Reading.from_json(json.loads(json.dumps(reading.to_json()))) == reading
    assert pickle.loads(pickle.dumps(reading)) == reading


def curve() -> list[Dataset]:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [4096, 0, 12])
    item.add_new("LUTData", "OW", (np.arange(4096) ** 2 // 4096).astype("<u2").tobytes())
    return [item]


@pytest.mark.parametrize(
    ("voi", "like"),
    [
        ("auto", "table"),
        ("lut", "table"),
        ("window", "window"),
        ("percentile", "percentiles"),
        ("none", "range"),
    ],
)
def test_display_values_come_from_what_was_chosen(film: Film, voi: Any, like: str) -> None:
    window = {"WindowCenter": 1000, "WindowWidth": 500}
    low, high = np.percentile(STORED.astype(float), (0.5, 99.5))
    want = {
        "table": STORED.astype(int) ** 2 // 4096 / 4094,
        "window": np.clip((STORED - 999.5) / 499 + 0.5, 0, 1),
        "percentiles": np.clip((STORED - low) / (high - low), 0, 1),
        "range": STORED / STORED.max(),
    }
    given_film = film(1, STORED, VOILUTSequence=curve(), **window)
    np.testing.assert_allclose(display(STORED, given_film, voi).rows(), want[like], atol=1e-5)
    bare = display(STORED, film(1, STORED), voi).rows()
    want["table"] = want["window"] = want["percentiles"]
    np.testing.assert_allclose(bare, want[like], atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([np.uint8, np.int8, np.uint16, np.int16, np.int32]),
    st.integers(0, 99),
    st.integers(1, 120),
    st.booleans(),
)
def test_percentiles_by_counting_are_those_by_sorting(
    kind: Any, seed: int, spread: int, hide: bool
) -> None:
    rng = np.random.default_rng(seed)
    stored = rng.integers(0, spread + 1, (9, 11)).astype(kind)
    mapped = rng.random(spread + 2).astype(np.float32)
    hidden = rng.random(stored.shape) < 0.3 if hide else None
    values = Values(stored, hidden)
    padding = values.each == stored[0, 0]
    values.drop(padding)
    seen = (stored != stored[0, 0]) & (True if hidden is None else ~hidden)
    if not seen.any():
        return
    found = values.percentiles(mapped[values.each], (0, 0.5, 37, 99.5, 100))
    want = np.percentile(mapped[stored][seen].astype(float), (0, 0.5, 37, 99.5, 100))
    np.testing.assert_allclose(found, want, atol=1e-6)
    shown = values.picture(mapped[values.each]).rows()
    np.testing.assert_array_equal(shown, np.where(seen, mapped[stored], 0))


@pytest.mark.parametrize(
    ("elements", "view"),
    [
        ({"ViewPosition": "PA "}, "PA"),
        ({"ViewPosition": "LATERAL", "SeriesDescription": "PA"}, "LATERAL"),
        ({"ViewPosition": "XX", "SeriesDescription": "PA"}, "PA"),
        ({"ViewPosition": "UNKNOWN"}, ""),
        ({"ViewPosition": "OBLIQUE", "SeriesDescription": "PA"}, None),
        ({"SeriesDescription": "CHEST_PA"}, "PA"),
        ({"SeriesDescription": "Thorax a.p."}, "AP"),
        ({"SeriesDescription": "Chest PA and lat", "ProtocolName": "Chest PA"}, "PA"),
        ({"ProtocolName": "W033 Chest lat"}, "LATERAL"),
        ({"AcquisitionDeviceProcessingDescription": "CHEST,FRN P->A"}, "PA"),
        ({"AcquisitionDeviceProcessingCode": "THORAX A.P."}, "AP"),
        ({"StudyDescription": "Chest PA", "RequestedProcedureDescription": "Chest PA"}, ""),
        ({"SeriesDescription": "Chest PA and lat"}, ""),
        ({"SeriesDescription": "Lat chest"}, "LATERAL"),
        ({"SeriesDescription": "PARANASAL"}, ""),
        ({}, ""),
    ],
)
def test_a_view_is_its_position_or_a_word_of_the_description(elements: Any, view: str) -> None:
    found = Dataset()
    for keyword, value in elements.items():
        setattr(found, keyword, value)
    assert view_of(found) == view


SPELLINGS = {
    "PA": "PA ERECT|CHEST PA|POSTERO-ANT|Thorax p.a.|p. a.|P/A|P-A|P A|post-ant|Thorax face PA|"
    "postéro-antérieur|póstero-anterior|Postero Anteriore|POSTERO_ANTERIOR|dorso-ventral|"
    "achter-voorwaarts|p.a.-Aufnahme",
    "AP": "A.P. supine|ap liegend|ântero-posterior|antéro-postérieure|ventrodorsal|A/P|ant.post.|"
    "voor-achterwaarts|decúbito supino AP",
    "LATERAL": "seitlich|Thorax seitl.|de profil|profilo|perfil|Latéral|Torace latero-laterale|"
    "zijdelings|Lateraal|dwars|left lateral",
    "FRONTAL": "face|Thorax de face|frontal|Tórax frente",
    "LL": "L.L.|LLAT",
    "": "UNKNOWN|PARANASAL|post anterior fusion|Thorax 2 Ebenen|pa/lat|face + profil|PA - LL|"
    "lateral decubitus|AP oblique|Postantibiotic|Japan",
}


@pytest.mark.parametrize("view", SPELLINGS)
@pytest.mark.parametrize("field", ["ViewPosition", "SeriesDescription", "ViewCodeSequence"])
def test_a_view_is_understood_in_the_spellings_of_europe(view: str, field: str) -> None:
    for words in SPELLINGS[view].split("|"):
        for spelled in (words, words.upper(), words.lower()):
            found, item = Dataset(), Dataset()
            found.SpecificCharacterSet = "ISO_IR 192"
            # A coded view may have a meaning and no value.
            item.CodeMeaning = spelled
            if field == "ViewCodeSequence":
                found.ViewCodeSequence = [item]
            else:
                found.add_new(field, "LO", spelled)
            assert view_of(found) == view, spelled


@pytest.mark.parametrize(
    ("code", "view"),
    [
        (codes.CID4010.PosteroAnterior.value, "PA"),
        (codes.CID4010.AnteroPosterior.value, "AP"),
        (codes.CID4010.LeftLateral.value, "LL"),
        (codes.CID4010.RightLateral.value, "RL"),
        (codes.CID4010.LateralProjection.value, "LATERAL"),
        ("R-10214", "PA"),
        ("R-10206", "AP"),
        (codes.CID4010.CranioCaudal.value, None),
    ],
)
def test_a_coded_view_comes_before_the_description(code: str, view: str | None) -> None:
    item, found = Dataset(), Dataset()
    item.CodeValue = code
    found.ViewCodeSequence, found.SeriesDescription = [item], "RLD"
    assert view_of(found) == view


def test_lateral_takes_either_side(film: Film, tmp_path: Path) -> None:
    for view in ("LL", "RL", "LATERAL"):
        film(1, ViewPosition=view).save_as(tmp_path / "film.dcm")
        assert read_header(Source(tmp_path / "film.dcm"), Reading(views=("LATERAL",)))
    film(1, ViewPosition="RL").save_as(tmp_path / "film.dcm")
    for views in (("LL",), ("PA", "AP")):
        with pytest.raises(Refused, match="view_excluded"):
            read_header(Source(tmp_path / "film.dcm"), Reading(views=views))


@pytest.mark.parametrize(
    ("view", "wanted", "used"),
    [
        ("PA", ("FRONTAL",), True),
        ("RL", ("FRONTAL",), False),
        ("FRONTAL", ("AP", "PA"), True),
        ("FRONTAL", ("PA",), None),
        ("FRONTAL", ("LATERAL", "LL"), False),
        ("LATERAL", ("LL", "RL"), True),
        ("LATERAL", ("LL", "PA"), None),
        ("LATERAL", ("PA",), False),
        ("RLD", ("LATERAL",), False),
    ],
)
def test_a_view_without_side_or_direction_may_be_the_one_asked_for(
    view: str, wanted: tuple[str, ...], used: bool | None
) -> None:
    assert matches(view, wanted) is used


def test_a_view_that_is_not_understood_counts_as_a_loss(film: Film, tmp_path: Path) -> None:
    for elements, code in (
        ({"ViewPosition": "UNKNOWN"}, "view_unknown"),
        ({"ViewPosition": "", "SeriesDescription": "Thorax face"}, "view_unknown"),
        ({"ViewPosition": "OBLIQUE"}, "view_excluded"),
    ):
        film(1, **elements).save_as(tmp_path / "film.dcm")
        with pytest.raises(Refused, match=code):
            read_header(Source(tmp_path / "film.dcm"), Reading(views=("PA",)))


@pytest.mark.parametrize("frames", ["first", "middle"])
def test_a_frame_of_several_makes_a_film(
    studies: Path, tmp_path: Path, film: Film, frames: Any
) -> None:
    stack = np.random.default_rng(1).integers(0, 4096, (3, 12, 10), np.uint16)
    film(1, stack[0], NumberOfFrames=3, PixelData=stack.tobytes()).save_as(studies / "1.dcm")
    options: dict[str, Any] = {"size": 8, "key": b"key"}
    list(ingest(studies, None, folder=tmp_path / "c", reading=Reading(frames=frames), **options))
    film(1, stack[{"first": 0, "middle": 1}[frames]]).save_as(studies / "1.dcm")
    list(ingest(studies, None, folder=tmp_path / "one", **options))
    one, other = (Cohort.open(tmp_path / name).images for name in ("c", "one"))
    np.testing.assert_array_equal(one, other)


def test_a_cohort_remembers_how_it_was_read_and_what_was_odd(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    film(1, PresentationLUTShape="INVERSE", ShutterShape="CIRCULAR").save_as(studies / "1.dcm")
    film(2, PresentationLUTShape="INVERSE").save_as(studies / "2.dcm")
    film(3, NumberOfFrames=0, WindowCenter=99999, WindowWidth=9).save_as(studies / "3.dcm")
    place = tmp_path / "c"
    list(ingest(studies, None, folder=place, size=8, key=b"key"))
    assert Cohort.open(place).warned == {
        "presentation_lut_conflict": 2,
        "shutter_ignored": 1,
        "window_ignored": 1,
        "frames_zero": 1,
    }
    before = json.loads((place / "cohort.json").read_text())
    assert Reading.from_json(before["reading"]) == Reading()
    other = Reading(voi="none")
    list(ingest(studies, None, folder=place, size=8, key=b"key", reading=other))
    after = json.loads((place / "cohort.json").read_text())
    assert Reading.from_json(after["reading"]) == other
    assert after["fingerprint"] != before["fingerprint"]


def test_a_lower_resolution_gives_nearly_the_same_film(film: Film) -> None:
    down, across = np.mgrid[0:256, 0:192] / 40
    made = film(1, (2000 + 1500 * np.sin(down) * np.cos(across)).astype(np.uint16))
    made.compress(uid.JPEG2000Lossless, generate_instance_uid=False)
    edges = {"UpperHorizontalEdge": 20, "LowerHorizontalEdge": 240} | {
        "LeftVerticalEdge": 10,
        "RightVerticalEdge": 180,
    }
    for keyword, value in {"ShutterShape": "RECTANGULAR"}.items() | {
        (f"Shutter{name}", edge) for name, edge in edges.items()
    }:
        setattr(made, keyword, value)
    whole = prepared(made, 32, Reading()).picture
    fast = prepared(made, 32, Reading(fast_j2k=True)).picture
    assert 0 < np.abs(whole - fast).mean() < 0.02
    same = prepared(made, 200, Reading(fast_j2k=True)).picture  # too small to be halved
    np.testing.assert_array_equal(same, prepared(made, 200, Reading()).picture)
