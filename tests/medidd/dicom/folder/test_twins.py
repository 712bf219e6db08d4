"""Raw detector data cost no film if their film is there, and one film has one twin."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import uid

from medidd.dicom.errors import TooManyRefused
from medidd.dicom.folder.cohort import Cohort, ingest
from medidd.dicom.folder.survey import survey
from medidd.dicom.folder.twins import settled
from medidd.dicom.reading import Reading
from medidd.dicom.refusals import Exposure, Refusal

Film = Callable[..., Any]

FILM = Exposure("study", "film", "PA")


def codes(raws: list[Exposure], films: list[Exposure]) -> list[str]:
    refusals = [Refusal(Path("raw"), "for_processing", raw) for raw in raws]
    return [one.code for one in settled(refusals, films)]


@pytest.mark.parametrize(
    ("raw", "film", "is_twin"),
    [
        (Exposure("study", "raw", "PA"), FILM, True),
        (Exposure("study", "raw"), FILM, True),
        (Exposure("other", "raw", "PA"), FILM, False),
        (Exposure("study", "raw", "LL"), FILM, False),
        (Exposure("study", "raw", "LL"), Exposure("study", "film", "LATERAL"), True),
        (Exposure("study", "raw", "PA", "L"), Exposure("study", "film", "PA", "R"), False),
        (Exposure("study", "raw", "PA", "L"), FILM, True),
        (Exposure("", "raw", "PA"), Exposure("", "film", "PA"), False),
    ],
)
def test_a_twin_is_of_one_study_and_nothing_contradicts(
    raw: Exposure, film: Exposure, is_twin: bool
) -> None:
    assert codes([raw], [film]) == ["raw_twin" if is_twin else "for_processing"]


def test_a_film_has_one_twin_and_the_most_alike_come_first() -> None:
    vague, precise = Exposure("study", "a"), Exposure("study", "b", "PA")
    assert codes([vague, precise], [FILM]) == ["for_processing", "raw_twin"]
    assert codes([vague, precise], [FILM, Exposure("study", "c")]) == ["raw_twin"] * 2
    assert codes([precise, precise], [FILM]) == ["raw_twin"] * 2  # copies of one object
    assert codes([vague, precise], [FILM, FILM]) == ["for_processing", "raw_twin"]


def raw(film: Film, number: int, **elements: Any) -> Any:
    raw_data = uid.DigitalXRayImageStorageForProcessing
    return film(number, SOPClassUID=raw_data, SOPInstanceUID=f"1.2.{number}", **elements)


def test_raw_data_without_a_film_are_lost_films(studies: Path, tmp_path: Path, film: Film) -> None:
    for number in range(4, 9):
        raw(film, number).save_as(studies / f"raw{number}.dcm")
    options: dict[str, Any] = {"size": 8, "key": b"key", "folder": tmp_path / "c"}
    with pytest.raises(TooManyRefused, match=r"2 files refused .* \(for_processing 2\)"):
        list(ingest(studies, None, **options))
    list(ingest(studies, None, **options, max_refused=0.5))
    expected = {"for_processing": 2, "raw_twin": 3, "not_dicom": 1}
    assert Cohort.open(tmp_path / "c").refused == expected
    *_, seen = survey(studies)
    assert seen.refused == expected


def test_a_film_without_a_label_is_there_and_a_view_that_nobody_asked_for_is_not_lost(
    studies: Path, tmp_path: Path, film: Film
) -> None:
    film(9).save_as(studies / "9.dcm")
    raw(film, 9).save_as(studies / "raw9.dcm")
    raw(film, 1, ViewPosition="LL").save_as(studies / "raw1.dcm")
    options: dict[str, Any] = {"size": 8, "key": b"key", "reading": Reading(views=("PA",))}
    list(ingest(studies, None, folder=tmp_path / "c", **options))
    assert Cohort.open(tmp_path / "c").refused == {
        "label_missing": 1,
        "not_dicom": 1,
        "raw_twin": 1,
        "view_excluded": 1,
    }
