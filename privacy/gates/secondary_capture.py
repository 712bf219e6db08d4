"""A DICOM file read to its last byte: it must hold a synthetic image and nothing else.

DICOM readers skip private elements, preambles and everything else they do not know, and a name can
be in any of a thousand elements. So nothing is skipped here. Every element must be in the table
below, with a value from it, in the order of PS3.5 7.1, explicit VR little endian (PS3.5 7.1.2).
"""

import re
import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from privacy.gates.formats import LARGEST_PICTURE, HiddenError

BITS = 8
"""Bits of a level."""

WORDS = {
    "ImplementationVersionName": "MEDIDD",
    "ImageType": "DERIVED\\SECONDARY",
    "SyntheticData": "YES",
    "Modality": "OT",
    "ConversionType": "SYN",
    "Manufacturer": "medidd project",
    "PatientName": "SYNTHETIC^MEDIDD",
    "PatientIdentityRemoved": "YES",
    "DeidentificationMethod": "Synthetic image of no patient",
    "ContentQualification": "RESEARCH",
    "DerivationDescription": "Dataset distillation; a synthetic image, not for diagnosis",
    "BurnedInAnnotation": "NO",
    "RecognizableVisualFeatures": "NO",
    "PhotometricInterpretation": "MONOCHROME2",
    "LossyImageCompression": "00",
    "CodeValue": "109100",
    "CodingSchemeDesignator": "DCM",
    "CodeMeaning": "Synthesizing Equipment",
    "ContributionDescription": "Made the image by dataset distillation",
}
"""Elements, by keyword, whose value is the same in every file."""

Tags = tuple[int, ...]
"""The path to an element: the tags of the sequences that contain it, and its own tag."""

_UID = r"2\.25\.[1-9]\d{0,38}"
_CAPTURE = r"1\.2\.840\.10008\.5\.1\.4\.1\.1\.7"
_VERSION = r"\d{1,4}(?:\.\d{1,4}){0,3}(?:(?:a|b|rc|\.dev|\.post)\d{1,4})?"
_NUMBER = r"\d{1,6}"


def _word(keyword: str) -> str:
    return re.escape(WORDS[keyword])


_TABLE: dict[Tags, tuple[bytes, str]] = {
    (0x00020002,): (b"UI", _CAPTURE),
    (0x00020003,): (b"UI", _UID),
    (0x00020010,): (b"UI", r"1\.2\.840\.10008\.1\.2\.1"),
    (0x00020012,): (b"UI", _UID),
    (0x00020013,): (b"SH", _word("ImplementationVersionName")),
    (0x00080008,): (b"CS", _word("ImageType")),
    (0x00080016,): (b"UI", _CAPTURE),
    (0x00080018,): (b"UI", _UID),
    (0x0008001C,): (b"CS", _word("SyntheticData")),
    (0x00080020,): (b"DA", ""),
    (0x00080030,): (b"TM", ""),
    (0x00080050,): (b"SH", ""),
    (0x00080060,): (b"CS", _word("Modality")),
    (0x00080064,): (b"CS", _word("ConversionType")),
    (0x00080070,): (b"LO", _word("Manufacturer")),
    (0x00080090,): (b"PN", ""),
    (0x00082111,): (b"ST", _word("DerivationDescription")),
    (0x00100010,): (b"PN", _word("PatientName")),
    (0x00100020,): (b"LO", f"SYN-{_NUMBER}"),
    (0x00100030,): (b"DA", ""),
    (0x00100040,): (b"CS", ""),
    (0x00120062,): (b"CS", _word("PatientIdentityRemoved")),
    (0x00120063,): (b"LO", _word("DeidentificationMethod")),
    (0x00181020,): (b"LO", _VERSION),
    (0x00189004,): (b"CS", _word("ContentQualification")),
    (0x0018A001,): (b"SQ", ""),
    (0x0018A001, 0x00080070): (b"LO", _word("Manufacturer")),
    (0x0018A001, 0x00181020): (b"LO", _VERSION),
    (0x0018A001, 0x0018A003): (b"ST", _word("ContributionDescription")),
    (0x0018A001, 0x0040A170): (b"SQ", ""),
    (0x0018A001, 0x0040A170, 0x00080100): (b"SH", _word("CodeValue")),
    (0x0018A001, 0x0040A170, 0x00080102): (b"SH", _word("CodingSchemeDesignator")),
    (0x0018A001, 0x0040A170, 0x00080104): (b"LO", _word("CodeMeaning")),
    (0x0020000D,): (b"UI", _UID),
    (0x0020000E,): (b"UI", _UID),
    (0x00200010,): (b"SH", ""),
    (0x00200011,): (b"IS", ""),
    (0x00200013,): (b"IS", _NUMBER),
    (0x00200020,): (b"CS", ""),
    (0x00200060,): (b"CS", ""),
    (0x00280004,): (b"CS", _word("PhotometricInterpretation")),
    (0x00280301,): (b"CS", _word("BurnedInAnnotation")),
    (0x00280302,): (b"CS", _word("RecognizableVisualFeatures")),
    (0x00282110,): (b"CS", _word("LossyImageCompression")),
}
"""VR and value, as a regular expression, of each text and sequence, by the tags that lead to it."""

