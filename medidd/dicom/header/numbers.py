"""Numbers that a header writes as text: decimal strings and integer strings (PS3.5 6.2).

pydicom refuses a whole element if a device writes a comma for the point, so the text is read here.
"""

import math
from contextlib import suppress

from pydicom import Dataset
from pydicom.multival import MultiValue

from medidd.dicom.header.elements import tag_of

PROPORTIONS = (
    "PixelAspectRatio",
    "ImagerPixelSpacing",
    "PixelSpacing",
    "NominalScannedPixelSpacing",
)
"""Elements that give the height and width of a pixel, in the order in which they are asked."""

WINDOW = ("WindowCenter", "WindowWidth")
_BINARY = ("US", "SS", "UL", "SL", "FL", "FD")  # some devices write these instead of text
_RESCALE = ("RescaleSlope", "RescaleIntercept")


def numbers(found: Dataset, keyword: str) -> list[float]:
    """Returns the values of an element, a comma read as a decimal point; none if it is empty.

    Raises:
        ValueError: a value is no number.
    """
    return [_value(text) for text in _texts(found, keyword)]


def number(found: Dataset, keyword: str) -> float | None:
    """Returns the first value of an element, None if it is absent or empty.

    Raises:
        ValueError: it is no number.
    """
    texts = _texts(found, keyword)
    return _value(texts[0]) if texts and texts[0] else None


def given(found: Dataset, keyword: str) -> bool:
    """Whether an element has a value."""
    return bool(_texts(found, keyword))


def readable(found: Dataset, keyword: str) -> list[float]:
    """Returns the values of an element that a film can do without; none if one is no number."""
    with suppress(ValueError):
        values = numbers(found, keyword)
        return values if all(map(math.isfinite, values)) else []
    return []


def odd(found: Dataset) -> list[str]:
    """Returns keys of ``errors.WARNINGS``: what is odd about how a film's numbers are written."""
    codes = []
    if any(
        "," in text for word in (*PROPORTIONS, *WINDOW, *_RESCALE) for text in _texts(found, word)
    ):
        codes.append("decimal_comma")
    if any(given(found, word) and not readable(found, word) for word in (*PROPORTIONS, *WINDOW)):
        codes.append("number_ignored")
    return codes


def _texts(found: Dataset, keyword: str) -> list[str]:
    """Returns what an element says, without empty values at its end."""
    tag = tag_of(keyword)
    element = found.get_item(tag) if tag in found else None
    if element is None:
        return []
    value = element.value
    if isinstance(value, bytes) and element.VR in _BINARY:
        value = found[keyword].value
    if isinstance(value, bytes):  # as it is in the file; pydicom has not converted it
        value = value.decode("latin-1").split("\\")
    elif not isinstance(value, MultiValue | list | tuple):
        value = [] if value is None else [value]
    texts = [str(one).strip(" \0") for one in value]
    while texts and not texts[-1]:
        texts.pop()
    return texts


def _value(text: str) -> float:
    return float(text.replace(",", "."))
