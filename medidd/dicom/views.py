"""The view of a film, from the element that says it best, in the words of several languages.

Names are the defined terms of View Position (PS3.3 C.8.11.5.1). Codes are those of the views of
projection radiography (PS3.16 CID 4010); old films write them in SNOMED's former coding. Where
neither is understood, what the device and its operator call series and protocol is asked.
"""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom import Dataset

TERMS = ("AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO")
"""Defined terms: antero-posterior, postero-anterior, left and right lateral, decubitus, oblique."""

LATERAL = "LATERAL"
"""A lateral view without a side; as a choice it includes LL and RL."""

FRONTAL = "FRONTAL"
"""A frontal view without a direction; as a choice it includes AP and PA."""

CHOICES = (*TERMS, LATERAL, FRONTAL)
"""Views that can be asked for."""

FIELDS = (
    "ViewPosition",
    "ViewCodeSequence",
    "SeriesDescription",
    "ProtocolName",
    "AcquisitionProtocolDescription",
    "AcquisitionDeviceProcessingDescription",
    "AcquisitionDeviceProcessingCode",
)
"""Elements that are asked, in this order; the last two are where Fujifilm and others write a view.

Descriptions of the study or of the procedure are not asked: they are the same for all its films.
"""

_OTHER = "another view"
_SIDES = {LATERAL: frozenset({"LL", "RL"}), FRONTAL: frozenset({"AP", "PA"})}

_OTHERS = (
    "399242004 399312000 399061009 399196006 399162004 399335002 399160007 399132005 "
    "399352003 260427002 399099002 399135007 399184004 399006002 260426006 399368009 "
    "399260004 399004004 399225005 399288005 399182000 260499007 399351005 399316002 "
    "399272005 399071006 399059000 399356000 399236003 399038007 399325008 399255003 "
    "399110001 119376003 399360002"
)
"""Codes of the other views of CID 4010."""

_CODES = {
    **dict.fromkeys(("399348003", "R-10206"), "AP"),
    **dict.fromkeys(("272479007", "R-40888", "R-10214"), "PA"),
    **dict.fromkeys(("399173006", "R-10236"), "LL"),
    **dict.fromkeys(("399198007", "R-10232"), "RL"),
    **dict.fromkeys(("399067008", "R-102CD"), LATERAL),
    "399033003": FRONTAL,
    **dict.fromkeys(_OTHERS.split(), _OTHER),
}

_WORDS = {view: view for view in CHOICES} | {
    "LLAT": "LL",
    "RLAT": "RL",
    # English, German, French, Italian, Spanish and Portuguese, Dutch
    **dict.fromkeys(("LAT", "LATERO", "LATEROLATERAL"), LATERAL),
    **dict.fromkeys(("SEITL", "SEITLICH", "SEITLICHE", "SEITLICHER", "SEITLICHES"), LATERAL),
    **dict.fromkeys(("PROFIL", "LATERALE", "LATERALES", "LATERAUX"), LATERAL),
    **dict.fromkeys(("PROFILO", "LATERALI", "LATEROLATERALE"), LATERAL),
    **dict.fromkeys(("PERFIL", "LATERAIS"), LATERAL),
    **dict.fromkeys(
        ("LATERAAL", "ZIJDELINGS", "ZIJDELINGSE", "DWARS", "DWARSE", "PROFIEL"), LATERAL
    ),
    **dict.fromkeys(("FRN", "FACE", "FRONTALE", "FRONTALES", "FRENTE", "FRONTAAL"), FRONTAL),
    **dict.fromkeys(("OBL", "OBLIQUE", "OBLIQUES", "SCHRAG", "SCHRAGE", "SCHRAEG"), _OTHER),
    **dict.fromkeys(("OBLIQUA", "OBLIQUO", "OBLICUA", "OBLICUO", "SCHUIN", "SCHUINE"), _OTHER),
    **dict.fromkeys(("LAO", "RAO", "LPO", "RPO", "AXIAL", "AXIALE", "AXIAAL", "MLO"), _OTHER),
    **dict.fromkeys(("TANGENTIAL", "CRANIOCAUDAL", "CAUDOCRANIAL"), _OTHER),
}

