"""A bundle leaves only if the audits of exactly these bytes pass, and names nobody."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from invented_cohort import (
    MARK,
    Made,
    Source,
    called,
    copied,
    distill,
    files_of,
    found_in,
    traces,
    tree,
)

import pipelines.export
from pipelines.store import Run
from pipelines.synthetic import read_release

FILES = {
    "synthetic.safetensors",
    "manifest.json",
    "labels.csv",
    "README.md",
    "loader.py",
    "audit.json",
    "audit.html",
    "SHA256SUMS",
    "previews/class0_0.png",
    "previews/class1_0.png",
}


@pytest.fixture(scope="module")
def passing(everybody: Made, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose audit says PASS: as small as it is, it has learned nothing about anybody."""
    run = copied(everybody.path, tmp_path_factory.mktemp("passing") / "run")
    ended = called("audit", run, "--json")
    assert ended.code == 0, ended.err
    said = json.loads(ended.out)
    assert said["verdict"] == "PASS", said["reasons"]
    return Run(run)


@pytest.fixture(scope="module")
def bundle(passing: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What leaves of ``passing``."""
    to = tmp_path_factory.mktemp("outside") / "bundle"
    ended = called("export", passing.path, "--to", to)
    assert ended.code == 0, ended.err
    return to


def test_a_bundle_has_its_files_and_no_others(bundle: Path) -> None:
    assert set(files_of(bundle)) == FILES
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]


def test_sha256sum_agrees(bundle: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=bundle, check=True)
    listed = {line.split("  ")[1] for line in (bundle / "SHA256SUMS").read_text().splitlines()}
    assert listed == FILES - {"SHA256SUMS"}


def test_the_manifest_and_the_audit_speak_of_the_files_in_the_bundle(bundle: Path) -> None:
    def digest(name: str) -> str:
        return hashlib.sha256((bundle / name).read_bytes()).hexdigest()

    manifest = json.loads((bundle / "manifest.json").read_text())
    audited = json.loads((bundle / "audit.json").read_text())["audited"]
    assert manifest["files"] == {name: digest(name) for name in manifest["files"]}
    assert audited == {name: digest(name) for name in audited}
    assert set(manifest["files"]) == set(audited) - {"manifest.json"}
    assert set(audited) == FILES - {"audit.json", "audit.html", "SHA256SUMS"}


LOADER = """
import sys
class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"medidd", "pipelines", "privacy", "monai", "pydicom", "sklearn"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refusing())
import torch
from torch.utils.data import DataLoader
from loader import SyntheticImages
data = SyntheticImages()
image, label = data[0]
assert len(data) == 2 and image.shape == (1, 16, 16) and label.shape == (2,)
images, labels = next(iter(DataLoader(data, batch_size=2)))
torch.save((images, labels), sys.argv[1])
"""


def test_the_loader_gives_the_images_of_the_run(bundle: Path, passing: Run, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "elsewhere")
    subprocess.run(
        [sys.executable, "-c", LOADER, str(tmp_path / "seen.pt")],
        cwd=tmp_path / "elsewhere",
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        check=True,
    )
    images, labels = torch.load(tmp_path / "seen.pt", weights_only=True)
    release = read_release(passing)
    torch.testing.assert_close(images, release.images)
    assert torch.equal(labels, release.labels)


def test_no_byte_of_a_bundle_names_anybody_or_where_the_films_are(
    bundle: Path, everybody: Made, passing: Run
) -> None:
    texts = [(name, path.read_bytes()) for name, path in files_of(bundle).items()]
    wanted = [*traces(everybody.source), str(passing.path).encode(), str(bundle).encode(), b"/tmp/"]
    assert found_in(texts, wanted) == []


def test_outsiders_are_told_counts_by_tens_and_two_decimals(bundle: Path, passing: Run) -> None:
    """Exact counts tell whether one more patient was there."""
    inside = json.loads(passing.audit.read_text())
    (attack,) = [f for f in inside["findings"] if f["audit"] == "A2"]
    roles = list(json.loads(passing.ledger.read_text()).values())
    members, controls = roles.count("member"), roles.count("control")
    assert (attack["details"]["members"], attack["details"]["controls"]) == (members, controls)
    assert 0 not in (members % 10, controls % 10), "choose another cohort: counts are round"
    for name in ("audit.json", "audit.html", "manifest.json", "README.md", "labels.csv"):
        text = (bundle / name).read_text()
        text = re.sub(r"\b[0-9a-f]{64}\b|<style>.*?</style>", "", text, flags=re.DOTALL)
        exact = rf"(?<![\d.])({members}|{controls}|{members + controls})(?![\d.])"
        assert re.findall(exact, text) == [], name
    wording = json.loads((bundle / "audit.json").read_text())["wording"]
    assert f"about {round(members, -1)} patients" in wording
    assert f"about {round(controls, -1)} controls" in wording
    text = (bundle / "audit.json").read_text() + (bundle / "audit.html").read_text()
    assert re.findall(r"\d\.\d{3,}", re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)) == []
    metrics = json.loads((bundle / "manifest.json").read_text())["metrics"]
    values = [v for row in metrics.values() for metric in row.values() for v in metric.values()]
    assert values == [round(value, 2) for value in values]


def test_the_report_for_outsiders_shows_no_finding_in_words(bundle: Path) -> None:
    report = json.loads((bundle / "audit.json").read_text())
    allowed = {"audit", "name", "verdict", "upper bound", "limit"}
    assert all(set(finding) == allowed for finding in report["findings"])
    page = (bundle / "audit.html").read_text()
    assert "<script" not in page
    assert "<img" not in page
    assert not re.search(r"https?:", page)
    assert "default-src 'none'" in page


def test_a_bundle_is_not_written_over_another(passing: Run, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("years of work")
    before = tree(tmp_path)
    ended = called("export", passing.path, "--to", tmp_path / "taken")
    assert ended.code == 2
    assert "--to" in ended.err
    assert tree(tmp_path) == before


def test_an_empty_folder_is_taken(passing: Run, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ended = called("export", passing.path, "--to", tmp_path / "empty", "--json")
    assert ended.code == 0
    assert set(json.loads(ended.out)["files"]) == FILES
    assert tree(tmp_path / "empty") == tree(bundle)


def test_a_bundle_that_cannot_be_written_leaves_nothing(passing: Run, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    before = tree(tmp_path)
    ended = called("export", passing.path, "--to", tmp_path / "note.txt" / "bundle")
    assert ended.code == 2
    assert "--to" in ended.err
    assert tree(tmp_path) == before


def test_a_disk_that_fails_halfway_leaves_nothing(
    passing: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrote = []

    def failing(path: Path, content: bytes) -> None:
        if wrote:
            raise OSError(28, "No space left on device")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        wrote.append(path)

    monkeypatch.setattr(pipelines.export, "write", failing)
    ended = called("export", passing.path, "--to", tmp_path / "bundle")
    assert ended.code == 2
    assert wrote
    assert tree(tmp_path) == []


def test_a_release_changed_after_its_audit_is_audited_anew(passing: Run, tmp_path: Path) -> None:
    run = Run(copied(passing.path, tmp_path / "run"))
    old = json.loads(run.audit.read_text())["sha256"]
    data = bytearray(run.release.read_bytes())
    data[-100] ^= 1
    run.release.write_bytes(bytes(data))
    ended = called("export", run.path, "--to", tmp_path / "bundle")
    new = json.loads(run.audit.read_text())
    assert new["sha256"] != old
    assert (ended.code == 0) == (new["verdict"] == "PASS")
    assert "audit (standard)" in ended.err


def test_a_release_changed_while_it_is_exported_does_not_leave(
    passing: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(run: Run) -> dict[str, bytes]:
        files = dict(contents(run))
        files["labels.csv"] += b"\n"
        return files

    contents = pipelines.export.contents
    monkeypatch.setattr(pipelines.export, "contents", other)
    ended = called("export", passing.path, "--to", tmp_path / "bundle")
    assert ended.code == 6
    assert "not those of the manifest" in ended.err
    assert tree(tmp_path) == []


def test_an_identifier_in_a_file_stops_it_at_the_last_moment(
    passing: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_a_name(*_: object) -> dict[str, bytes]:
        return {"audit.json": f'{{"note": "{MARK}ID0001"}}'.encode()}

    monkeypatch.setattr(pipelines.export, "audit_report", with_a_name)
    ended = called("export", passing.path, "--to", tmp_path / "bundle")
    assert ended.code == 6
    assert "audit.json" in ended.err
    assert MARK not in ended.err
    assert tree(tmp_path) == []


def test_a_screening_is_not_enough_to_export(passing: Run, tmp_path: Path) -> None:
    run = Run(copied(passing.path, tmp_path / "run"))
    assert called("audit", run.path, "--level", "screen").code == 0
    said = json.loads(run.audit.read_text())
    assert (said["level"], said["verdict"]) == ("screen", "INCONCLUSIVE")
    assert called("export", run.path, "--to", tmp_path / "bundle").code == 0
    assert json.loads(run.audit.read_text())["level"] == "standard"


def test_too_few_controls_are_not_enough_to_export(made: Made, tmp_path: Path) -> None:
    run = copied(made.path, tmp_path / "run")
    ended = called("export", run, "--to", tmp_path / "bundle")
    assert ended.code == 6
    assert not (tmp_path / "bundle").exists()


def test_films_themselves_never_leave(source: Source, tmp_path: Path) -> None:
    assert distill(source, tmp_path / "run", "--method", "random").code == 0
    ended = called("export", tmp_path / "run", "--to", tmp_path / "bundle")
    assert ended.code == 6
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    audit = json.loads((tmp_path / "run" / "audit.json").read_text())
    assert audit["verdict"] == "FAIL"
    assert {reason.split(":")[0] for reason in audit["reasons"]} >= {"G2", "A5"}
    for name in ("G2", "A5"):
        assert f"{name}: " in ended.err


def test_a_class_named_like_a_patient_is_refused(source: Source, tmp_path: Path) -> None:
    """One class bears the PatientID of one of many: ingest cannot know, the audit can."""
    table = tmp_path / "table.csv"
    table.write_text(source.labels.read_text().replace(",normal", f",{MARK}ID0003"))
    run = tmp_path / "run"
    ended = distill(source, run, "--labels", table)
    if ended.code == 0:
        ended = called("export", run, "--to", tmp_path / "bundle")
        assert ended.code == 6
        assert "G4: " in ended.err
    assert ended.code in (3, 6)
    assert not (tmp_path / "bundle").exists()
