"""PatientIDs that name nobody: what de-identification and devices write in place of an ID.

Equal placeholders say nothing about whose films they are. PS3.15 E.3 lets a tool replace an ID by
any dummy value, so the list can only hold words that are no ID in any hospital.
"""

import re
import unicodedata

_WORDS = frozenset(
    {"anon", "anonym", "anonyme", "anonymous", "anonymized", "anonymised", "anonymisiert"}
    | {"anonymise", "anonimo", "anonimizado", "anonimizzato", "anonymouspatient", "anonymus"}
    | {"deidentified", "deidentifie", "pseudonymized", "redacted", "removed", "deleted", "masked"}
    | {"hidden", "blank", "empty", "dummy", "default", "unknown", "unbekannt", "inconnu"}
    | {"desconocido", "unnamed", "noname", "noid", "nopatientid", "notavailable", "none", "null"}
    | {"nil", "nan", "na", "test", "patient", "patientid", "id"}
)
_ONE_LETTER = re.compile(r"x{2,}")


def is_placeholder(text: str) -> bool:
    """Tells whether an ID is a word that names nobody, such as ANONYMOUS, or has no letter at all.

    Case, accents, spaces and punctuation do not matter. Zeros are another matter, see ``is_zeros``.
    """
    if not text:
        return False
    plain = "".join(
        letter for letter in unicodedata.normalize("NFKD", text).casefold() if letter.isalnum()
    )
    return not plain or plain in _WORDS or bool(_ONE_LETTER.fullmatch(plain))


def is_zeros(text: str) -> bool:
    """Tells whether an ID is 0, 000 and so on: a placeholder, or the first of numbered patients."""
    return bool(text) and not text.strip("0")
