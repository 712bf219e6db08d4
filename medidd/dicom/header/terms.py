"""Words of a header that may be shown, because the standard or common usage defines them.

Devices and people write anything into coded elements, even patients' names. So a word that is not
listed here counts as "other" and is never shown.
"""

from pydicom.uid import UID

OTHER = "other"
NONE = "not said"

MODALITIES = frozenset(
    {"AR", "AU", "BDUS", "BI", "BMD", "CR", "CT", "DG", "DMS", "DOC"}
    | {"DX", "ECG", "EPS", "ES", "FID", "GM", "HC", "HD", "IO", "IVOCT"}
    | {"IVUS", "KER", "KO", "LEN", "LS", "M3D", "MG", "MR", "NM", "OAM"}
    | {"OCT", "OP", "OPM", "OPT", "OPV", "OSS", "OT", "PLAN", "PR", "PT"}
    | {"PX", "REG", "RESP", "RF", "RG", "RTDOSE", "RTIMAGE", "RTPLAN", "RTRECORD", "RTSTRUCT"}
    | {"RWV", "SEG", "SM", "SMR", "SR", "SRF", "STAIN", "TG", "US", "VA"}
    | {"XA", "XC"}
)
"""Defined terms of Modality (PS3.3 C.7.3.1.1.1)."""

PHOTOMETRIC = frozenset(
    {"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "HSV", "ARGB", "CMYK", "XYB"}
    | {"YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT"}
)
"""Defined terms of Photometric Interpretation (PS3.3 C.7.6.3.1.2)."""


def known(word: str, terms: frozenset[str]) -> str:
    """Returns the word if it is one of ``terms``, else "other", or "not said" if it is empty."""
    word = word.strip().upper()
    return word if word in terms else (OTHER if word else NONE)


def number(word: str, most: int) -> str:
    """Returns a number from 1 to ``most`` as it is written."""
    if not word:
        return NONE
    digits = word.isascii() and word.isdigit() and len(word) <= len(str(most))
    return str(int(word)) if digits and 1 <= int(word) <= most else OTHER


def syntax(uid: str) -> str:
    """Returns the name of a transfer syntax (PS3.6 annex A)."""
    if not uid:
        return NONE
    found = UID(uid)
    registered = not found.is_private and found.type == "Transfer Syntax"
    return found.name if registered else OTHER
