"""Packed files: read in memory, within limits, and never dropped without a word."""

import bz2
import gzip
import io
import lzma
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from medidd.dicom import archives
from medidd.dicom.errors import Refused
from medidd.dicom.refusals import Refusal
from medidd.dicom.source import Source, sources


def found(root: Path) -> dict[str, bytes]:
    read = {}
    for one in sources(root):
        if isinstance(one, Source):
            with one.open() as file:
                read[one.place.relative_to(root).as_posix()] = file.read()
    return read


def codes(root: Path) -> Counter[str]:
    return Counter(one.code for one in sources(root) if isinstance(one, Refusal))


def taped(*infos: tarfile.TarInfo, **members: bytes) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as made:
        for name, content in members.items():
            one = tarfile.TarInfo(name)
            one.size = len(content)
            made.addfile(one, io.BytesIO(content))
        for one in infos:
            made.addfile(one)
    return data.getvalue()


def a_member(name: str, kind: bytes) -> tarfile.TarInfo:
    one = tarfile.TarInfo(name)
    one.type, one.linkname = kind, "/etc/passwd"
    return one


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
}


@pytest.mark.parametrize("end", PACKERS)
@pytest.mark.parametrize("name", ["many.tar", "no suffix"])
def test_a_tar_is_read_as_if_it_were_unpacked_where_it_is(
    tmp_path: Path, end: str, name: str
) -> None:
    data = taped(a_member("x", tarfile.DIRTYPE), **{"x/2": b"two", "../3": b"three"})
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / f"{name}{end}").write_bytes(PACKERS[end](data))
    assert found(tmp_path) == {"b/x/2": b"two", "b/3": b"three"}
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{name}{end}"]


def test_a_packed_film_is_read_under_its_name_without_the_suffix(tmp_path: Path) -> None:
    (tmp_path / "1.dcm.gz").write_bytes(gzip.compress(b"one"))
    (tmp_path / "2.dcm.bz2").write_bytes(bz2.compress(b"two"))
    (tmp_path / "3").write_bytes(gzip.compress(b"three"))
    assert found(tmp_path) == {"1.dcm": b"one", "2.dcm": b"two", "3": b"three"}


def cut_within(path: Path) -> None:
    path.write_bytes(taped(a=bytes(5000), b=bytes(5000))[:8000])


def damaged_header(path: Path) -> None:
    """The headers of members after the first are no longer readable; tarfile would just stop."""
    data = bytearray(taped(a=b"a", b=b"b", c=b"c"))
    data[1024 + 150] ^= 0xFF
    path.write_bytes(data)


def no_end(path: Path) -> None:
    path.write_bytes(taped(a=b"a")[:1024])


def two_of_a_name(path: Path) -> None:
    path.write_bytes(taped(*(tarfile.TarInfo("a") for _ in range(2))))


def symbolic(path: Path) -> None:
    path.write_bytes(taped(a_member("a", tarfile.SYMTYPE)))


def hard(path: Path) -> None:
    path.write_bytes(taped(a_member("a", tarfile.LNKTYPE)))


def device(path: Path) -> None:
    path.write_bytes(taped(a_member("a", tarfile.CHRTYPE)))


def large_member(path: Path) -> None:
    path.write_bytes(taped(a=bytes(10**6 + 1)))


def large_and_packed(path: Path) -> None:
    path.write_bytes(gzip.compress(taped(a=bytes(9 * 10**5), b=bytes(9 * 10**5))))


def sparse(path: Path) -> None:
    """A member that says it is larger than all films of a hospital."""
    one = tarfile.TarInfo("a")
    one.size = 10**11
    path.write_bytes(one.tobuf() + bytes(1024))


def text(path: Path) -> None:
    path.write_bytes(b"nothing of the kind")


def lzma_packed(path: Path) -> None:
    path.write_bytes(lzma.compress(b"film"))


@pytest.mark.parametrize(
    ("make", "name", "expected"),
    [
        (cut_within, "bad.tar", {"bad_zip": 1}),
        (damaged_header, "bad.tar", {"bad_zip": 1}),
        (no_end, "bad.tar", {"bad_zip": 1}),
        (two_of_a_name, "bad.tar", {"bad_zip": 2}),
        (symbolic, "bad", {"symlink_skipped": 1}),
        (hard, "bad", {"symlink_skipped": 1}),
        (device, "bad", {"not_a_file": 1}),
        (large_member, "bad", {"zip_bomb": 1}),
        (sparse, "bad", {"bad_zip": 1}),
        (large_and_packed, "bad.tgz", {"packed": 1}),
        (text, "bad.tar", {"bad_zip": 1}),
        (text, "bad.tgz", {"bad_zip": 1}),
        (text, "bad.gz", {"bad_zip": 1}),
        (text, "bad.7z", {"packed": 1}),
        (lzma_packed, "bad", {"packed": 1}),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], None],
    name: str,
    expected: dict[str, int],
) -> None:
    monkeypatch.setattr(archives, "LARGEST", 10**6)
    make(tmp_path / name)
    assert codes(tmp_path) == expected
    assert found(tmp_path) == {}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (gzip.compress(bytes(10**6 + 1)), "zip_bomb"),
        (gzip.compress(bytes(range(256)) * 50)[:-20], "bad_zip"),
        (gzip.compress(b"film") + b"more", "bad_zip"),
        (bz2.compress(b"film" * 99)[:-20], "bad_zip"),
    ],
)
def test_a_packed_film_that_is_too_large_or_damaged_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, code: str
) -> None:
    monkeypatch.setattr(archives, "LARGEST", 10**6)
    (tmp_path / "film.gz").write_bytes(data)
    refused = [one.code for one in sources(tmp_path) if isinstance(one, Refusal)]
    for one in sources(tmp_path):
        if isinstance(one, Source):
            with pytest.raises(Refused) as raised:
                one.open()
            refused.append(raised.value.code)
    assert refused == [code]


def test_a_film_is_a_film_whatever_its_preamble_holds() -> None:
    film = b"PK\x03\x04".ljust(128, b"\0") + b"DICM"
    assert archives.kind_of(film, "film.zip") == ""
    assert archives.kind_of(film[:100], "film") == "zip"