_NUMBERS = {0x00280002: 1, 0x00280100: BITS, 0x00280101: BITS, 0x00280102: BITS - 1, 0x00280103: 0}
_ROWS, _COLUMNS, _PIXELS = 0x00280010, 0x00280011, 0x7FE00010
_LENGTH = 0x00020000
_META = {_LENGTH: (b"UL", b""), 0x00020001: (b"OB", b"\0\1")}
_LONG = (b"OB", b"OW", b"SQ")
_ITEM = 0xFFFEE000


def capture(data: bytes, own: frozenset[str]) -> NDArray[np.uint16]:
    """Returns the levels of a synthetic Secondary Capture, (H, W), 0 to 255.

    Args:
        data: the file.
        own: UIDs that were made for this export; any other UID could be that of a study.

    Raises:
        HiddenError: the file holds something else, or lacks something.
    """
    if data[:132] != bytes(128) + b"DICM":
        raise HiddenError("a DICOM file with something before its elements")
    try:
        elements = list(_elements(data[132:], ()))
    except (struct.error, ValueError) as error:
        raise HiddenError("a damaged DICOM file") from error
    found = {at: value for at, _, value in elements}
    wanted = _TABLE.keys() | {(tag,) for tag in (*_NUMBERS, *_META, _ROWS, _COLUMNS, _PIXELS)}
    if found.keys() != wanted or len(elements) != len(wanted):
        raise HiddenError("a DICOM file with elements that it need not have, or without others")
    for at, kind, value in elements:
        if not _fits(at, kind, value, own):
            raise HiddenError("a DICOM file with a value of its own")
    meta = [value for at, _, value in elements if at[0] >> 16 == 2][1:]
    length = 4 + sum(8 + len(value) for value in meta)  # the version's head is 4 bytes longer
    if found[(_LENGTH,)] != struct.pack("<I", length):
        raise HiddenError("a DICOM file with a value of its own")
    if found[(0x00020003,)] != found[(0x00080018,)]:
        raise HiddenError("a DICOM file with two names")
    (rows,) = struct.unpack("<H", found[(_ROWS,)])
    (columns,) = struct.unpack("<H", found[(_COLUMNS,)])
    pixels = found[(_PIXELS,)]
    if rows * columns > LARGEST_PICTURE or len(pixels) != rows * columns + rows * columns % 2:
        raise HiddenError("a DICOM file with more or fewer pixels than it says")
    if any(pixels[rows * columns :]):  # an odd number of pixels is padded by a zero
        raise HiddenError("a DICOM file with more pixels than it says")
    return np.frombuffer(pixels, np.uint8, rows * columns).astype(np.uint16).reshape(rows, columns)


def _elements(data: bytes, inside: Tags) -> Iterator[tuple[Tags, bytes, bytes]]:
    """Yields path, VR and value of every element; a sequence comes before its items.

    Raises:
        ValueError, struct.error: the bytes are not elements, or are in another order.
    """
    at, before = 0, 0
    while at < len(data):
        group, element = struct.unpack_from("<HH", data, at)
        tag, kind = group << 16 | element, data[at + 4 : at + 6]
        if tag <= before:
            raise ValueError("out of order")
        if kind in _LONG:
            reserved, length = struct.unpack_from("<HI", data, at + 6)
            at += 12
        else:
            (length,), reserved = struct.unpack_from("<H", data, at + 6), 0
            at += 8
        value = data[at : at + length]
        if reserved or len(value) != length:
            raise ValueError("cut short")
        at, before = at + length, tag
        if kind != b"SQ":
            yield (*inside, tag), kind, value
            continue
        yield (*inside, tag), kind, b""
        (*item, size) = struct.unpack_from("<HHI", value)
        if item != [_ITEM >> 16, _ITEM & 0xFFFF] or size != len(value) - 8:
            raise ValueError("not one item")
        yield from _elements(value[8:], (*inside, tag))


def _fits(at: Tags, kind: bytes, value: bytes, own: frozenset[str]) -> bool:
    """Tells whether an element is in the table, padded to even length and no further."""
    tag = at[-1]
    if at in _TABLE:
        wanted, pattern = _TABLE[at]
        padding = b"\0" if kind == b"UI" else b" "
        bare = value.removesuffix(padding)
        exact = len(value) % 2 == 0 and len(value) - len(bare) <= len(bare) % 2
        text = bare.decode("latin-1")
        known = pattern != _UID or text in own
        return kind == wanted and exact and known and re.fullmatch(pattern, text) is not None
    if tag in _META:
        return (kind, value) == _META[tag] or (tag == _LENGTH and kind == b"UL")
    if tag == _PIXELS:
        return kind == b"OB"
    size = kind == b"US" and len(value) == 2
    return size and (tag in (_ROWS, _COLUMNS) or value == struct.pack("<H", _NUMBERS[tag]))
