"""Traits are coarse, and what cannot be understood says nothing."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medidd.dicom.header.traits import age_band, maker, sex_of


@pytest.mark.parametrize(
    ("age", "band"),
    [
        ("045Y", "40-49"),
        (" 045y ", "40-49"),
        ("45Y", "40-49"),
        ("018Y", "18-29"),
        ("017Y", "15-17"),
        ("089Y", "80-89"),
        ("090Y", "90+"),
        ("104Y", "90+"),
        ("000Y", "0"),
        ("011M", "0"),
        ("012M", "1-4"),
        ("060M", "5-9"),
        ("051W", "0"),
        ("053W", "1-4"),
        ("003D", "0"),
        ("366D", "1-4"),
        ("140Y", ""),
        ("045", ""),
        ("Y", ""),
        ("forty", ""),
        ("045Y045Y", ""),
        ("-45Y", ""),
        ("", ""),
    ],
)
def test_an_age_string_gives_a_band(age: str, band: str) -> None:
    assert age_band(age, "", "") == band


@pytest.mark.parametrize(
    ("born", "taken", "band"),
    [
        ("19770315", "20220314", "40-49"),
        ("19720315", "20220314", "40-49"),
        ("19720314", "20220314", "50-59"),
        ("1972.03.14", "20220314", "50-59"),
        ("20210315", "20220314", "0"),
        ("20000229", "20180228", "15-17"),
        ("20000229", "20180301", "18-29"),
        ("20220315", "20220314", ""),
        ("18000101", "20220314", ""),
        ("19720231", "20220314", ""),
        ("1972", "20220314", ""),
        ("19720314", "", ""),
        ("", "20220314", ""),
    ],
)
def test_dates_give_it_where_the_age_says_nothing(born: str, taken: str, band: str) -> None:
    assert age_band("", born, taken) == band
    assert age_band("forty", born, taken) == band


def test_the_stated_age_comes_first() -> None:
    assert age_band("030Y", "19300101", "20220314") == "30-39"


@given(st.dates(date(1900, 1, 1), date(2020, 1, 1)), st.integers(0, 40000))
def test_a_band_holds_the_age_counted_birthday_by_birthday(born: date, days: int) -> None:
    taken = born + timedelta(days)
    years = sum(
        (born.year + n, born.month, born.day) <= (taken.year, taken.month, taken.day)
        for n in range(1, 131)
    )
    band = age_band("", born.strftime("%Y%m%d"), taken.strftime("%Y%m%d"))
    low, _, high = band.removesuffix("+").partition("-")
    assert int(low) <= years
    assert band.endswith("+") or years <= int(high or low)
    assert band.endswith("+") == (years >= 90)


@given(st.text(), st.text(), st.text())
def test_no_text_is_too_strange(age: str, born: str, taken: str) -> None:
    assert len(age_band(age, born, taken)) <= 5


@pytest.mark.parametrize(
    ("word", "sex"), [("M", "M"), (" f ", "F"), ("O", "O"), ("male", ""), ("U", ""), ("", "")]
)
def test_a_sex_is_one_of_three_words(word: str, sex: str) -> None:
    assert sex_of(word) == sex


def test_a_device_is_its_maker_and_model_however_they_are_written() -> None:
    assert maker("Sample Imaging ", "Ray  1") == maker("SAMPLE imaging", "ray 1")
    assert maker("Sample", "") != maker("", "Sample")
    assert maker("Sample", "1") != maker("Sample", "2")
    assert maker(" ", "") == ""
