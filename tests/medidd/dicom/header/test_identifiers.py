"""Tokens are found on both sides, however an identifier is written."""

import pytest

from medidd.dicom.header.identifiers import keyed, tokens_of, tokens_of_identifiers

UID = "1.2.826.0.1.3680043.8.498.12345678901234567890"


@pytest.mark.parametrize(
    ("value", "outgoing"),
    [
        ("ZZPHI-0012", "a file of zzphi-0012."),
        ("ZZPHI-0012", '{"id":"ZZPHI-0012"}'),
        ("ZZPHI-0012", "ZZPHI0012"),
        ("ZZPHI 12/7", "see ZZPHI 7"),
        ("DOE^JANE", "from Jane"),
        ("MÜLLER^ANNA", "Mu\u0308ller"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "patient 山田"),
        ("00012345", "12345"),
        ("12345", "00012345"),
        ("19610203", "born 1961-02-03"),
        (UID, f"uid={UID}."),
        (UID, f"UI\x30\x00{UID}\x00\x08\x00"),
        (UID, "12345678901234567890"),
        ("ZZPHI General Hospital", "zzphi_mask.png"),
    ],
)
def test_an_identifier_is_found_in_outgoing_text(value: str, outgoing: str) -> None:
    assert tokens_of_identifiers([value]) & tokens_of(outgoing)


@pytest.mark.parametrize(
    ("value", "outgoing"),
    [
        (UID, "1.2.840.10008.5.1.4.1.1.7"),
        (UID, "1.2.826.0.1.3680043.8.498.9"),
        ("ZZPHI General Hospital", "radiographs of a general hospital"),
        ("7", "7 images per class"),
        ("LI^NA", "in na li"),
    ],
)
def test_what_strangers_share_is_no_identifier(value: str, outgoing: str) -> None:
    assert not tokens_of_identifiers([value]) & tokens_of(outgoing)


def test_a_hash_depends_on_the_key() -> None:
    assert keyed(b"one", "ZZPHI") != keyed(b"two", "ZZPHI")
    assert len(keyed(b"one", "ZZPHI")) == 16
