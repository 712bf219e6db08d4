"""Files on the disk and in archives; what would lead out, loop or blow up is refused."""

import io
import os
import stat
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import pytest

from medidd.dicom import archives
from medidd.dicom.errors import REASONS
from medidd.dicom.refusals import Refusal
from medidd.dicom.source import Source, folders, has_files, sources


def found(root: Path) -> dict[str, bytes]:
    """Reads every file; a key is its place under the root."""
    read = {}
    for one in sources(root):
        assert isinstance(one, Source)
        with one.open() as file:
            read[one.place.relative_to(root).as_posix()] = file.read()
    return read


def found_beside_refusals(root: Path) -> dict[str, bytes]:
    read = {}
    for one in sources(root):
        if isinstance(one, Source):
            with one.open() as file:
                read[one.place.name] = file.read()
    return read


def codes(root: Path) -> Counter[str]:
    return Counter(one.code for one in sources(root) if isinstance(one, Refusal))


def archived(path: Path, **members: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return path


def test_an_archive_is_read_as_if_it_were_unpacked_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1").write_bytes(b"one")
    archived(tmp_path / "b" / "many.zip", **{"x/2": b"two", "3": b"three", "empty/": b""})
    archived(tmp_path / "without suffix", **{"4": b"four"})
    assert found(tmp_path) == {"a/1": b"one", "b/x/2": b"two", "b/3": b"three", "4": b"four"}
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "without suffix"}


def test_folders_are_found_in_archives_too(tmp_path: Path) -> None:
    (tmp_path / "a" / "inner").mkdir(parents=True)
    (tmp_path / "table.csv").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    archived(tmp_path / "many.zip", **{"b/2": b"", "b/x/3": b"", "4": b"", "../c/5": b""})
    assert folders(tmp_path) == {"a", "b", "c", "link"}


def test_no_name_in_an_archive_leads_out(tmp_path: Path) -> None:
    root = tmp_path / "in"
    archived(root / "z.zip", **{"../../etc/1": b"1", "/root/2": b"2", "..\\3": b"3"})
    assert found(root) == {"etc/1": b"1", "root/2": b"2", "3": b"3"}


def test_of_two_members_with_one_name_none_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as made:
        made.writestr("a", "1")
        made.writestr("b", "2")
        with pytest.warns(UserWarning, match="Duplicate name"):
            made.writestr("a", "3")
    assert found_beside_refusals(tmp_path) == {"b": b"2"}
    assert codes(tmp_path) == {"bad_zip": 2}


def test_the_order_is_that_of_the_names(tmp_path: Path) -> None:
    archived(tmp_path / "m.zip", b=b"", a=b"")
    for name in ("z", "l", "n"):
        (tmp_path / name).write_bytes(b"")
    assert [one.place.name for one in sources(tmp_path) if isinstance(one, Source)] == [
        *("l", "a", "b", "n", "z")
    ]


def bomb(path: Path) -> None:
    archived(path, zeros=bytes(2 * 10**6))


def encrypted(path: Path) -> None:
    archived(path, film=b"film")
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + place] |= 1
    path.write_bytes(data)


