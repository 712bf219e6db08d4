"""A DICOM file that leaves shows a synthetic image; anything else in it is found."""

import struct
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from pydicom import Dataset, FileMetaDataset, dcmread
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from privacy.gates.formats import HiddenError
from privacy.gates.secondary_capture import WORDS, capture

OWN = tuple(f"2.25.{10**30 + n}" for n in range(4))
LEVELS = np.arange(12 * 10, dtype=np.uint8).reshape(12, 10) * 2
Change = Callable[[Dataset], object]


def synthetic() -> Dataset:
    """What a capture holds, written down a second time, from the standard's tables."""
    made, equipment, purpose = Dataset(), Dataset(), Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.ImplementationClassUID = OWN[3]
    made.file_meta.ImplementationVersionName = "MEDIDD"
    inside = {"CodeValue", "CodingSchemeDesignator", "CodeMeaning"}
    for keyword in WORDS.keys() - inside - {"ContributionDescription", "ImplementationVersionName"}:
        setattr(made, keyword, WORDS[keyword])
    for keyword in inside:
        setattr(purpose, keyword, WORDS[keyword])
    equipment.Manufacturer = WORDS["Manufacturer"]
    equipment.ContributionDescription = WORDS["ContributionDescription"]
    equipment.SoftwareVersions = made.SoftwareVersions = "0.1.0"
    equipment.PurposeOfReferenceCodeSequence = Sequence([purpose])
    made.ContributingEquipmentSequence = Sequence([equipment])
    made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID = OWN[:3]
    made.PatientID, made.InstanceNumber = "SYN-7", 8
    for keyword in ("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"):
        setattr(made, keyword, None)
    for keyword in ("PatientBirthDate", "PatientSex", "SeriesNumber", "PatientOrientation"):
        setattr(made, keyword, None)
    made.StudyID = made.Laterality = None
    made.Rows, made.Columns = LEVELS.shape
    made.SamplesPerPixel, made.PixelRepresentation = 1, 0
    made.BitsAllocated, made.BitsStored, made.HighBit = 8, 8, 7
    made.PixelData = LEVELS.tobytes()
    made["PixelData"].VR = "OB"
    return made


def written(found: Dataset) -> bytes:
    stream = BytesIO()
    found.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) >= 1
    return data.replace(old, new, 1)


def test_the_levels_of_a_capture_are_read() -> None:
    np.testing.assert_array_equal(capture(written(synthetic()), frozenset(OWN)), LEVELS)


