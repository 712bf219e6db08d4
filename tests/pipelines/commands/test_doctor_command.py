"""medidd doctor: is the installation sound, and is it closed to others?"""

import getpass
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from invented_cohort import ROOT, called, tree
from pydicom import uid
from pydicom.pixels.decoders.base import get_decoder

from medidd.dicom.stored import decoders
from pipelines.health import checks, folders

MOUNTS = """host01:/export/home /home nfs4 rw 0 0
/dev/sda1 / ext4 rw 0 0
tmpfs /tmp tmpfs rw 0 0
//host02/share /mnt/with\\040space cifs rw 0 0
"""


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in with an installation of its own, on a disk of plain kind."""
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o700)
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "home" / "key").write_text("07" * 32)
    (tmp_path / "home" / "key").chmod(0o600)
    monkeypatch.setenv("MEDIDD_HOME", str(tmp_path / "home"))
    return tmp_path


def examined() -> tuple[int, dict[str, tuple[str, str]]]:
    ended = called("doctor", "--json")
    found = json.loads(ended.out)["checks"]
    return ended.code, {one["name"]: (one["state"], one["text"]) for one in found}


def test_a_sound_installation_ends_with_0_and_writes_nothing(house: Path) -> None:
    before = tree(house)
    code, found = examined()
    assert code == 0
    assert "broken" not in {state for state, _ in found.values()}
    assert found["key"] == ("ok", "exists, mode 600")
    assert found["MEDIDD_HOME, others"] == ("ok", "are kept out")
    assert found["RLE Lossless"][0] == "ok"
    assert "pydicom" in found["RLE Lossless"][1]
    assert found["umask"] == ("ok", "077")
    ended = called("doctor")
    assert ended.code == 0
    assert "0 broken" in ended.out
    assert tree(house) == before


def test_nothing_in_it_says_whose_machine_it_is(house: Path) -> None:
    ended = called("doctor")
    for word in (platform.node(), str(house), str(Path.home()), "07" * 4):
        assert word not in ended.out
    assert getpass.getuser() not in ended.out.split()


def test_a_key_that_others_may_read_is_a_warning(house: Path) -> None:
    (house / "home" / "key").chmod(0o644)
    (house / "home").chmod(0o755)
    code, found = examined()
    assert code == 0
    assert found["key"][0] == found["MEDIDD_HOME, others"][0] == "warning"
    assert "chmod 600" in found["key"][1]
    assert "chmod 700" in found["MEDIDD_HOME, others"][1]


def test_a_folder_that_others_may_replace_is_a_warning(house: Path) -> None:
    house.chmod(0o777)
    _, found = examined()
    assert found["MEDIDD_HOME, others"][0] == found["runs, others"][0] == "warning"
    house.chmod(0o1777)  # with the sticky bit nobody can rename what is another's
    _, found = examined()
    assert found["MEDIDD_HOME, others"][0] == found["runs, others"][0] == "ok"


@pytest.mark.parametrize("key", ["", "rubbish", "07" * 31])
def test_a_key_that_is_none_is_broken(house: Path, key: str) -> None:
    (house / "home" / "key").write_text(key)
    code, found = examined()
    assert code == 1
    assert found["key"][0] == "broken"
    assert called("doctor").err.startswith("medidd: broken: key")


def test_a_home_that_cannot_be_written_is_broken(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (house / "note.txt").write_text("mine")
    monkeypatch.setenv("MEDIDD_HOME", str(house / "note.txt" / "home"))
    code, found = examined()
    assert code == 1
    assert found["MEDIDD_HOME"][0] == "broken"
    assert "note" not in json.dumps(found)


def test_a_home_that_is_not_there_yet_is_made_later(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIDD_HOME", str(house / "new" / "home"))
    code, found = examined()
    assert code == 0
    assert found["key"] == found["MEDIDD_HOME"] == ("ok", "is made at the first run")
    assert not (house / "new").exists()


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize(("free", "state"), [(2**40, "ok"), (2**30, "warning"), (2**20, "broken")])
def test_a_full_disk_is_told(free: int, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    code, found = examined()
    assert found["runs, free"][0] == state
    assert code == (1 if state == "broken" else 0)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/somebody/runs", "nfs4"),
        ("/homes", "ext4"),
        ("/tmp", "tmpfs"),
        ("/mnt/with space/runs", "cifs"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(path: str, kind: str) -> None:
    assert folders.filesystem(Path(path), MOUNTS) == kind
    assert folders.filesystem(Path(path), "") == ""


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize(
    ("kind", "state"), [("nfs4", "warning"), ("tmpfs", "warning"), ("xfs", "ok")]
)
def test_disks_that_are_shared_or_forget_are_a_warning(
    kind: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "filesystem", lambda _, __: kind)
    code, found = examined()
    assert code == 0
    assert found["runs, disk"][0] == found["MEDIDD_HOME, disk"][0] == state
    assert kind in found["runs, disk"][1]


@pytest.mark.usefixtures("house")
def test_a_missing_decoder_is_a_warning_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(syntax: uid.UID) -> Any:
        nothing = SimpleNamespace(is_available=False, available_plugins=())
        return nothing if syntax == uid.JPEG2000 else get_decoder(syntax)

    monkeypatch.setattr(decoders, "get_decoder", without)
    code, found = examined()
    assert code == 0
    state, text = found["JPEG 2000 Image Compression"]
    assert state == "warning"
    assert "pip install" in text


@pytest.mark.usefixtures("house")
def test_a_missing_package_is_broken_or_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = ("monai", "pyjpegls", "imagecodecs")
    known = checks._version
    monkeypatch.setattr(checks, "_version", lambda name: None if name in gone else known(name))
    code, found = examined()
    assert code == 1
    assert [found[name][0] for name in gone] == ["broken", "warning", "ok"]
    assert all("install" in found[name][1] for name in gone)


@pytest.mark.usefixtures("house")
def test_tracebacks_that_show_values_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIDD_TRACEBACK", "1")
    assert examined()[1]["tracebacks"][0] == "warning"
    mask = os.umask(0o022)
    assert {one.name: one.state for one in checks.process()}["umask"] == "warning"
    os.umask(mask)


def test_jpeg_extended_is_said_to_be_of_8_bits_unless_something_decodes_12() -> None:
    name = uid.JPEGExtended12Bit.name
    assert decoders.Decodable(name, ("gdcm", "pillow"), True).only_8_bits
    assert not decoders.Decodable(name, ("gdcm", "pylibjpeg"), True).only_8_bits
    assert not decoders.Decodable(uid.JPEG2000.name, ("gdcm",), True).only_8_bits


@pytest.mark.usefixtures("house")
def test_the_optional_decoder_is_named_where_it_is_installed_and_offered_where_not() -> None:
    pytest.importorskip("imagecodecs")
    program = "import sys\nfrom pipelines.cli import main\nmain.main(['doctor', '--json'])"
    hidden = f"import sys\nsys.modules['imagecodecs'] = None\n{program}"
    for source, said in ((program, "imagecodecs"), (hidden, "medidd[codecs]")):
        command = [sys.executable, "-c", source]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        found = {one["name"]: one["text"] for one in json.loads(ended.stdout)["checks"]}
        assert said in found[uid.JPEGExtended12Bit.name]
