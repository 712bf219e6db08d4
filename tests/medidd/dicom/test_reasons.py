"""Every reason code, on one bad file in a good folder."""

import io
import os
import signal
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, uid
from pydicom.pixels.decoders.base import get_decoder

from medidd.dicom.archives import LARGEST
from medidd.dicom.errors import REASONS
from medidd.dicom.folder import cohort, scan
from medidd.dicom.folder.cohort import Cohort, ingest
from medidd.dicom.header import header
from medidd.dicom.header.header import Header
from medidd.dicom.isolation import isolated
from medidd.dicom.labels.labelling import Labelling
from medidd.dicom.pixels.film import Shown, decoded
from medidd.dicom.reading import Reading
from medidd.dicom.refusals import Refusal
from medidd.dicom.source import Source

Film = Callable[..., Any]
Case = Callable[[Path, Film], None]


def with_elements(number: int = 9, **elements: Any) -> Case:
    def add(root: Path, film: Film) -> None:
        film(number, **elements).save_as(root / "bad.dcm")
        label(root, number)

    return add


def named(name: str) -> Case:
    def add(root: Path, film: Film) -> None:
        film(9).save_as(root / name)
        label(root, 9)

    return add


def with_bytes(data: bytes, name: str = "bad") -> Case:
    def add(root: Path, film: Film) -> None:  # noqa: ARG001
        (root / name).write_bytes(data)

    return add


def label(root: Path, number: int, name: str = "normal") -> None:
    with (root / "labels.csv").open("a") as table:
        table.write(f"\nZZPHI-{number:04},{name}")


def pipe(root: Path, film: Film) -> None:  # noqa: ARG001
    os.mkfifo(root / "bad")


def link(root: Path, film: Film) -> None:  # noqa: ARG001
    (root / "bad").symlink_to(root, target_is_directory=True)


def archive(root: Path, film: Film) -> None:  # noqa: ARG001
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as made:
        made.write(root / "1.dcm")
    with zipfile.ZipFile(root / "bad.zip", "w") as made:
        made.writestr("bad.zip", inner.getvalue())


