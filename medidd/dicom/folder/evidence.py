"""What one header says about whose film it is, without a word that names anybody."""

import sys
from dataclasses import dataclass
from functools import partial
from typing import Literal

from medidd.dicom.header.header import Header
from medidd.dicom.header.identifiers import keyed
from medidd.dicom.header.placeholders import is_placeholder, is_zeros

Doubt = Literal["", "placeholder", "zeros"]


@dataclass(frozen=True, repr=False, slots=True)
class Evidence:
    """What a header says about whose film it is: keyed hashes, '' where it says nothing.

    Attributes:
        person: issuer and PatientID as one.
        number: PatientID alone.
        issuer: IssuerOfPatientID.
        study: StudyInstanceUID.
        accession: AccessionNumber.
        row: the key by which the table of labels finds the film, if a key may find several films.
        doubt: whether the PatientID looks like a placeholder.
    """

    person: str
    number: str
    issuer: str
    study: str
    accession: str = ""
    row: str = ""
    doubt: Doubt = ""


def evidence_of(
    header: Header, key: bytes, *, column: str | None = None, row: str = ""
) -> Evidence:
    """Returns what a header says about whose film it is.

    Args:
        header: the header.
        key: the key for hashing identifiers.
        column: the patient that the user's column names, '' for none; None without such a column,
            then PatientID with its issuer counts.
        row: the key by which the table of labels finds the film, '' if it finds no other film.
    """
    links = header.links
    number, issuer = (links["PatientID"], header.issuer) if column is None else (column, "")
    doubt: Doubt = "zeros" if is_zeros(number) else "placeholder" if is_placeholder(number) else ""
    accession = links.get("AccessionNumber", "")
    if is_placeholder(accession) or is_zeros(accession):
        accession = ""
    hashed = partial(_hashed, key)
    bare = hashed(f"|{number}") if number else ""
    return Evidence(
        person=hashed(f"{issuer}|{number}") if number and issuer else bare,
        number=bare,
        issuer=hashed(f"issuer|{issuer}") if number and issuer else "",
        study=hashed(f"study|{links['StudyInstanceUID']}"),
        accession=hashed(f"accession|{accession}") if accession else "",
        row=hashed(f"row|{row}") if row else "",
        doubt=doubt,
    )


def _hashed(key: bytes, text: str) -> str:
    """Returns a keyed hash, kept in memory once for all films that have it."""
    return sys.intern(keyed(key, text))
