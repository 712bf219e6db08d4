"""Whoever receives a bundle can tell, with nothing else at hand, whether it is the one sent."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from invented_cohort import ROOT, called, files_of, tree
from PIL import Image

import pipelines.recipient.verify
from pipelines.bundle.checksums import listed, sums
from pipelines.bundle.programs import PROGRAMS, program
from privacy.finding import Verdict

Change = Callable[[Path], object]


@pytest.fixture
def bundle(sent: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(sent, tmp_path / "bundle"))


def flipped(path: Path, at: int = -5) -> None:
    """Changes one bit of one byte."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def listed_anew(bundle: Path, *, manifest: bool = False, audit: bool = False) -> None:
    """Makes the lists of a bundle right for what it now holds, as a forger would."""
    found = {name: path.read_bytes() for name, path in files_of(bundle).items()}
    found.pop("SHA256SUMS", None)
    for name, key, asked in (
        ("manifest.json", "files", manifest),
        ("audit.json", "audited", audit),
    ):
        if asked:
            own = {n: d for n, d in found.items() if n not in {name, "audit.json", "audit.html"}}
            said = json.loads(found[name]) | {key: listed(sums(own))}
            found[name] = json.dumps(said).encode()
            (bundle / name).write_bytes(found[name])
    (bundle / "SHA256SUMS").write_bytes(sums(found))


def test_a_bundle_as_it_was_sent_is_whole(sent: Path) -> None:
    before = tree(sent)
    ended = called("verify", sent)
    assert (ended.code, ended.err) == (0, "")
    assert f"whole, {len(files_of(sent))} files" in ended.out
    assert "signature: none" in ended.out
    said = json.loads(called("verify", sent, "--json").out)
    verdict = json.loads((sent / "audit.json").read_text())["verdict"]
    assert said == {
        "bundle": str(sent),
        "files": len(files_of(sent)),
        "verdict": verdict,
        "signed": False,
        "signer": None,
        "published": True,
    }
    assert tree(sent) == before