def under_password(root: Path, film: Film) -> None:
    archive(root, film)
    data = bytearray((root / "bad.zip").read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    (root / "bad.zip").write_bytes(data)


def bomb(root: Path, film: Film) -> None:  # noqa: ARG001
    with (
        zipfile.ZipFile(root / "bad.zip", "w", zipfile.ZIP_DEFLATED) as made,
        made.open("zeros", "w", force_zip64=True) as member,
    ):
        for _ in range(LARGEST // 2**22 + 1):
            member.write(bytes(2**22))


def raw_of(number: int) -> Case:
    def add(root: Path, film: Film) -> None:
        raw = uid.DigitalXRayImageStorageForProcessing
        film(number, SOPClassUID=raw, SOPInstanceUID="1.2.3.4").save_as(root / "bad.dcm")

    return add


def unlabelled(root: Path, film: Film) -> None:
    film(9).save_as(root / "bad.dcm")


def two_labels(root: Path, film: Film) -> None:
    film(9).save_as(root / "bad.dcm")
    label(root, 9, "normal|pneumonia")


def named_twice(root: Path, film: Film) -> None:
    film(9).save_as(root / "bad.dcm")
    kinds = [f"{n},{('normal', 'pneumonia')[n % 2]}" for n in range(1, 7)]
    rows = ["file,label", *kinds, "bad.png,normal", "bad.jpg,normal"]
    (root / "labels.csv").write_text("\n".join(rows))


def without_split(root: Path, film: Film) -> None:
    film(9).save_as(root / "bad.dcm")
    label(root, 9)
    rows = ["PatientID,split", *(f"ZZPHI-{n:04},train" for n in range(1, 7))]
    (root.parent / "splits.csv").write_text("\n".join(rows))


def copy(root: Path, film: Film) -> None:
    film(1).save_as(root / "copy.dcm")


def two_contents(root: Path, film: Film) -> None:
    film(1, BodyPartExamined="CHEST").save_as(root / "copy.dcm")


def another_uid(root: Path, film: Film) -> None:
    film(1, SOPInstanceUID="1.2.3.4").save_as(root / "copy.dcm")


def unknown_syntax(root: Path, film: Film) -> None:
    bad = film(9)
    bad.file_meta.TransferSyntaxUID = uid.MPEG2MPML
    bad.PixelData = b"\xfe\xff\x00\xe0\x00\x00\x00\x00"
    bad["PixelData"].is_undefined_length = True
    bad.save_as(root / "bad.dcm")
    label(root, 9)


def broken_codestream(root: Path, film: Film) -> None:
    bad = film(9)
    bad.compress(uid.RLELossless, generate_instance_uid=False)
    bad.PixelData = bad.PixelData[:-60] + bytes(60)
    bad.Rows = 13
    bad.save_as(root / "bad.dcm")
    label(root, 9)


def rle(root: Path, film: Film) -> None:
    bad = film(9)
    bad.compress(uid.RLELossless, generate_instance_uid=False)
    bad.save_as(root / "bad.dcm")
    label(root, 9)


def short_lut(root: Path, film: Film) -> None:
    item = Dataset()
    item.LUTDescriptor, item.LUTData = [256, 0, 16], bytes(100)
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "OW"
    film(9, VOILUTSequence=[item]).save_as(root / "bad.dcm")
    label(root, 9)


def nonsense_number(root: Path, film: Film) -> None:
    film(9, NumberOfFrames="123456").save_as(root / "bad.dcm")
    data = (root / "bad.dcm").read_bytes()
    (root / "bad.dcm").write_bytes(data.replace(b"123456", b"ZZPHI "))
    label(root, 9)


CASES: dict[str, Case] = {
    "not_a_file": pipe,
    "symlink_skipped": link,
    "dicomdir_ignored": with_bytes(b"", "DICOMDIR"),
    "unreadable": with_bytes(b"", "closed"),
    "bad_zip": with_bytes(b"no zip", "bad.zip"),
    "nested_archive": archive,
    "encrypted_zip": under_password,
    "zip_bomb": bomb,
    "not_dicom": with_bytes(b"ZZPHI"),
    "header_error": nonsense_number,
    "no_image": with_elements(SOPClassUID=uid.BasicTextSRStorage, Modality="SR", Rows=None),
    "no_uid": with_elements(SOPInstanceUID=None),
    "missing_tag": with_elements(PixelRepresentation=None),
    "modality_excluded": with_elements(Modality="CT"),
    "sop_class_excluded": with_elements(SOPClassUID=uid.CTImageStorage),
    "for_processing": with_elements(PresentationIntentType="FOR PROCESSING"),
    "secondary_capture": with_elements(SOPClassUID=uid.SecondaryCaptureImageStorage),
    "multiframe": with_elements(NumberOfFrames=2),
    "color": with_elements(SamplesPerPixel=3),
    "photometric_invalid": with_elements(PhotometricInterpretation="RGB"),
    "too_large": with_elements(Rows=65535, Columns=65535),
    "burned_in_tag": with_elements(BurnedInAnnotation="YES"),
    "view_excluded": with_elements(ViewPosition="AP"),
    "view_unknown": with_elements(ViewPosition=""),
    "unsupported_transfer_syntax": unknown_syntax,
    "codec_missing": rle,
    "label_missing": unlabelled,
    "label_unmapped": two_labels,
    "duplicate": copy,
    "conflicting_duplicate": two_contents,
    "duplicate_pixels": another_uid,
    "pixels_truncated": with_elements(Rows=13),
    "pixels_invalid": broken_codestream,
    "lut_short": short_lut,
    "non_finite": with_elements(RescaleSlope="1E300", RescaleIntercept="0"),
    "constant_image": with_elements(stored=np.full((4, 4), 7, np.uint16)),
    "decoder_crash": named("kills.dcm"),
    "timeout": named("hangs.dcm"),
    "raw_twin": raw_of(1),
    "symlink_loop": link,
    "packed": with_bytes(b"7z\xbc\xaf\x27\x1c\x00\x04", "bad.7z"),
    "label_ambiguous": named_twice,
    "split_missing": without_split,
}


def dies_of(source: Source, size: int, reading: Reading) -> Shown | Refusal:
    if source.place.name == "kills.dcm":
        os.abort()
    if source.place.name == "hangs.dcm":
        signal.pause()
    return decoded(source, size, reading)


OF_PICTURES = {"not_picture", "dicom_unasked", "picture_depth", "picture_format"}
"""Codes of a folder of pictures; ``folder/test_pictures.py`` has their cases."""

OF_PATCHES = {"region_missing", "region_ambiguous", "region_invalid", "region_unused"}
"""Codes of films that are cut; ``folder/test_patches.py`` has their cases."""


def test_every_reason_code_has_a_case() -> None:
    assert CASES.keys() | OF_PICTURES | OF_PATCHES == REASONS.keys()


@pytest.mark.parametrize("code", CASES)
def test_a_bad_file_is_refused_for_one_reason(
    code: str, studies: Path, film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    CASES[code](studies, film)
    if code == "codec_missing":
        monkeypatch.setattr(scan, "examined", reads_no_rle)
    if code in ("decoder_crash", "timeout"):
        monkeypatch.setattr(cohort, "decoded", dies_of)
        monkeypatch.setattr(cohort, "isolated", partial(isolated, seconds=2))
    if code == "unreadable":
        monkeypatch.setattr(Path, "open", open_unless_closed)
    reading = Reading(
        views=("PA",) if code.startswith("view_") else (),
        accept=("symlinks",) if code == "symlink_loop" else (),
    )
    options: dict[str, Any] = {"size": 8, "key": b"key", "max_refused": 1.0, "reading": reading}
    second = tmp_path / "splits.csv"
    labels = Labelling(splits=second) if second.exists() else None
    steps = ingest(studies, labels, folder=tmp_path / "c", **options)
    assert len(list(steps)) > 1
    made = Cohort.open(tmp_path / "c")
    expected = {"not_dicom": 1}  # the table of labels
    expected[code] = expected.get(code, 0) + (2 if code == "conflicting_duplicate" else 1)
    assert made.refused == expected
    assert len(made.images) == (5 if code == "conflicting_duplicate" else 6)


def reads_no_rle(source: Source, reading: Reading) -> Header | Refusal:
    header.get_decoder = without_rle  # of this process, which ends with the scan
    return scan.examined(source, reading)


def without_rle(syntax: uid.UID) -> Any:
    found = get_decoder(syntax)
    return SimpleNamespace(is_available=False) if syntax == uid.RLELossless else found


def open_unless_closed(path: Path, *args: Any, _open: Any = Path.open, **kwargs: Any) -> Any:
    if path.name == "closed":
        raise PermissionError(13, "Permission denied", str(path))
    return _open(path, *args, **kwargs)
