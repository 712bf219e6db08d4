"""Tables in gzip and zip files, within limits."""

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from medidd.dicom.errors import CohortError
from medidd.dicom.labels import packed
from medidd.dicom.labels.labelling import Labelling
from medidd.dicom.labels.labels import read_labels

TABLE = b"PatientID,label\nZZPHI,ill\n"


def zipped(**members: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return data.getvalue()


def damaged(method: int) -> bytes:
    """A zip archive whose directory is whole and whose data are not."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        archive.writestr("a.csv", TABLE)
    whole = data.getvalue()
    start = 30 + len("a.csv") + 9  # past the head of LZMA
    return whole[:start] + bytes(12 * [0xA5]) + whole[start + 12 :]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv.gz", gzip.compress(TABLE)),
        ("a.csv.zip", zipped(a_csv=TABLE)),
        ("a.csv", gzip.compress(TABLE)),
        ("a.zip", zipped(x__a_csv=TABLE, readme_md=b"x")),
        ("a.json.gz", gzip.compress(b'{"training": [{"PatientID": "ZZPHI", "label": "ill"}]}')),
    ],
)
def test_a_packed_table_is_read(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    labels = read_labels(tmp_path, Labelling(tmp_path / name))
    assert {label for label, _ in labels.rows.values()} == {"ill"}


def test_a_packed_table_in_the_usual_place_is_found(tmp_path: Path) -> None:
    (tmp_path / "labels.csv.gz").write_bytes(gzip.compress(TABLE))
    assert read_labels(tmp_path, Labelling()).rows == {"ZZPHI": ("ill", "")}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(TABLE)[:-12], "packed and damaged"),
        (zipped(a_csv=TABLE)[:-30], "packed and damaged"),
        (damaged(zipfile.ZIP_LZMA), "packed and damaged"),
        (damaged(zipfile.ZIP_BZIP2), "packed and damaged"),
        (zipped(a_csv=TABLE, b_csv=TABLE), "a zip archive with 2 tables in it"),
        (zipped(xl__workbook_xml=b"x"), "with 0 tables in it; .* spreadsheet as CSV"),
        (gzip.compress(TABLE * 100), "more than 0 MiB"),
        (zipped(a_csv=TABLE * 100), "more than 0 MiB"),
        (TABLE * 100, "more than 0 MiB"),
    ],
)
def test_a_packed_table_that_cannot_be_read_is_an_error(
    tmp_path: Path, data: bytes, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "LARGEST", 1000)
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(CohortError, match=message) as caught:
        read_labels(tmp_path, Labelling(tmp_path / "a.csv"))
    assert "ZZPHI" not in str(caught.value)
