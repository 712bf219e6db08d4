"""Identifiers as tokens, and tokens as keyed hashes.

Whether a patient's identifier stands in what leaves the house can be asked without keeping any:
hash every token of the outgoing text with the cohort's key and look it up among the hashes of the
cohort's own tokens. Both sides must cut text alike, which is why the cutting lives here, once.
"""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable

_SHORTEST = 4
_STRETCH = re.compile(r"[^\s\x00-\x1f\x7f]+")
_UID = re.compile(r"\d+(\.\d+)+")
_UID_PART = 10  # digits; shorter parts of a UID are registered roots that strangers share
_GENERIC = frozenset(
    {"CENTER", "CENTRE", "CLINIC", "CLINICAL", "DEPARTMENT", "GENERAL", "HEALTH", "HOSPITAL"}
    | {"IMAGING", "INSTITUTE", "KLINIKUM", "MEDICAL", "RADIOLOGY", "UNIVERSITY"}
)  # stand in every other hospital's name, and in the text beside every release


def tokens_of(text: str) -> set[str]:
    """Returns every token of ``text`` that could be an identifier, in upper case.

    These are the whole text, its stretches between white space or control characters, the runs of
    letters, digits, dots and hyphens in it, and its alphanumeric parts; each also without
    punctuation, and parts without leading zeros, which spreadsheets drop. Nothing shorter than four
    bytes of UTF-8 counts: two ideographs are a name, two Latin letters are not. An identifier that
    is glued to other letters or digits is not found.
    """
    text = unicodedata.normalize("NFKC", text).upper().strip()
    runs = (run.strip(".-") for run in re.findall(r"[\w.-]+", text))
    parts = re.findall(r"[^\W_]+", text)
    found = {text, *_STRETCH.findall(text), *runs, *parts, *(part.lstrip("0") for part in parts)}
    found |= {"".join(re.findall(r"[^\W_]+", token)) for token in found}
    return {token for token in found if len(token.encode(errors="replace")) >= _SHORTEST}


def tokens_of_identifiers(values: Iterable[str]) -> set[str]:
    """Returns the tokens by which the identifiers ``values`` of a cohort are recognised.

    As ``tokens_of``, without what many strangers share: short parts of UIDs, and words such as
    "hospital".
    """
    found: set[str] = set()
    for value in values:
        if _UID.fullmatch(value):
            parts = {part for part in value.split(".") if len(part) >= _UID_PART}
            found |= {value, value.replace(".", ""), *parts}
        else:
            found |= tokens_of(value)
    return found - _GENERIC


def keyed(key: bytes, token: str) -> str:
    """Returns HMAC-SHA256 of ``token`` under ``key``, its first 16 hexadecimal digits."""
    return hmac.new(key, token.encode(errors="replace"), hashlib.sha256).hexdigest()[:16]
