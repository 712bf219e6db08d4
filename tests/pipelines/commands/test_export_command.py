"""A bundle leaves only if the audits of exactly these bytes pass, and names nobody."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
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
    forgotten,
    found_in,
    traces,
    tree,
)
from own_policy import own_policy
from ruling import ending, rule

import pipelines.commands.export
import pipelines.evaluation.utility
import pipelines.run.folders
from medidd.architectures import convnet
from medidd.evaluate import train
from pipelines.evaluation.utility import told
from pipelines.run import ledger
from pipelines.run.release_file import read_release
from pipelines.run.results import read_audit, read_metrics, write_metrics
from pipelines.run.store import Run, read_json
from privacy.decision import Acceptance
from privacy.policy import Policy

FILES = {
    "synthetic.safetensors",
    "manifest.json",
    "labels.csv",
    "README.md",
    "loader.py",
    "train.py",
    "preparation.json",
    "prepare.py",
    "radiograph.py",
    "display.py",
    "networks.py",
    "own.py",
    "kernels.py",
    "score.py",
    "croissant.json",
    "audit.json",
    "audit.html",
    "SHA256SUMS",
    "previews/class0_0.png",
    "previews/class1_0.png",
}


@pytest.fixture
def entered() -> Callable[[], list[str]]:
    """What the test has entered in the ledger so far."""
    before = len(ledger.entries())
    return lambda: [one.kind for one in ledger.entries()[before:]]


@pytest.fixture(scope="module")
def bundle(passing: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What leaves of ``passing``."""
    to = tmp_path_factory.mktemp("outside") / "bundle"
    with forgotten():
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
THERE = {"loader", "train", "networks", "own", "kernels", "score", "torch", "safetensors"}
OF_TORCH = {"torchgen", "functorch", "typing_extensions", "sympy", "mpmath", "networkx", "jinja2"}
OF_TORCH |= {"markupsafe", "fsspec", "filelock"}
class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in THERE | OF_TORCH | sys.stdlib_module_names:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Refusing())
import torch
from torch.utils.data import DataLoader
from loader import SyntheticImages
data = SyntheticImages()
assert isinstance(data, torch.utils.data.Dataset)
image, label = data[0]
assert len(data) == 2 and image.shape == (1, 16, 16) and label.shape == (2,)
images, labels = next(iter(DataLoader(data, batch_size=2)))
import own
from train import predict, trained
sys.meta_path.pop(0)  # the optimizers of torch look for many packages that may be there
networks = trained(seed=1)
assert len(networks) == data.facts["training"]["networks"]
assert len(trained(network="lenet")[0].state_dict()) == 10
try:
    own.classifier()
except ValueError as fault:
    assert str(fault) == "the method dm has no classifier of its own; use train.py"
