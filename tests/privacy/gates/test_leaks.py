"""G4 finds one planted identifier in every kind of file, and nothing in clean ones."""

import base64
import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
import torch
from invented_radiographs import cohort, encode, noise
from PIL import Image, PngImagePlugin
from safetensors.torch import save

from privacy import Evidence, Finding, Policy, Release, Verdict
from privacy.gates.leaks import leaks, tokens

SECRET = "KH-482913"


def scan(
    outgoing: Mapping[str, bytes],
    policy: Policy,
    own: frozenset[str] = frozenset(),
    known: frozenset[str] = frozenset({SECRET, "Müller"}),
) -> Finding:
    rng = torch.Generator().manual_seed(0)
    case = Evidence(
        noise(2, rng),
        cohort(4, rng, "IN"),
        cohort(4, rng, "OUT"),
        outgoing=outgoing,
        is_identifier=known.__contains__,
        own=own,
    )
    return leaks(case, policy, rng)


def png(**text: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, value in text.items():
        info.add_text(key, value, zip=key == "packed")
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", pnginfo=info)
    return stream.getvalue()


def chunk(kind: bytes, inside: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + inside))
    return struct.pack(">I", len(inside)) + kind + inside + check


def with_chunk(kind: bytes, inside: bytes) -> bytes:
    """Returns a picture with one more chunk before its pixels."""
    data = png()
    return data[:33] + chunk(kind, inside) + data[33:]


def jpeg(**more: bytes) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG", **more)
    return stream.getvalue()


def packed(text: bytes, bits: int = 15) -> bytes:
    """Returns a zlib stream; how it begins depends on its window of 2**bits."""
    machine = zlib.compressobj(9, zlib.DEFLATED, bits)
    return machine.compress(text) + machine.flush()


