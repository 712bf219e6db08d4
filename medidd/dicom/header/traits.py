"""What is known about a film in addition to its label, too coarse to identify one person.

Audits ask whether a group, such as the oldest patients or one device, is more exposed than others.
"""

import re
from datetime import date

SEXES = frozenset({"M", "F", "O"})
"""Values of Patient's Sex (PS3.3 C.7.1.1)."""

_YOUNGEST = (0, 1, 5, 10, 15, 18, *range(30, 100, 10))  # years; the last band is open
_OLDEST = 130  # nobody was ever older, so a higher age is an error
_AGE = re.compile(r"(\d{1,3})([DWMY])")
_PER_YEAR = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0}
_DATE = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)")


def sex_of(word: str) -> str:
    """Returns the sex if it is one of ``SEXES``, else ''."""
    found = word.strip().upper()
    return found if found in SEXES else ""


def age_band(age: str, born: str, taken: str) -> str:
    """Returns the band of years, such as "40-49", or '' if the age is not known.

    Below 18 the bands follow childhood. Above 89 there is one band, because such patients are few.

    Args:
        age: Patient's Age, an age string such as 045Y or 003W (PS3.5 6.2).
        born: Patient's Birth Date, used if there is no age; YYYYMMDD, or with dots.
        taken: Study Date.
    """
    years = _stated(age)
    if years is None:
        years = _between(born, taken)
    if years is None or not 0 <= years <= _OLDEST:
        return ""
    place = sum(years >= youngest for youngest in _YOUNGEST) - 1
    if place == len(_YOUNGEST) - 1:
        return f"{_YOUNGEST[place]}+"
    low, high = _YOUNGEST[place], _YOUNGEST[place + 1] - 1
    return str(low) if low == high else f"{low}-{high}"


def maker(manufacturer: str, model: str) -> str:
    """Returns a key of the device, '' if neither is given; it may contain people's names."""
    words = [" ".join(word.casefold().split()) for word in (manufacturer, model)]
    return "|".join(words) if any(words) else ""


def _stated(age: str) -> float | None:
    found = _AGE.fullmatch(age.strip().upper())
    return int(found[1]) / _PER_YEAR[found[2]] if found else None


def _between(born: str, taken: str) -> float | None:
    first, last = _date(born), _date(taken)
    if first is None or last is None:
        return None
    birthday_to_come = (last.month, last.day) < (first.month, first.day)
    return last.year - first.year - birthday_to_come


def _date(text: str) -> date | None:
    found = _DATE.fullmatch(text.strip())
    try:
        return date(*map(int, found.groups())) if found else None
    except ValueError:
        return None