weights = networks[0].state_dict()
assert not {"medidd", "pipelines", "privacy", "pydicom", "opacus"} & sys.modules.keys()
torch.save((images, labels, weights, predict(networks[:1], images)), sys.argv[1])
"""


def test_the_code_of_a_bundle_reads_the_images_and_trains_as_medidd_does(
    bundle: Path, passing: Run, tmp_path: Path
) -> None:
    shutil.copytree(bundle, tmp_path / "elsewhere")
    subprocess.run(
        [sys.executable, "-c", LOADER, str(tmp_path / "seen.pt")],
        cwd=tmp_path / "elsewhere",
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        check=True,
    )
    images, labels, weights, predicted = torch.load(tmp_path / "seen.pt", weights_only=True)
    release = read_release(passing)
    torch.testing.assert_close(images, release.images)
    assert torch.equal(labels, release.labels)
    width = release.facts["training"]["width"]
    network = convnet(2, 1, 16, width=width)
    how = pipelines.evaluation.utility.RECIPIENT
    assert told(how, width) == release.facts["training"]
    theirs = train(network, images, labels, how, torch.Generator().manual_seed(1))
    torch.testing.assert_close(weights, theirs)
    torch.testing.assert_close(network(weights, images).softmax(1), predicted)


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
    text = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    assert re.findall(r"\b(?!164\.514)\d+\.\d{3,}", text) == []  # but for a paragraph of HIPAA
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
    passing: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    entered: Callable[[], list[str]],
) -> None:
    wrote = []

    def failing(path: Path, content: bytes) -> None:
        if wrote:
            raise OSError(28, "No space left on device")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        wrote.append(path)

    monkeypatch.setattr(pipelines.run.folders, "write", failing)
    ended = called("export", passing.path, "--to", tmp_path / "bundle")
    assert ended.code == 2
    assert wrote
    assert tree(tmp_path) == []
    assert entered() == []


def test_an_export_is_entered_before_its_first_byte_is_written(
    passing: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    entered: Callable[[], list[str]],
) -> None:
    seen = []

    def looking(path: Path, content: bytes) -> None:
        if not seen:
            assert not path.exists()
        seen.append(entered())
        write(path, content)

    write = pipelines.run.folders.write
    monkeypatch.setattr(pipelines.run.folders, "write", looking)
    assert called("export", passing.path, "--to", tmp_path / "bundle").code == 0
    assert seen == [["export"]] * len(FILES)
    entry = ledger.entries()[-1]
    roles = json.loads(passing.ledger.read_text())
    members = {one for one, role in roles.items() if role == "member"}
    others = {one for one, role in roles.items() if role != "member"}
    assert members <= set(entry.people)
    assert not others & set(entry.people)
    data = (tmp_path / "bundle" / "synthetic.safetensors").read_bytes()
    assert entry.release == hashlib.sha256(data).hexdigest()
    assert (entry.verdict, entry.level, entry.accepted) == ("PASS", "standard", None)


def test_whoever_is_killed_while_writing_has_exported(
    passing: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    entered: Callable[[], list[str]],
) -> None:
    def dies(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(pipelines.run.folders, "write", dies)
        child = os.fork()
        if not child:
            called("export", passing.path, "--to", tmp_path / "bundle")
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert not (tmp_path / "bundle").exists()
    assert entered() == ["export"]
    assert called("export", passing.path, "--to", tmp_path / "bundle").code == 0


def test_the_same_bytes_may_leave_twice(
    passing: Run, bundle: Path, tmp_path: Path, entered: Callable[[], list[str]]
) -> None:
    for name in ("one", "two"):
        assert called("export", passing.path, "--to", tmp_path / name).code == 0
    assert tree(tmp_path / "one") == tree(tmp_path / "two") == tree(bundle)
    assert entered() == ["export", "export"]


def test_other_images_of_the_same_patients_do_not_leave(
    passing: Run, tmp_path: Path, entered: Callable[[], list[str]]
) -> None:
    assert called("export", passing.path, "--to", tmp_path / "first").code == 0
    run = altered(passing, tmp_path / "run")
    ended = called("export", run.path, "--to", tmp_path / "second")
    assert ended.code == 6
    assert "subtracted from each other" in ended.err
    assert not (tmp_path / "second").exists()
    assert entered() == ["export", "audit"]


def test_a_policy_that_asks_for_less_is_called_so_wherever_one_looks(
    passing: Run, bundle: Path, tmp_path: Path
) -> None:
    run = Run(copied(passing.path, tmp_path / "run"))
    policy = tmp_path / "policy.toml"
    policy.write_text(own_policy(residual_risk=0.15))
    ended = called("export", run.path, "--policy", policy, "--to", tmp_path / "bundle")
    assert ended.code == 0, ended.err
    for folder, weaker in ((tmp_path / "bundle", True), (bundle, False)):
        page, card = (folder / "audit.html").read_text(), (folder / "README.md").read_text()
        assert ("PASS</strong> by a policy of their own at level standard" in page) is weaker
        assert ("Audited by a policy of their own" in card) is weaker
        assert read_json(folder / "audit.json")["by a policy of their own"] is weaker
        assert called("verify", folder).code == 0


def test_reports_say_how_often_these_patients_were_audited_before(
    passing: Run, bundle: Path, tmp_path: Path
) -> None:
    refused = copied(passing.path, tmp_path / "refused")
    run = altered(passing, tmp_path / "run")
    assert called("audit", run.path).code == 0
    before = read_audit(run)["audited before"]
    assert before["releases"] >= 1
    rule(Run(refused), ending("A6", "FAIL"))
    assert called("audit", run.path).code == 0
    after = read_audit(run)["audited before"]
    assert after == before | {"refused": before["refused"] + 1}
    count = f"{after['releases']} other release{'s' if after['releases'] > 1 else ''}"
    said = f"Audited before: {count} of these patients by this installation, {after['refused']} ref"
    for page in ("report.html", "private/audit/report.html"):
        assert said in (run.path / page).read_text()
    assert called("export", run.path, "--to", tmp_path / "bundle").code == 0
    assert said in (tmp_path / "bundle" / "audit.html").read_text()
    assert "<p>Audited before: " in (bundle / "audit.html").read_text()


def test_what_one_audit_refused_no_other_takes_back(passing: Run, tmp_path: Path) -> None:
    """As where a screening refuses, and somebody tries level standard instead."""
    run = Run(copied(passing.path, tmp_path / "run"))
    rule(run, ending("A6", "FAIL"), level="screen")
    shutil.copy(passing.audit, run.audit)  # the audit that passed
    assert called("export", run.path, "--to", tmp_path / "bundle").code == 6
    ended = called("audit", run.path, "--json")
    said = json.loads(ended.out)
    assert said["verdict"] == "FAIL"
    assert [finding["verdict"] for finding in said["findings"]].count("FAIL") == 0
    assert said["reasons"][0].startswith("A6: An audit at level screen on 20")
    ended = called("export", run.path, "--to", tmp_path / "bundle")
    assert ended.code == 6
    assert "at level screen on 20" in ended.err
    assert "--seed" in ended.err
    assert not (tmp_path / "bundle").exists()


def test_of_two_exports_at_once_one_is_refused(
    passing: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one comes between this one's audit and its last look."""
    run = altered(passing, tmp_path / "run")
    assert called("audit", run.path).code == 0

    def overtaken(path: Path, policy: Policy) -> object:
        with monkeypatch.context() as patch:
            patch.setattr(pipelines.commands.export, "passed", passed)
            assert called("export", run.path, "--to", tmp_path / "other").code == 0
        return passed(path, policy)

    passed = pipelines.commands.export.passed
    monkeypatch.setattr(pipelines.commands.export, "passed", overtaken)
    ended = called("export", passing.path, "--to", tmp_path / "bundle")
    assert ended.code == 6
    assert "subtracted from each other" in ended.err
    assert not (tmp_path / "bundle").exists()


