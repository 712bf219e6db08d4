"""Identifiers as tokens, and tokens as keyed hashes.

medidd can check whether a patient's identifier is in outgoing text without keeping any identifier:
it hashes every token of the text with the cohort's key and looks for it among the hashes of the
cohort's own tokens. Both sides must split text into tokens in the same way, so the code for it is
only here.
"""

import hmac
import re
import unicodedata
from collections.abc import Iterable

_SHORTEST = 4
_STRETCH = re.compile(r"[^\s\x00-\x1f\x7f]+")
_UID = re.compile(r"\d+(\.\d+)+")
_UID_PART = 10  # digits; shorter parts of a UID are registered roots that many hospitals share
_GENERIC = frozenset(
    {"CENTER", "CENTRE", "CLINIC", "CLINICAL", "DEPARTMENT", "GENERAL", "HEALTH", "HOSPITAL"}
    | {"IMAGING", "INSTITUTE", "KLINIKUM", "MEDICAL", "RADIOLOGY", "UNIVERSITY"}
)  # common in hospitals' names, and in the text of every release


def tokens_of(text: str) -> set[str]:
    """Returns every token of ``text`` that could be an identifier, in upper case.

    These are the whole text, the pieces between white space or control characters, the runs of
    letters, digits, dots and hyphens in it, and its alphanumeric parts. Each is also taken without
    punctuation, and parts also without leading zeros, which spreadsheets drop. Tokens shorter than
    four bytes of UTF-8 do not count: two ideographs can be a name, two Latin letters cannot. An
    identifier that is joined to other letters or digits is not found.
    """
    text = unicodedata.normalize("NFKC", text).upper().strip()
    runs = (run.strip(".-") for run in re.findall(r"[\w.-]+", text))
    parts = re.findall(r"[^\W_]+", text)
    found = {text, *_STRETCH.findall(text), *runs, *parts, *(part.lstrip("0") for part in parts)}
    found |= {"".join(re.findall(r"[^\W_]+", token)) for token in found}
    return {token for token in found if len(token.encode(errors="replace")) >= _SHORTEST}


def tokens_of_identifiers(values: Iterable[str]) -> set[str]:
    """Returns the tokens by which a cohort's identifiers ``values`` are recognised.

    As ``tokens_of``, but without tokens that many people share: short parts of UIDs, and words such
    as "hospital".
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
    return hmac.digest(key, token.encode(errors="replace"), "sha256").hex()[:16]