CHANGES: dict[str, Change] = {
    "an element more": lambda d: setattr(d, "PatientComments", "Miller"),
    "an empty element more": lambda d: setattr(d, "PatientAge", None),
    "a private element": lambda d: d.private_block(0x0011, "Miller", create=True),
    "a sequence more": lambda d: setattr(d, "SourceImageSequence", Sequence([])),
    "an element within an item": lambda d: setattr(
        d.ContributingEquipmentSequence[0], "InstitutionName", "House"
    ),
    "an item more": lambda d: d.ContributingEquipmentSequence.append(
        d.ContributingEquipmentSequence[0]
    ),
    "no item": lambda d: setattr(d, "ContributingEquipmentSequence", Sequence([])),
    "an element less": lambda d: delattr(d, "SyntheticData"),
    "another name": lambda d: setattr(d, "PatientName", "DOE^JANE"),
    "another number": lambda d: setattr(d, "PatientID", "0815"),
    "a sex": lambda d: setattr(d, "PatientSex", "F"),
    "a date": lambda d: setattr(d, "StudyDate", "20240131"),
    "a study's UID": lambda d: setattr(d, "StudyInstanceUID", "1.2.276.0.7230010.3"),
    "a UID made elsewhere": lambda d: setattr(d, "StudyInstanceUID", "2.25.8"),
    "an implementation's UID": lambda d: setattr(
        d.file_meta, "ImplementationClassUID", "1.2.826.0.1.3680043.8.498.1"
    ),
    "words": lambda d: setattr(d, "DerivationDescription", "of Miller"),
    "a version that is none": lambda d: setattr(d, "SoftwareVersions", "0.1.Miller"),
    "another maker": lambda d: setattr(d, "Manufacturer", "medidd"),
    "a sender": lambda d: setattr(d.file_meta, "SourceApplicationEntityTitle", "MILLER"),
    "text over the end of a value": lambda d: setattr(d, "PatientID", "SYN-77 "),
    "a radiograph": lambda d: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.1.1"),
    "inverted": lambda d: setattr(d, "PhotometricInterpretation", "MONOCHROME1"),
    "more bits": lambda d: setattr(d, "BitsStored", 16),
    "fewer pixels": lambda d: setattr(d, "Rows", 11),
    "more pixels": lambda d: setattr(d, "PixelData", LEVELS.tobytes() + bytes(2)),
    "words for bytes": lambda d: setattr(d["PixelData"], "VR", "OW"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_what_an_element_adds_or_lacks_is_found(kind: str) -> None:
    found = synthetic()
    CHANGES[kind](found)
    with pytest.raises(HiddenError) as fault:
        capture(written(found), frozenset(OWN))
    assert "Miller" not in str(fault.value)


WHOLE = written(synthetic())
NEIGHBORS = tuple(b"\x28\0" + element + b"\3CS\2\0NO" for element in (b"\1", b"\2"))
BYTES = {
    "another order": replaced(WHOLE, b"".join(NEIGHBORS), b"".join(NEIGHBORS[::-1])),
    "a preamble": b"MZ" + WHOLE[2:],
    "no preamble": WHOLE[128:],
    "bytes at the end": WHOLE + b"\0\0",
    "an element at the end": WHOLE + struct.pack("<HH2sHI", 0xFFFC, 0xFFFC, b"OB", 0, 0),
    "cut": WHOLE[:-1],
    "cut in a head": WHOLE[:150],
    "a length that lies": WHOLE[:140] + b"\xc3" + WHOLE[141:],
    "a reserved byte": replaced(WHOLE, b"OB\0\0\x78", b"OB\0\1\x78"),
    "a reserved byte of a sequence": replaced(WHOLE, b"SQ\0\0", b"SQ\1\0"),
    "another padding": replaced(WHOLE, b"SYN-7 ", b"SYN-7\0"),
    "another kind": replaced(WHOLE, b"LO\x06\x00SYN-7 ", b"SH\x06\x00SYN-7 "),
    "two names": replaced(WHOLE, OWN[2].encode(), OWN[1].encode()),
    "nothing": b"",
    "no DICOM": b"\x89PNG\r\n\x1a\n" * 99,
}


@pytest.mark.parametrize("kind", BYTES)
def test_bytes_that_readers_skip_are_found(kind: str) -> None:
    with pytest.raises(HiddenError):
        capture(BYTES[kind], frozenset(OWN))


def test_an_odd_number_of_pixels_is_padded_by_a_zero_and_nothing_else() -> None:
    found = synthetic()
    odd = LEVELS[:11, :9].copy()
    found.Rows, found.Columns = odd.shape
    found.PixelData = odd.tobytes() + b"\0"
    np.testing.assert_array_equal(capture(written(found), frozenset(OWN)), odd)
    found.PixelData = odd.tobytes() + b"\1"
    with pytest.raises(HiddenError):
        capture(written(found), frozenset(OWN))


def test_no_other_transfer_syntax_is_understood() -> None:
    found = dcmread(BytesIO(WHOLE))
    found.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    stream = BytesIO()
    found.save_as(stream, implicit_vr=True, little_endian=True)
    with pytest.raises(HiddenError):
        capture(stream.getvalue(), frozenset(OWN))


def test_no_byte_but_those_of_numbers_and_pixels_is_free() -> None:
    """Whatever byte is changed, the file is refused, or shows other pixels or another number.

    Here a number grows where a blank made its length even: two versions and two numbers.
    """
    free = set()
    for at in range(len(WHOLE)):
        data = bytearray(WHOLE)
        data[at] ^= 0x15
        try:
            levels = capture(bytes(data), frozenset(OWN))
        except HiddenError:
            continue
        if np.array_equal(levels, LEVELS):
            free.add(at)
    assert [WHOLE[at - 1 : at + 1] for at in sorted(free)] == [b"7 ", b"0 ", b"0 ", b"8 "]
    assert capture(replaced(WHOLE, b"SYN-7", b"SYN-9"), frozenset(OWN)).any()