_BETWEEN = r"[\s.\-/_>\u2013\u2192]"  # also a dash and an arrow
_ENDING = r"(?:ERO|ERIO|ERIOR|ERIORE|ERIEUR|ERIEURE)"
_BACK = rf"(?:POST{_ENDING}|DORSO|DORSAL|ACHTER(?:WAARTSE?)?)"
_FRONT = rf"(?:ANT{_ENDING}|VENTRO|VENTRAL|VOOR(?:WAARTSE?)?)"
_PHRASES = tuple(
    (re.compile(rf"(?<![A-Z]){pattern}(?![A-Z])"), f" {view} ")
    for pattern, view in (
        (rf"{_BACK}{_BETWEEN}*(?:{_FRONT}|ANT)", "PA"),
        (rf"{_FRONT}{_BETWEEN}*(?:{_BACK}|POST)", "AP"),
        (rf"POST{_BETWEEN}*ANT", "PA"),
        (rf"ANT{_BETWEEN}*POST", "AP"),
        # Not with a space alone: a film is taken post anterior fusion.
        (rf"POST[.\-/_>]\s*{_FRONT}", "PA"),
        (rf"ANT[.\-/_>]\s*{_BACK}", "AP"),
        (rf"P{_BETWEEN}+A", "PA"),
        (rf"A{_BETWEEN}+P", "AP"),
        (r"L[.\-/]\s?L", "LL"),
        (r"R[.\-/]\s?L", "RL"),
    )
)


def view_of(film: Dataset) -> str | None:
    """Returns the view's name, '' if the film does not give it, None if it has no name here.

    The first of ``FIELDS`` that is understood says it. One that names two views does not.
    """
    for field in FIELDS:
        found = _coded(film) if field == "ViewCodeSequence" else _named(_text(film, field))
        if found:
            return None if found == _OTHER else found
    return ""


def matches(view: str, wanted: tuple[str, ...]) -> bool | None:
    """Whether a view is among the choices; None if its missing side or direction decides that."""
    if view in wanted or any(view in _SIDES.get(choice, ()) for choice in wanted):
        return True
    sides = _SIDES.get(view, frozenset()) & {*wanted}
    return (sides == _SIDES[view] or None) if sides else False


def _coded(film: Dataset) -> str:
    """Returns the view of the first coded item that is understood, by its code or its meaning."""
    items: Iterable[Dataset] = ()
    with suppress(Exception):  # pydicom raises nearly every type
        items = film.get("ViewCodeSequence") or ()
    for item in items:
        code = _text(item, "CodeValue").strip().upper()
        if found := _CODES.get(code) or _named(_text(item, "CodeMeaning")):
            return found
    return ""


def _named(text: str) -> str:
    """Returns the one view that words in any case, with or without dots, name, else ''."""
    if not text:
        return ""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)  # ThoraxPA
    text = unicodedata.normalize("NFKD", text).upper()
    text = "".join(sign for sign in text if not unicodedata.combining(sign))
    for phrase, view in _PHRASES:
        text = phrase.sub(view, text)
    words = re.findall(r"[A-Z]+", text)
    found = {_WORDS[word] for word in words if word in _WORDS}
    if LATERAL in found and any(word.startswith("DECUBIT") for word in words):
        return ""
    for view, sides in _SIDES.items():
        if found & sides:
            found.discard(view)
    return found.pop() if len(found) == 1 else ""


def _text(found: Dataset, keyword: str) -> str:
    """Returns an element as text, '' if it cannot be read: a description must not cost a film."""
    with suppress(Exception):
        return str(found.get(keyword) or "")
    return ""
