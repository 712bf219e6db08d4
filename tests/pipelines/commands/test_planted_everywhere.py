"""Identifiers stand in every element that can hold text, in every name, and in no byte we write."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from invented_cohort import MARK, SMALL, Source, called, files_of, found_in, plant
from pydicom.datadict import DicomDictionary
from pydicom.dataset import FileDataset
from pydicom.sequence import Sequence

TEXTS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT", "AE"})
KEPT = frozenset({"PatientID", "PatientName", "AccessionNumber", "StudyID", "IssuerOfPatientID"})
READ = frozenset({"BurnedInAnnotation", "PatientOrientation"})
"""What decides what becomes of a film; it says what it must."""


def fill(film: FileDataset, number: int) -> None:
    """Puts an identifier into every element of the dictionary that can hold text."""
    for tag, (vr, _, _, retired, keyword) in DicomDictionary.items():
        if vr in TEXTS and keyword and not retired and keyword not in KEPT | READ:
            if tag >> 16 in (0x0000, 0x0002, 0x0004):
                continue
            film.add_new(tag, vr, f"{MARK}{number:04}{tag:08X}"[:16])
    film.SpecificCharacterSet = "ISO_IR 192"
    item = pydicom.Dataset()
    item.PatientComments = f"{MARK} in a sequence"
    film.RequestAttributesSequence = Sequence([item])
    block = film.private_block(0x0009, f"{MARK} CREATOR", create=True)
    block.add_new(0x01, "LO", f"{MARK} private")
    block.add_new(0x02, "UN", f"{MARK} unknown".encode())


def spoil(film: FileDataset, number: int) -> None:
    """Puts an identifier where a number, a date or a code is expected."""
    keyword = ("WindowCenter", "RescaleSlope", "PixelSpacing", "PatientAge", "StudyDate")[
        number % 5
    ]
    element = pydicom.DataElement(keyword, "LO", f"{MARK}{number:04}")
    film[element.tag] = element
    film[element.tag].VR = "LO"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A cohort with names in every place, half of it in an archive with a comment."""
    source = plant(tmp_path_factory.mktemp("full"), per_class=20)
    films = sorted(source.folder.rglob("*.dcm"))
    for number, path in enumerate(films):
        film = pydicom.dcmread(path)
        fill(film, number)
        film.save_as(path)
        folder = source.folder / f"{MARK}Doe^Jane{number:04}"
        folder.mkdir()
        shutil.move(path, folder / f"{MARK}{number:04}.dcm")
    with zipfile.ZipFile(source.folder / f"{MARK}.zip", "w", zipfile.ZIP_DEFLATED) as made:
        made.comment = f"{MARK} comment".encode()
        for path in sorted(source.folder.rglob("*.dcm"))[::2]:
            info = zipfile.ZipInfo(f"{MARK}inner/{path.name}")
            info.comment = f"{MARK} member".encode()
            made.writestr(info, path.read_bytes())
            path.unlink()
    lines = source.labels.read_text().splitlines()
    source.labels.write_text(
        "\n".join([f"{lines[0]},{MARK}column", *(f"{line},{MARK}cell" for line in lines[1:])])
    )
    return source


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, with a folder for what is temporary in it."""
    (tmp_path / "desk" / "temporary").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "desk")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "desk" / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield tmp_path / "desk"
    monkeypatch.setattr(tempfile, "tempdir", None)


def said(*command: object, code: int) -> list[tuple[str, bytes]]:
    ended = called(*command)
    assert ended.code == code, ended.err
    return [(f"{command[0]} out", ended.out.encode()), (f"{command[0]} err", ended.err.encode())]


def written(desk: Path) -> list[tuple[str, bytes]]:
    """Every file but the one list that is made to name the refused files."""
    lists = {"private/refused-files.csv"}
    found = {n: p for n, p in files_of(desk).items() if not any(n.endswith(one) for one in lists)}
    for name, path in files_of(desk).items():
        if name not in found:
            assert path.stat().st_mode & 0o077 == 0
    return [(name, path.read_bytes()) for name, path in found.items()]


def test_the_cohort_is_full_of_them(house: Source) -> None:
    film = next(house.folder.rglob("*.dcm")).read_bytes()
    assert film.count(MARK.encode()) > 500


def test_no_command_writes_one_of_them(house: Source, desk: Path) -> None:
    shutil.copytree(house.folder.parent, desk.parent / "films")
    films = ("--dicom-dir", Path("..") / "films" / "studies")
    labels = ("--labels", Path("..") / "films" / "labels.csv", "--target", "label")
    texts = said("inspect", films[1], *labels, code=0)
    texts += said("inspect", films[1], *labels, "--json", code=0)
    texts += said("ingest", *films, *labels, "--out", "cohort", code=0)
    texts += said("distill", *films, *labels, "--ipc", 1, *SMALL, "--out", "run", code=0)
    texts += said("audit", "run", code=0)
    texts += said("evaluate", "run", "--network", "mlp", code=0)
    texts += said("export", "run", "--to", "bundle", code=6)
    texts += said("doctor", "--json", code=0)
    texts += said("cache", "purge", "run", "--yes", code=0)
    assert found_in([*texts, *written(desk)], [MARK.encode()]) == []
    home = Path(os.environ["MEDIDD_HOME"])
    assert found_in([(n, p.read_bytes()) for n, p in files_of(home).items()], [MARK.encode()]) == []


def test_no_failure_says_one_of_them(house: Source, desk: Path) -> None:
    shutil.copytree(house.folder.parent, desk.parent / "films")
    studies = Path("..") / "films" / "studies"
    for number, path in enumerate(sorted(studies.rglob("*.dcm"))):
        if number % 3 == 0:
            path.write_bytes(path.read_bytes()[:-3000])
        elif number % 3 == 1:
            film = pydicom.dcmread(path)
            spoil(film, number)
            film.save_as(path)
    films = ("--dicom-dir", studies, "--labels", Path("..") / "films" / "labels.csv")
    texts = said("ingest", *films, "--out", "cohort", code=4)
    texts += said("ingest", *films, "--target", "no such", "--out", "third", code=3)
    films = (*films, "--target", "label")
    texts += said("ingest", *films, "--out", "other", "--max-rejected", 0.01, code=4)
    texts += said("distill", *films, "--ipc", 1, *SMALL, "--max-rejected", 0.01, code=4)
    texts += said("distill", *films, "--ipc", 500, *SMALL, "--max-rejected", 9, code=3)
    texts += said("inspect", studies, "--labels", Path("..") / "films" / "studies", code=2)
    assert found_in([*texts, *written(desk)], [MARK.encode()]) == []