def linked(path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(link, "/etc/passwd")


def cut(path: Path) -> None:
    archived(path, film=bytes(1000))
    path.write_bytes(path.read_bytes()[:-30])


def no_zip(path: Path) -> None:
    path.write_bytes(b"nothing of the kind")


def overlapping(path: Path) -> None:
    """Many names for the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("zeros", bytes(900_000))
        for number in range(500):
            again = zipfile.ZipInfo(f"{number:05}")
            made.filelist.append(again)
            for name in ("compress_type", "CRC", "compress_size", "file_size", "header_offset"):
                setattr(again, name, getattr(made.filelist[0], name))
    path.write_bytes(packed.getvalue())


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (bomb, "zip_bomb"),
        (overlapping, "zip_bomb"),
        (encrypted, "encrypted_zip"),
        (linked, "symlink_skipped"),
        (cut, "bad_zip"),
        (no_zip, "bad_zip"),
    ],
)
def test_a_bad_archive_is_one_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: object, code: str
) -> None:
    monkeypatch.setattr(archives, "LARGEST", 10**6)
    make(tmp_path / "bad.zip")  # type: ignore[operator]
    assert codes(tmp_path) == {code: 1}
    assert code in REASONS


def test_a_member_that_lies_about_itself_is_refused_when_it_is_read(tmp_path: Path) -> None:
    path = archived(tmp_path / "lies.zip", film=os.urandom(1000))
    data = bytearray(path.read_bytes())
    data[100] ^= 0xFF
    path.write_bytes(data)
    (one,) = sources(tmp_path)
    assert isinstance(one, Source)
    with pytest.raises((zipfile.BadZipFile, zlib.error)), one.open() as file:
        file.read()


def test_a_state_changes_where_the_file_does(tmp_path: Path) -> None:
    path = archived(tmp_path / "z.zip", a=b"1", b=b"2")
    before = [one.state() for one in sources(tmp_path) if isinstance(one, Source)]
    assert len(set(before)) == 2
    archived(path, a=b"1", b=b"3")
    after = [one.state() for one in sources(tmp_path) if isinstance(one, Source)]
    assert before[1] != after[1]
    path.unlink()
    with pytest.raises(FileNotFoundError):
        Source(path, "a").state()


def followed(root: Path) -> dict[str, bytes]:
    """Reads every file, links too; a key is its place under the root."""
    read = {}
    for one in sources(root, follow=True):
        if isinstance(one, Source):
            one.require_file()
            with one.open() as file:
                read[one.place.relative_to(root).as_posix()] = file.read()
    return read


@pytest.fixture
def linked_cohort(tmp_path: Path) -> Path:
    """A folder of links: to a film, to an archive, to a folder with a link, and to nothing."""
    store, root = tmp_path / "store", tmp_path / "cohort"
    (store / "ill" / "inner").mkdir(parents=True)
    (store / "1").write_bytes(b"one")
    (store / "ill" / "inner" / "2").write_bytes(b"two")
    (store / "ill" / "3").symlink_to(store / "1")
    archived(store / "many.zip", **{"x/4": b"four"})
    root.mkdir()
    (root / "film").symlink_to(Path("..") / "store" / "1")
    (root / "packed").symlink_to(store / "many.zip")
    (root / "class").symlink_to(store / "ill", target_is_directory=True)
    (root / "nothing").symlink_to(store / "gone")
    return root


def test_links_are_followed_if_they_are_meant(linked_cohort: Path) -> None:
    assert followed(linked_cohort) == {
        "film": b"one",
        "x/4": b"four",
        "class/inner/2": b"two",
        "class/3": b"one",
    }
    found = sources(linked_cohort, follow=True)
    assert [one.code for one in found if isinstance(one, Refusal)] == ["unreadable"]
    assert found_beside_refusals(linked_cohort) == {}
    assert codes(linked_cohort) == {"symlink_skipped": 4}


def test_no_link_leads_in_circles_or_twice_into_a_folder(linked_cohort: Path) -> None:
    (linked_cohort / "here").mkdir()
    (linked_cohort / "here" / "5").write_bytes(b"five")
    before = followed(linked_cohort)
    assert before["here/5"] == b"five"
    outside = linked_cohort.parent / "store" / "ill"
    for place, target in {
        linked_cohort / "itself": linked_cohort,
        linked_cohort / "up": linked_cohort.parent,
        linked_cohort / "there": linked_cohort / "here",
        linked_cohort / "zagain": outside / "inner",
        outside / "home": linked_cohort,
        outside / "circle": outside,
    }.items():
        place.symlink_to(target, target_is_directory=True)
    (linked_cohort / "self").symlink_to(linked_cohort / "self")
    assert followed(linked_cohort) == before
    found = [one.code for one in sources(linked_cohort, follow=True) if isinstance(one, Refusal)]
    assert Counter(found) == {"symlink_loop": 6, "unreadable": 2}


def test_a_file_that_holds_a_path_is_a_link_where_a_copy_knows_none(linked_cohort: Path) -> None:
    for name in ("film", "packed"):
        target = (linked_cohort / name).readlink()
        (linked_cohort / name).unlink()
        (linked_cohort / name).write_text(str(target))
    (linked_cohort / "text").write_text("../store/1\n")
    assert codes(linked_cohort) == {"symlink_skipped": 4}
    assert found_beside_refusals(linked_cohort) == {"text": b"../store/1\n"}
    assert followed(linked_cohort)["film"] == b"one"
    assert followed(linked_cohort)["x/4"] == b"four"


def test_there_are_files_if_a_link_could_lead_to_one(tmp_path: Path) -> None:
    assert not has_files(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    assert has_files(tmp_path)
