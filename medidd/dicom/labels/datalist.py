"""MONAI's datalist: JSON with a list of films for each section.

    {"training": [{"image": "a.dcm", "label": "normal"}], "validation": [...], "test": [...]}

It becomes a table with the same content: ``image`` is the column path, the section is the column
split, and every other field is its own column.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medidd.dicom.errors import CohortError
from medidd.dicom.labels.keys import is_key, plain
from medidd.dicom.labels.label_table import LabelTable
from medidd.dicom.labels.packed import text_of
from medidd.dicom.labels.splits import split_of

_IMAGE = "image"
_LEFT = frozenset({"fold", "split"})
"""Fields that are ignored: folds are drawn at training, and the section is the split."""

_HINT = 'write {"training": [{"image": "a.dcm", "label": "normal"}]}'


def read_datalist(path: Path) -> LabelTable:
    """Returns a datalist as a table.

    Raises:
        CohortError: the file is no datalist, or an entry names no film or several films.
    """
    wrong = f"the list of labels is no JSON in UTF-8; {_HINT}"
    text = text_of(path, wrong)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise CohortError(wrong) from None
    entries = list(_entries(found))
    if not entries:
        raise CohortError(
            f"the list of labels has no section training, validation or test; {_HINT}"
        )
    fields = _fields(entries)
    lost = sum(not _finds(entry) for entry, _ in entries)
    if lost:
        raise CohortError(
            f"{lost} entries of the list of labels do not name one image each; "
            "give each film its own entry with an image"
        )
    return LabelTable(
        tuple("path" if field == _IMAGE else field for field in (*fields, "split")),
        tuple((*(_cell(entry.get(field)) for field in fields), split) for entry, split in entries),
    )


def _entries(found: Any) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yields each entry with its split; an entry that is only a path has no label."""
    if not isinstance(found, dict):
        return
    for section, films in found.items():
        split = split_of(section)
        if split and isinstance(films, list):
            for film in films:
                yield (film if isinstance(film, dict) else {_IMAGE: film}), split


def _fields(entries: list[tuple[Mapping[str, Any], str]]) -> list[str]:
    fields = dict.fromkeys(field for entry, _ in entries for field in entry)
    given = [field for field in fields if plain(field) not in _LEFT]
    return [field for field in given if not (plain(field) == "path" and _IMAGE in fields)]


def _finds(entry: Mapping[str, Any]) -> bool:
    if _IMAGE in entry:
        return bool(cell := _cell(entry[_IMAGE])) and "|" not in cell
    return any(is_key(field) and entry[field] for field in entry)


def _cell(value: Any) -> str:
    """Returns a value as a cell's text: a list as A|B, 1.0 and true as 1, an object as ''."""
    if isinstance(value, list):
        return "|".join(_cell(one) for one in value)
    if value is None or isinstance(value, dict):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(int(value) if isinstance(value, bool) else value).strip()
