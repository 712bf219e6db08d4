"""The view of a film: View Position, else the coded view, else the series' description.

Names are the defined terms of View Position (PS3.3 C.8.11.5.1). Codes are those of the views of
projection radiography (PS3.16 CID 4010); old films write them in SNOMED's former coding.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset

TERMS = ("AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO")
"""Defined terms: antero-posterior, postero-anterior, left and right lateral, decubitus, oblique."""

LATERAL = "LATERAL"
"""A lateral view without a side; as a choice it includes LL and RL."""

CHOICES = (*TERMS, LATERAL)
"""Views that can be asked for."""

_CODES = {
    "399348003": "AP",
    "R-10206": "AP",
    "272479007": "PA",
    "R-40888": "PA",
    "R-10214": "PA",
    "399173006": "LL",
    "R-10236": "LL",
    "399198007": "RL",
    "R-10232": "RL",
    "399067008": LATERAL,
    "R-102CD": LATERAL,
}

_WORDS = {view: view for view in CHOICES} | {
    "LAT": LATERAL,
    "POSTEROANTERIOR": "PA",
    "ANTEROPOSTERIOR": "AP",
}


def view_of(film: Dataset) -> str | None:
    """Returns the view's name, '' if the film does not give it, None if it has no name here.

    A description that names two views counts as none.
    """
    position = str(film.get("ViewPosition") or "").strip().upper()
    if position:
        return _WORDS.get(position)
    for item in film.get("ViewCodeSequence") or ():
        if code := str(item.get("CodeValue") or "").strip().upper():
            return _CODES.get(code)
    words = re.findall(r"[A-Z]+", str(film.get("SeriesDescription") or "").upper())
    found = {_WORDS[word] for word in words if word in _WORDS}
    return found.pop() if len(found) == 1 else ""


def matches(view: str, wanted: tuple[str, ...]) -> bool:
    """Whether a view is among the choices."""
    return view in wanted or (LATERAL in wanted and view in ("LL", "RL"))
