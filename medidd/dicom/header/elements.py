"""Elements of a header as text."""

from contextlib import suppress
from functools import cache

from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag


@cache
def tag_of(keyword: str) -> BaseTag:
    """Returns the tag that a keyword stands for."""
    return Tag(keyword)


def text(found: Dataset, keyword: str) -> str:
    """Returns an element's value as text, several values joined by a backslash, or ''."""
    # Most of what is asked is absent, and pydicom takes long to say so of a keyword.
    tag = tag_of(keyword)
    value = found[tag].value if tag in found else None
    if isinstance(value, MultiValue):
        return "\\".join(str(item) for item in value)
    return "" if value is None else str(value).strip(" \0")


def optional(found: Dataset, keyword: str) -> str:
    """As ``text``, but '' if the value cannot be read: a trait must not cost a film."""
    with suppress(Exception):
        return text(found, keyword)
    return ""
