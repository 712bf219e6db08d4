"""Elements of a header as text."""

from contextlib import suppress

from pydicom import Dataset
from pydicom.multival import MultiValue


def text(found: Dataset, keyword: str) -> str:
    """Returns an element's value as text, several values joined by a backslash, or ''."""
    value = found.get(keyword)
    if isinstance(value, MultiValue):
        return "\\".join(str(item) for item in value)
    return "" if value is None else str(value).strip(" \0")


def optional(found: Dataset, keyword: str) -> str:
    """As ``text``, but '' if the value cannot be read: a trait must not cost a film."""
    with suppress(Exception):
        return text(found, keyword)
    return ""
