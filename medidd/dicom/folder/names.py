"""By which names a film is found again in another cohort.

A film's names are keyed hashes of its PatientID with the issuer, its study and its object. If its
header names an issuer, the PatientID alone is a name as well, but a marked one: it finds only films
without an issuer. So one ID of two hospitals stays two patients, and a film whose issuer is missing
is still found (PS3.3 C.7.1.1, type 3).
"""

from collections.abc import Iterable

from medidd.dicom.folder.evidence import Evidence

_MARK = "+"


def marked(evidence: Evidence) -> str:
    """Returns the name by which films without an issuer find a film, '' if it has no issuer."""
    return f"{evidence.number}{_MARK}" if evidence.issuer else ""


def sought(names: Iterable[str]) -> set[str]:
    """Returns the names of another cohort's films that show a patient with one of ``names``."""
    plain, bare = set[str](), set[str]()
    for name in names:
        (bare if name.endswith(_MARK) else plain).add(name.removesuffix(_MARK))
    return plain | bare | {f"{name}{_MARK}" for name in plain}