def archive(**files: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    return stream.getvalue()


def dicom(value: bytes) -> bytes:
    return bytes(128) + b"DICM\x02\x00\x00\x00UL\x04\x00\x00\x00\x00\x00" + value


XMP = f"<x:xmpmeta><rdf:li>{SECRET}</rdf:li></x:xmpmeta>".encode()
IDENTIFIERS = {
    "json": {"a.json": json.dumps({"note": f"from {SECRET}."}).encode()},
    "png text": {"a.png": png(Comment=f"id {SECRET}")},
    "png packed text": {"a.png": png(packed=f"id {SECRET} " * 9)},
    "png tEXt name": {"a.png": with_chunk(b"tEXt", SECRET.encode() + b"\0x")},
    "png zTXt": {"a.png": with_chunk(b"zTXt", b"x\0\0" + packed(SECRET.encode()))},
    "png zTXt, small window": {"a.png": with_chunk(b"zTXt", b"x\0\0" + packed(SECRET.encode(), 9))},
    "png iTXt": {"a.png": with_chunk(b"iTXt", b"x\0\0\0de\0\0" + f"Größe {SECRET}".encode())},
    "png iTXt translated name": {
        "a.png": with_chunk(b"iTXt", b"x\0\0\0de\0" + SECRET.encode() + b"\0x")
    },
    "png iTXt, packed": {"a.png": with_chunk(b"iTXt", b"x\0\1\0de\0\0" + packed(SECRET.encode()))},
    "png eXIf": {"a.png": with_chunk(b"eXIf", b"MM\0*\0\0\0\x08" + SECRET.encode() + b"\0")},
    "png eXIf in utf-16": {
        "a.png": with_chunk(b"eXIf", b"II*\0\x08\0\0\0" + SECRET.encode("utf-16-le"))
    },
    "png tIME that is none": {"a.png": with_chunk(b"tIME", SECRET.encode())},
    "png private chunk": {"a.png": with_chunk(b"prVt", SECRET.encode())},
    "png private chunk, gzip": {"a.png": with_chunk(b"prVt", gzip.compress(SECRET.encode()))},
    "png private chunk, gzip inside": {
        "a.png": with_chunk(b"prVt", b"data " + gzip.compress(SECRET.encode()))
    },
    "png trailing text": {"a.png": png() + SECRET.encode()},
    "png trailing stream": {"a.png": png() + packed(SECRET.encode())},
    "png trailing stream after bytes": {"a.png": png() + b"abc" + packed(SECRET.encode(), 12)},
    "png trailing zip": {"a.png": png() + archive(inside=SECRET)},
    "png packed text before a trailing zip": {
        "a.png": png(packed=f"id {SECRET} " * 9) + archive(a="b")
    },
    "xmp": {"a.png": with_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)},
    "xmp in utf-16": {
        "a.png": with_chunk(
            b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP.decode().encode("utf-16-be")
        )
    },
    "jpeg comment": {"a.jpg": jpeg(comment=SECRET.encode())},
    "jpeg exif": {"a.jpg": jpeg(exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0" + SECRET.encode())},
    "jpeg xmp": {"a.jpg": jpeg(xmp=XMP)},
    "base64 in lines": {
        "a.txt": base64.encodebytes(
            packed(np.random.default_rng(0).bytes(200) + b" " + SECRET.encode())
        )
    },
    "safetensors header": {"a.safetensors": save({"x": torch.rand(9)}, {"source": SECRET})},
    "safetensors body": {
        "a.safetensors": save(
            {"x": torch.tensor(list(f"  {SECRET}  ".encode()), dtype=torch.uint8)}
        )
    },
    "zip": {"a.zip": archive(inside=f"x {SECRET} y")},
    "zip entry name": {"a.zip": archive(**{f"{SECRET}.txt": "x"})},
    "gzip": {"a.gz": gzip.compress(SECRET.encode())},
    "stream in a pdf": {"a.pdf": b"%PDF stream\n" + zlib.compress(f"({SECRET})".encode())},
    "picture in html": {
        "a.html": b"<img src='data:image/png;base64,"
        + base64.b64encode(png(Comment=SECRET))
        + b"'>"
    },
    "utf-16": {"a.txt": f"patient {SECRET}".encode("utf-16-le")},
    "utf-16, big end first": {"a.txt": f"patient {SECRET}".encode("utf-16-be")},
    "utf-32, as NumPy writes": {"a.txt": f"patient {SECRET}".encode("utf-32-le")},
    "utf-32, big end first": {"a.txt": f"patient {SECRET}".encode("utf-32-be")},
    "utf-16 with its mark": {"a.txt": f"patient {SECRET}".encode("utf-16")},
    "utf-16 within bytes": {"a.bin": b"\x01\x02\x03" + SECRET.encode("utf-16-be") + b"\x07\x08"},
    "utf-16 beside zeros": {"a.bin": bytes(9) + SECRET.encode("utf-16-le") + bytes(9)},
    "part of a word": {"a.txt": f"/out/img_{SECRET}_1.png".encode()},
    "umlaut": {"a.txt": "Frau Müller".encode()},
    "umlaut in utf-16": {"a.txt": "Frau Müller".encode("utf-16-le")},
    "dicom": {"a.dcm": dicom(b"LO\x0a\x00" + SECRET.encode() + b" ")},
}
PATTERNS = {
    "DICOM UID": b'{"study": "1.2.276.0.7230010.3.1.2.8323329"}',
    "date of a DICOM attribute": b'"StudyDate": "20240131"',
    "person name": b"patient: Doe^Jane^^Dr",
    "path": b"read from /home/radiology/cases",
    "a DICOM file inside": b"PK" + dicom(b""),
}


@pytest.mark.parametrize("kind", IDENTIFIERS)
def test_an_identifier_is_found_and_never_repeated(kind: str, policy: Policy) -> None:
    finding = scan({"clean.json": b"{}"} | IDENTIFIERS[kind], policy)
    assert finding.verdict is Verdict.FAIL
    (name,) = IDENTIFIERS[kind]
    assert list(finding.details["found"]) == [name]
    for secret in (SECRET, "482913", "Müller"):
        assert secret not in str(finding)


@pytest.mark.parametrize("kind", PATTERNS)
def test_what_only_clinical_files_hold_is_found(kind: str, policy: Policy) -> None:
    finding = scan({"a.txt": PATTERNS[kind]}, policy)
    assert finding.details["found"] == {"a.txt": {kind: 1}}


def test_values_inside_a_dicom_file_are_found(policy: Policy) -> None:
    for value in (b"DA\x08\x0020240131", b"PN\x08\x00DOE^JANE", b"UI\x12\x001.2.276.0.7230010\x00"):
        assert scan({"a.dcm": dicom(value)}, policy).verdict is Verdict.FAIL


def test_a_study_whose_uid_is_a_uuid_is_found(policy: Policy) -> None:
    """Such UIDs have but two dots (PS3.5 B.2)."""
    uid = "2.25.329800735698586629295641978511506172918"
    for data in (f"from {uid}.".encode(), dicom(b"UI\x2c\x00" + uid.encode() + b"\0")):
        found = scan({"a.dcm": data}, policy).details["found"]
        assert found == {"a.dcm": {"DICOM UID": 1}}
        assert scan({"a.dcm": data}, policy, own=frozenset({uid})).verdict is Verdict.PASS


def test_a_name_that_only_begins_like_one_of_ours_is_found(policy: Policy) -> None:
    own = frozenset({"SYNTHETIC^MEDIDD"})
    for name in (b"SYNTHETIC^MEDIDD^MILLER ", b"SYNTHETIC^M "):
        data = dicom(b"\x10\0\x10\0PN" + bytes([len(name), 0]) + name)
        assert scan({"a.dcm": data}, policy, own=own).verdict is Verdict.FAIL


def test_a_file_named_after_a_patient_is_found_and_its_name_not_repeated(policy: Policy) -> None:
    finding = scan({"a.txt": b"", f"{SECRET}.txt": b"nothing"}, policy)
    assert finding.verdict is Verdict.FAIL
    assert list(finding.details["found"]) == ["file 1 (its name tells)"]
    assert SECRET not in str(finding)


def test_clean_files_raise_no_alarm(policy: Policy) -> None:
    rng = np.random.default_rng(1)
    clean = {
        "versions.txt": b"torch 2.15.0+cu130, tool 1.2.3.4, 10.0.0.255 at 127.0.0.1, in 20240131",
        "numbers.json": json.dumps({"loss": rng.random(2000).tolist(), "n": [20240131]}).encode(),
        "hashes.txt": "\n".join(sha256(bytes([i])).hexdigest() for i in range(256)).encode(),
        "formulas.md": b"x^2 + e^x, AUC^upper, see https://arxiv.org/abs/2006.05929 or and/or",
        "noise.bin": rng.bytes(2**20),
        "new.dcm": dicom(
            b"UI\x14\x001.2.840.10008.1.2.1\x00UI 2.25.3105 UI\x1a\x002.25.12345678901234567890\0"
            b"PN\x10\x00SYNTHETIC^MEDIDD"
        ),
        "picture.png": png(Software="medidd 0.1.0"),
    } | encode(noise(20, torch.Generator().manual_seed(0)))
    own = frozenset({"2.25.3105", "2.25.12345678901234567890", "SYNTHETIC^MEDIDD"})
    finding = scan(clean, policy, own=own)
    assert finding.verdict is Verdict.PASS, finding.details


@pytest.mark.parametrize(
    "files",
    [
        {"a.bin": b'{"loss": 0.002913}' + bytes(64)},
        {"a.safetensors": save({"x": torch.zeros(99)}, {"medidd": '{"sizes": [0.002913]}'})},
        {"a.bin": b"0x0x2x1x" + bytes(64)},
        {"a.bin": bytes(range(1, 32)) + b"0\x010\x012\x011\x01" + bytes(31)},
    ],
    ids=["json before zeros", "header before zeros", "every second letter", "other bytes"],
)
def test_every_second_letter_of_other_text_is_no_identifier(
    files: dict[str, bytes], policy: Policy
) -> None:
    found = scan(files, policy, known=frozenset({"0021", "0022"}))
    assert found.verdict is Verdict.PASS, found.details


@pytest.mark.parametrize("code", ["utf-8", "utf-16-le", "utf-16-be"])
def test_the_same_number_as_a_word_is_an_identifier(code: str, policy: Policy) -> None:
    text = "of patient 0021 alone".encode(code)
    found = scan({"a.bin": bytes(64) + text + bytes(64)}, policy, known=frozenset({"0021"}))
    assert found.verdict is Verdict.FAIL


def test_what_cannot_be_read_is_invalid(policy: Policy) -> None:
    broken = bytearray(archive(inside="some text " * 50))
    broken[45:60] = bytes(15)
    assert scan({"a.zip": bytes(broken)}, policy).verdict is Verdict.INVALID
    nested = b"text"
    for _ in range(6):
        nested = gzip.compress(nested)
    assert scan({"a.gz": nested}, policy).verdict is Verdict.INVALID
    assert scan({}, policy).verdict is Verdict.INVALID


def test_tokens_are_words_and_runs_of_their_parts() -> None:
    assert set(tokens("img_PAT-0001.png")) >= {"PAT-0001", "0001", "img_PAT", "img_PAT-0001"}
    assert list(tokens("0.20240131 ab")) == ["0.20240131"]


def test_pixels_that_spell_a_word_by_chance_are_no_text(policy: Policy) -> None:
    spelled = f" {SECRET} Mustermann^Erika ".encode().ljust(1024, b"~")
    image = torch.frombuffer(bytearray(spelled), dtype=torch.uint8).view(1, 1, 32, 32)
    labels = torch.tensor([[1.0, 0.0]])
    file = save({"images": image, "labels": labels})
    case = Evidence(
        Release(image.float() / 255, labels),
        cohort(4, torch.Generator().manual_seed(0), "IN"),
        cohort(4, torch.Generator().manual_seed(1), "OUT"),
        outgoing={"synthetic.safetensors": file, "dicom/a.dcm": bytes(64) + spelled},
        is_identifier={SECRET}.__contains__,
    )
    rng = torch.Generator().manual_seed(0)
    assert leaks(case, policy, rng).verdict is Verdict.PASS
    # The same word anywhere else, or one pixel away from an image, is found.
    for other in (file + spelled[:60], file.replace(spelled, spelled[:-1] + b"}")):
        spoiled = replace(case, outgoing={"synthetic.safetensors": other})
        assert leaks(spoiled, policy, rng).verdict is Verdict.FAIL