def test_any_byte_of_any_file_counts(bundle: Path) -> None:
    for path in files_of(bundle).values():
        whole = path.read_bytes()
        for at in {0, len(whole) // 2, len(whole) - 1}:
            flipped(path, at)
            assert called("verify", bundle).code == 5, (path.name, at)
        path.write_bytes(whole[:-1])
        assert called("verify", bundle).code == 5, path.name
        path.unlink()
        assert called("verify", bundle).code == 5, path.name
        path.write_bytes(whole)
    assert called("verify", bundle).code == 0


CHANGES: dict[str, tuple[Change, str]] = {
    "changed": (lambda b: flipped(b / "labels.csv"), "1 changed: labels.csv;"),
    "two": (
        lambda b: [flipped(b / "labels.csv"), (b / "README.md").unlink()],
        "1 changed and 1 missing: README.md, labels.csv;",
    ),
    "five": (
        lambda b: [path.unlink() for path in files_of(b / "previews").values()],
        "missing: previews/class0_0.png, previews/class0_1.png, previews/class0_2.png, 3 more;",
    ),
    "added": (
        lambda b: (b / "Miller^Ada.dcm").write_text("x"),
        "1 added: 1 with a name that no bundle has;",
    ),
    "hidden": (lambda b: (b / "previews" / ".x").write_text(""), "1 added"),
    "folder": (lambda b: (b / "Miller").mkdir(), "1 added"),
    "file for a folder": (
        lambda b: [shutil.rmtree(b / "previews"), (b / "previews").write_text("")],
        "6 missing and 1 added: previews/class0_0.png",
    ),
    "folder for a file": (
        lambda b: [(b / "labels.csv").unlink(), (b / "labels.csv").mkdir()],
        "1 missing and 1 added: labels.csv,",
    ),
    "no list": (lambda b: (b / "SHA256SUMS").unlink(), "SHA256SUMS is missing"),
    "empty list": (lambda b: (b / "SHA256SUMS").write_text(""), "line 1 is damaged"),
    "no text": (lambda b: (b / "SHA256SUMS").write_bytes(b"\xff\xfe\n"), "line 1 is damaged"),
    "way out": (
        lambda b: add_line(b, f"{'0' * 64}  ../Miller"),
        "leads out of the bundle",
    ),
    "way from the root": (
        lambda b: add_line(b, f"{'0' * 64}  /etc/hosts"),
        "leads out of the bundle",
    ),
    "way for Windows": (lambda b: add_line(b, f"{'0' * 64}  ..\\Miller"), "leads out"),
    "control characters": (lambda b: add_line(b, f"{'0' * 64}  \x1b[2J"), "is damaged"),
    "twice": (
        lambda b: add_line(b, (b / "SHA256SUMS").read_text().splitlines()[0]),
        "names a file for the second time",
    ),
    "itself": (lambda b: add_line(b, f"{'0' * 64}  SHA256SUMS"), "the list itself"),
    "link": (lambda b: link(b / "labels.csv"), "symbolic link"),
    "link of a folder": (lambda b: link(b / "previews"), "symbolic link"),
    "link nowhere": (lambda b: (b / "x").symlink_to("nowhere"), "symbolic link"),
    "round": (lambda b: (b / "previews" / "up").symlink_to(".."), "symbolic link"),
    "pipe": (lambda b: os.mkfifo(b / "x"), "something else that is not a file"),
    "list is a link": (lambda b: link(b / "SHA256SUMS"), "symbolic link"),
}


def add_line(bundle: Path, line: str) -> None:
    with (bundle / "SHA256SUMS").open("a") as file:
        file.write(line + "\n")


def link(path: Path) -> None:
    """Moves something out of the bundle and leaves a link to it, so that every byte is there."""
    outside = path.parent.parent / f"outside-{path.name}"
    path.rename(outside)
    path.symlink_to(outside)


@pytest.mark.parametrize("kind", CHANGES)
def test_what_differs_is_said_in_one_line(kind: str, bundle: Path) -> None:
    change, said = CHANGES[kind]
    change(bundle)
    ended = called("verify", bundle)
    assert (ended.code, ended.out) == (5, "")
    assert ended.err.count("\n") == 1
    assert said in ended.err
    assert "ask the sender for it again" in ended.err
    assert "Miller" not in ended.err
    assert "\x1b" not in ended.err


@pytest.mark.parametrize(
    ("forged", "said"),
    [
        ({}, "by manifest.json, 1 changed: labels.csv"),
        ({"manifest": True}, "by audit.json, 2 changed: labels.csv, manifest.json"),
    ],
)
def test_a_list_made_anew_does_not_agree_with_the_others(
    forged: dict[str, bool], said: str, bundle: Path
) -> None:
    flipped(bundle / "labels.csv")
    listed_anew(bundle, **forged)
    ended = called("verify", bundle)
    assert ended.code == 5
    assert said in ended.err


def test_a_file_that_is_listed_but_was_not_audited_is_refused(bundle: Path) -> None:
    shutil.copy(bundle / "previews" / "class0_0.png", bundle / "previews" / "class7_0.png")
    listed_anew(bundle)
    assert "by manifest.json, 1 added: previews/class7_0.png" in called("verify", bundle).err
    listed_anew(bundle, manifest=True)
    assert "by audit.json, 1 changed and 1 added" in called("verify", bundle).err
    listed_anew(bundle, manifest=True, audit=True)
    assert called("verify", bundle).code == 0, "nothing but a signature can tell"


@pytest.mark.parametrize("name", ["manifest.json", "audit.json"])
@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": 3, "audited": []}', "[" * 9**5])
def test_lists_that_are_none(name: str, text: str, bundle: Path) -> None:
    (bundle / name).write_text(text)
    listed_anew(bundle)
    ended = called("verify", bundle)
    assert (ended.code, ended.err.count("\n")) == (5, 1)
    assert name in ended.err


def test_only_a_verdict_is_repeated(bundle: Path) -> None:
    audit = json.loads((bundle / "audit.json").read_text())
    for verdict in Verdict:
        (bundle / "audit.json").write_text(json.dumps(audit | {"verdict": verdict}))
        listed_anew(bundle)
        ended = called("verify", bundle)
        assert f"verdict of the audit in it: {verdict}\n" in ended.out
        refused = verdict in (Verdict.FAIL, Verdict.INVALID)
        assert ended.code == (6 if refused else 0)
        assert (f"its audit says {verdict}" in ended.err) is refused
    for other in ("Miller\nsigned by \x1b[2J", ["PASS"], None):
        (bundle / "audit.json").write_text(json.dumps(audit | {"verdict": other}))
        listed_anew(bundle)
        ended = called("verify", bundle)
        assert (ended.code, ended.out) == (5, "")
        assert "audit.json holds no verdict" in ended.err


def other_pixel(path: Path) -> None:
    """Changes one sample of a picture by the least that there is."""
    with Image.open(path) as image:
        samples = np.asarray(image).copy()
    samples[0, 0] ^= 1
    Image.fromarray(samples).save(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda b: other_pixel(b / "previews" / "class0_0.png"),
        lambda b: (b / "previews" / "class0_0.png").unlink(),
        lambda b: (b / "previews" / "class0_0.png").write_bytes(b"\x89PNG\r\n\x1a\n"),
        lambda b: shutil.copy(b / "previews" / "class1_0.png", b / "previews" / "class0_0.png"),
        lambda b: flipped(b / "synthetic.safetensors", -1000),
    ],
)
def test_pictures_are_those_of_the_tensors(change: Change, bundle: Path) -> None:
    change(bundle)
    listed_anew(bundle, manifest=True, audit=True)
    ended = called("verify", bundle)
    assert (ended.code, ended.out) == (5, "")
    assert "1 images without a preview" in ended.err


def test_what_is_no_bundle_is_said_to_be_none(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "absent", bundle / "labels.csv", bundle.parent):
        ended = called("verify", path)
        assert ended.code == 2
        assert "not a bundle" in ended.err
        assert str(path) in ended.err


def test_what_cannot_be_read_is_not_called_whole(sent: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        bundle = Path(shutil.copytree(sent, Path(folder) / "bundle"))
        for path in bundle.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        bundle.chmod(0o755)
        closed: list[Path] = [bundle / "labels.csv", bundle / "previews", bundle]
        for path in closed:
            mode = path.stat().st_mode
            path.chmod(0)
            child = os.fork()
            if not child:
                try:
                    if not os.geteuid():  # root reads everything
                        os.setuid(65534)
                    ended = called("verify", bundle)
                    fine = ended.code == 2 and re.search("permissions|not readable", ended.err)
                finally:
                    os._exit(0 if fine else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, path.name
            path.chmod(mode)


def test_neither_a_run_nor_an_installation_nor_torch_is_needed(sent: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pipelines.cli.main import main\n"
        "main(sys.argv[1:])\n"
        "heavy = {'torch', 'numpy', 'pydicom', 'pydantic', 'scipy', 'safetensors'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    home = tmp_path / "home"
    ended = subprocess.run(
        [sys.executable, "-c", code, "verify", str(sent)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "MEDIDD_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert not home.exists()


def test_a_bundle_may_be_named_by_a_link(sent: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(sent)
    assert called("verify", tmp_path / "link").code == 0


def test_every_name_that_an_export_gives_is_repeated(sent: Path) -> None:
    names = set(files_of(sent)) - {"SHA256SUMS"}
    assert [name for name in names if not pipelines.recipient.verify._OURS.fullmatch(name)] == []


def test_a_program_that_somebody_changed_is_noticed_whatever_the_lists_say(bundle: Path) -> None:
    path = bundle / "train.py"
    path.write_text(path.read_text() + "print()\n")
    listed_anew(bundle, manifest=True, audit=True)
    ended = called("verify", bundle)
    assert (ended.code, ended.err.count("\n")) == (5, 1)
    assert "train.py: not as medidd" in ended.err
    path.unlink()
    listed_anew(bundle, manifest=True, audit=True)
    assert called("verify", bundle).code == 5


def test_programs_of_another_version_are_not_said_to_be_ours(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["versions"]["medidd"] = "99.0"
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    (bundle / "train.py").write_text("print()\n")
    listed_anew(bundle, manifest=True, audit=True)
    ended = called("verify", bundle)
    assert ended.code == 0
    assert "of another version" in ended.out
    assert json.loads(called("verify", bundle, "--json").out)["published"] is None


def test_the_published_list_of_programs_is_that_of_the_code() -> None:
    said = (ROOT / "docs" / "programs.sha256").read_bytes()
    assert said == sums({name: program(name) for name in PROGRAMS}), (
        "python -m pipelines.bundle.programs > docs/programs.sha256"
    )