def altered(run: Run, to: Path) -> Run:
    """A copy of a run with other images: one level of one pixel differs."""
    other = Run(copied(run.path, to))
    data = bytearray(other.release.read_bytes())
    data[-100] ^= 1
    other.release.write_bytes(bytes(data))
    write_metrics(other, read_metrics(run))
    return other


@pytest.fixture(scope="module")
def stricter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy under which this cohort is too small."""
    path = tmp_path_factory.mktemp("policy") / "policy.toml"
    path.write_text(own_policy(least_controls=100))
    return path


@pytest.fixture(scope="module")
def undecided(
    passing: Run, stricter: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Run, Path]:
    """A run whose audit says INCONCLUSIVE, and the policy that it was audited by."""
    run = Run(copied(passing.path, tmp_path_factory.mktemp("undecided") / "run"))
    ended = called("audit", run.path, "--policy", stricter, "--json")
    assert json.loads(ended.out)["verdict"] == "INCONCLUSIVE", ended.out
    return run, stricter


WORD = ("--accept-inconclusive", "For a course in statistics.", "--approver", "A. Nother")


def test_what_is_not_decided_leaves_on_a_persons_word_alone(
    undecided: tuple[Run, Path], tmp_path: Path
) -> None:
    run, policy = undecided
    arguments = ("export", run.path, "--policy", policy, "--to", tmp_path / "bundle")
    assert called(*arguments).code == 6
    assert not (tmp_path / "bundle").exists()
    ended = called(*arguments, *WORD)
    assert ended.code == 0, ended.err
    assert set(files_of(tmp_path / "bundle")) == FILES
    audit = json.loads((tmp_path / "bundle" / "audit.json").read_text())
    assert audit["verdict"] == "INCONCLUSIVE"
    assert audit["accepted"] == {"reason": WORD[1], "approver": WORD[3]}
    assert "Not decided" in audit["wording"]
    assert "not exported" not in audit["wording"]
    for text in (
        ended.out,
        (tmp_path / "bundle" / "audit.html").read_text(),
        (tmp_path / "bundle" / "README.md").read_text(),
    ):
        assert WORD[1] in text
        assert WORD[3] in text
    entry = ledger.entries()[-1]
    assert (entry.kind, entry.verdict) == ("export", "INCONCLUSIVE")
    assert entry.accepted == Acceptance(WORD[1], WORD[3])


def test_a_bundle_on_a_persons_word_is_as_whole_and_as_coarse_as_another(
    undecided: tuple[Run, Path], everybody: Made, tmp_path: Path
) -> None:
    run, policy = undecided
    bundle = tmp_path / "bundle"
    arguments = ("export", run.path, "--policy", policy, "--to", bundle, *WORD)
    assert json.loads(called(*arguments, "--json").out)["accepted"]["approver"] == WORD[3]
    test_sha256sum_agrees(bundle)
    test_the_manifest_and_the_audit_speak_of_the_files_in_the_bundle(bundle)
    test_no_byte_of_a_bundle_names_anybody_or_where_the_films_are(bundle, everybody, run)
    roles = list(json.loads(run.ledger.read_text()).values())
    controls = roles.count("control")
    assert f"{controls} controls" in run.audit.read_text()
    wording = json.loads((bundle / "audit.json").read_text())["wording"]
    assert "A2 (" in wording
    assert str(controls) not in wording


@pytest.mark.parametrize("option", ["--accept-inconclusive", "--approver"])
def test_a_word_that_names_a_patient_is_refused_and_not_repeated(
    undecided: tuple[Run, Path],
    tmp_path: Path,
    option: str,
    entered: Callable[[], list[str]],
) -> None:
    run, policy = undecided
    words = dict(zip(WORD[::2], WORD[1::2], strict=True)) | {option: f"{MARK}ID0003 agrees"}
    given = [one for pair in words.items() for one in pair]
    ended = called("export", run.path, "--policy", policy, "--to", tmp_path / "bundle", *given)
    assert ended.code == 6
    assert option in ended.err
    assert MARK not in ended.err
    assert tree(tmp_path) == []
    assert entered() == []


@pytest.mark.parametrize("verdict", ["FAIL", "INVALID"])
def test_nobody_can_accept_what_is_refused(
    undecided: tuple[Run, Path], tmp_path: Path, verdict: str
) -> None:
    run, policy = Run(copied(undecided[0].path, tmp_path / "run")), undecided[1]
    rule(run, ending("A6", verdict))
    ended = called("export", run.path, "--policy", policy, "--to", tmp_path / "bundle", *WORD)
    assert ended.code == 6
    assert f"nobody can accept {verdict}" in ended.err
    assert not (tmp_path / "bundle").exists()


def test_nobody_accepts_what_has_passed(passing: Run, tmp_path: Path) -> None:
    ended = called("export", passing.path, "--to", tmp_path / "bundle", *WORD)
    assert ended.code == 2
    assert "nothing to accept" in ended.err
    assert tree(tmp_path) == []


def test_an_audit_by_another_policy_does_not_count(
    undecided: tuple[Run, Path], tmp_path: Path
) -> None:
    run = Run(copied(undecided[0].path, tmp_path / "run"))
    assert called("export", run.path, "--to", tmp_path / "bundle").code == 0
    said = json.loads(run.audit.read_text())
    assert (said["verdict"], said["policy"]["least_controls"]) == ("PASS", 50)


def test_a_release_changed_after_its_audit_is_audited_anew(passing: Run, tmp_path: Path) -> None:
    old = json.loads(passing.audit.read_text())["sha256"]
    run = altered(passing, tmp_path / "run")
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

    contents = pipelines.commands.export.contents
    monkeypatch.setattr(pipelines.commands.export, "contents", other)
    ended = called("export", passing.path, "--to", tmp_path / "bundle")
    assert ended.code == 6
    assert "not those of the manifest" in ended.err
    assert tree(tmp_path) == []


def test_an_identifier_in_a_file_stops_it_at_the_last_moment(
    passing: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_a_name(*_: object) -> dict[str, bytes]:
        return {"audit.json": f'{{"note": "{MARK}ID0001"}}'.encode()}

    monkeypatch.setattr(pipelines.commands.export, "audit_report", with_a_name)
    ended = called("export", passing.path, "--to", tmp_path / "bundle")
    assert ended.code == 6
    assert "audit.json" in ended.err
    assert MARK not in ended.err
    assert tree(tmp_path) == []


def test_a_screening_is_not_enough_to_export(
    passing: Run, tmp_path: Path, entered: Callable[[], list[str]]
) -> None:
    run = Run(copied(passing.path, tmp_path / "run"))
    assert called("audit", run.path, "--level", "screen").code == 0
    said = json.loads(run.audit.read_text())
    assert (said["level"], said["verdict"]) == ("screen", "INCONCLUSIVE")
    assert called("export", run.path, "--to", tmp_path / "bundle").code == 0
    assert json.loads(run.audit.read_text())["level"] == "standard"
    assert entered() == ["audit", "audit", "export"]


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
