"""Nothing but the audit of exactly these bytes lets them leave: every edit ends in one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from invented_cohort import MARK, SMALL, Made, Source, called, copied, distill, tree
from ruling import ending, rule
from safetensors.torch import load_file

from medidd.evaluate import RECIPIENT
from pipelines.bundle.contents import contents, decode
from pipelines.bundle.declared import declared
from pipelines.evaluation.utility import told
from pipelines.learning.opened_run import open_run
from pipelines.learning.plan import Plan
from pipelines.learning.promise import stated
from pipelines.run.budget import Budget
from pipelines.run.installation import home
from pipelines.run.release_file import Release, read_release
from pipelines.run.results import (
    read_audit,
    read_metrics,
    release_hash,
    write_audit,
    write_metrics,
)
from pipelines.run.store import Json, Run
from privacy import Evidence, Finding, Verdict, load_policy
from privacy.gates.contents import contents as only_a_release

Edit = Callable[[Run], object]

AUDIT = ("audit.json", "damaged, or not as medidd wrote it here", "medidd audit ")
METRICS = ("metrics.json", "not as medidd wrote it here", "--resume")
CONTRADICTS = ("audit.json", "does not follow from its findings", "medidd audit ")
UNKNOWN = ("audit.json", "the ledger of this installation knows no such audit", "medidd audit ")
GONE = ("damaged or missing", "restore the ledger from a backup")
ROLES = ("private/ledger.json", "not the members and controls that were drawn", "medidd distill")
ELSEWHERE = ("another installation", "MEDIDD_HOME")


def edited(name: str, **changes: Json) -> Edit:
    """Changes a JSON file as an editor would."""

    def edit(run: Run) -> None:
        path = run.path / name
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


def resealed(**changes: Json) -> Edit:
    """Changes an audit as somebody would who can seal it."""
    return lambda run: write_audit(run, read_audit(run) | changes)


def written(name: str, text: str) -> Edit:
    return lambda run: (run.path / name).write_text(text)


def truncated(name: str) -> Edit:
    def edit(run: Run) -> None:
        data = (run.path / name).read_bytes()
        (run.path / name).write_bytes(data[: len(data) // 2])

    return edit


def without_seal(name: str) -> Edit:
    """As a version before this one wrote it."""

    def edit(run: Run) -> None:
        said = json.loads((run.path / name).read_text())
        del said["seal"]
        (run.path / name).write_text(json.dumps(said))

    return edit


def after(verdict: str, then: Edit) -> Edit:
    """An audit that ended so, and then an edit."""

    def edit(run: Run) -> None:
        rule(run, ending("A6", verdict))
        then(run)

    return edit


def screened(run: Run) -> None:
    rule(run, lambda _: None, level="screen")
    edited("audit.json", level="standard", verdict="PASS", reasons=[])(run)


def films_instead(run: Run) -> None:
    """Members' films as the release, and their hashes where those of the release were."""
    release = read_release(run)
    films = open_run(run).patients.members.images[: len(release.levels)]
    levels = (films * 4095).round().to(torch.uint16)
    run.release.write_bytes(Release(levels, release.labels, release.facts).to_bytes())
    hashes = json.loads(run.audit.read_text())["sha256"]
    edited("audit.json", sha256=hashes | {"synthetic.safetensors": release_hash(run)})(run)


def better(run: Run) -> None:
    said = json.loads(run.metrics.read_text())
    said["synthetic"]["auc"]["mean"] = 0.999
    run.metrics.write_text(json.dumps(said))


def of_other_images(run: Run) -> None:
    """A release that was changed after its metrics were measured."""
    data = bytearray(run.release.read_bytes())
    data[-100] ^= 1
    run.release.write_bytes(bytes(data))


def forgetting(*names: str) -> Edit:
    """Removes files of the installation; ``newest`` is the newest entry."""

    def edit(_: Run) -> None:
        for name in names:
            path = home() / name
            if name == "newest":
                max((home() / "ledger").glob("*.json")).unlink()
            elif path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    return edit


def newest_edited(_: Run) -> None:
    path = max((home() / "ledger").glob("*.json"))
    path.write_text(path.read_text().replace("FAIL", "PASS"))


def roles_swapped(run: Run) -> None:
    roles = json.loads(run.ledger.read_text())
    other = {"member": "control", "control": "member"}
    run.ledger.write_text(json.dumps({one: other[role] for one, role in roles.items()}))


def both(*edits: Edit) -> Edit:
    return lambda run: [edit(run) for edit in edits]


PASS_ = edited("audit.json", verdict="PASS", reasons=[])
FAIL_HIDDEN = both(lambda run: rule(run, ending("A6", "FAIL")), PASS_)

EDITS: dict[str, tuple[Edit, int, tuple[str, ...]]] = {
    "undecided made PASS": (after("INCONCLUSIVE", PASS_), 6, AUDIT),
    "FAIL made PASS": (FAIL_HIDDEN, 6, AUDIT),
    "a screening made standard": (screened, 6, AUDIT),
    "no finding": (edited("audit.json", findings=[]), 6, AUDIT),
    "members' films as the release": (films_instead, 6, AUDIT),
    "other metrics": (better, 6, METRICS),
    "another release": (of_other_images, 6, METRICS),
    "half an audit": (truncated("audit.json"), 6, AUDIT),
    "an empty audit": (written("audit.json", ""), 6, AUDIT),
    "a list for an audit": (written("audit.json", "[]"), 6, AUDIT),
    "deep brackets": (written("audit.json", "[" * 9**5), 6, AUDIT),
    "no text": (lambda run: run.audit.write_bytes(b"\xff\xfe"), 6, AUDIT),
    "an old audit": (without_seal("audit.json"), 6, AUDIT),
    "a seal that is no text": (edited("audit.json", seal=3), 6, AUDIT),
    "old metrics": (without_seal("metrics.json"), 6, METRICS),
    "half of the metrics": (truncated("metrics.json"), 6, METRICS),
    "metrics for an audit": (lambda run: shutil.copy(run.metrics, run.audit), 6, AUDIT),
    "no metrics": (lambda run: run.metrics.unlink(), 6, METRICS),
    "sealed: undecided made PASS": (
        after("INCONCLUSIVE", resealed(verdict="PASS", reasons=[])),
        6,
        CONTRADICTS,
    ),
    "sealed: no finding": (resealed(findings=[]), 6, CONTRADICTS),
    "sealed: other reasons": (after("INCONCLUSIVE", resealed(reasons=["fine"])), 6, CONTRADICTS),
    "sealed: a number lost": (
        lambda run: write_audit(
            run,
            read_audit(run)
            | {"findings": [one | {"value": None} for one in read_audit(run)["findings"]]},
        ),
        6,
        CONTRADICTS,
    ),
    "ledger and count of an earlier day": (forgetting("ledger", "entries"), 6, UNKNOWN),
    "FAIL, no ledger": (both(FAIL_HIDDEN, forgetting("ledger")), 2, GONE),
    "FAIL, no newest entry": (both(FAIL_HIDDEN, forgetting("newest")), 2, GONE),
    "FAIL, newest entry edited": (both(FAIL_HIDDEN, newest_edited), 2, GONE),
    "FAIL, no count": (both(FAIL_HIDDEN, forgetting("entries")), 2, ("entries", GONE[0])),
    "roles swapped": (roles_swapped, 6, ROLES),
    "half of the roles": (truncated("private/ledger.json"), 6, ROLES),
    "no check value": (lambda run: edited("run.json", key=None)(run), 2, ("an older medidd",)),
    "another check value": (edited("run.json", key="0" * 16), 2, ELSEWHERE),
    "half a job": (truncated("run.json"), 2, ("run.json", "damaged")),
}


@pytest.mark.parametrize("name", EDITS)
def test_no_edit_lets_a_release_leave(passing: Run, tmp_path: Path, name: str) -> None:
    edit, code, said = EDITS[name]
    run = Run(copied(passing.path, tmp_path / "run"))
    edit(run)
    before = tree(run.path)
    ended = called("export", run.path, "--to", tmp_path / "bundle")
    assert (ended.code, ended.out) == (code, "")
    (line,) = ended.err.splitlines()
    assert all(word in line for word in said), line
    assert not (tmp_path / "bundle").exists()
    (run.private / ".lock").touch()
    assert tree(run.path) == before


def test_a_damaged_result_is_made_anew_by_its_remedy(
    passing: Run, everybody: Made, tmp_path: Path
) -> None:
    run = Run(copied(passing.path, tmp_path / "run"))
    metrics, audit = run.metrics.read_bytes(), read_audit(run)
    run.metrics.write_text("{")
    better_row = run.private / "worth" / "convnet" / "synthetic.json"
    better_row.write_text(better_row.read_text().replace("0.", "0.9", 1))
    ended = distill(everybody.source, run.path, "--ipc", 1, "--resume")
    assert ended.code == 0, ended.err
    assert run.metrics.read_bytes() == metrics
    run.audit.write_text("{")
    assert called("audit", run.path).code == 0
    # How often these patients were audited before is told anew.
    assert read_audit(run) | {"audited before": None} == audit | {"audited before": None}
    assert called("export", run.path, "--to", tmp_path / "bundle").code == 0


def test_nothing_is_done_with_a_folder_of_another_installation(
    made: Made, experts: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by another account, with sudo or in a new container: no identifier is recognised there."""
    films, dicom = tmp_path / "films", ("--dicom-dir", made.source.folder)
    assert called("ingest", *dicom, "--size", 16, "--out", films).code == 0
    run = copied(made.path, tmp_path / "run")
    before = tree(run)
    monkeypatch.setenv("MEDIDD_HOME", str(tmp_path / "home"))
    matching = ("--method", "mtt", "--experts", experts.path)
    for arguments in (
        ("audit", run),
        ("export", run, "--to", tmp_path / "bundle"),
        ("evaluate", run),
        ("distill", *dicom, "--ipc", 3, *SMALL, "--out", run, "--resume"),
        ("ingest", *dicom, "--size", 16, "--out", films),
        ("distill", *dicom, "--ipc", 1, *SMALL, *matching, "--out", tmp_path / "other"),
    ):
        ended = called(*arguments)
        assert (ended.code, ended.out) == (2, ""), arguments
        (line,) = ended.err.splitlines()
        assert all(word in line for word in ELSEWHERE), line
    assert tree(run) == before
    assert {path.name for path in tmp_path.iterdir()} == {"films", "run", "home"}


def described(run: Run, **changes: Json) -> None:
    """Lets a release say other things of itself, as if it had been made so."""
    release, metrics = read_release(run), read_metrics(run)
    said = Release(release.levels, release.labels, release.facts | changes)
    run.release.write_bytes(said.to_bytes())
    write_metrics(run, metrics)


def looked_at(run: Run) -> Finding:
    """What gate G3 says of a run's files."""
    files, opened = contents(run), open_run(run)
    members, controls = opened.patients.members, opened.patients.controls
    evidence = Evidence(decode(files), members, controls, outgoing=files, declared=declared(opened))
    return only_a_release(evidence, load_policy(), torch.Generator())


SAID: dict[str, dict[str, Any]] = {
    "a film in hex": {"note": "00ff" * 128},
    "an identifier among the fields": {"fields": {"steps": f"{MARK}ID0003"}},
    "an identifier among the ingredients": {"ingredients": {"network": f"{MARK}ID0003"}},
    "an identifier for a step size": {"step sizes": f"{MARK}ID0003"},
    "step sizes of a method that has none": {"step sizes": [0.01]},
    "a guarantee": {"guarantee": stated(Budget(2.0), Plan(1, 9, 2.0), "patient")},
    "another method": {"method": "kip"},
    "a number with more digits": {"seed": 0.1234},
    "another training": {"training": told(RECIPIENT, width=8)},
    "an identifier for a version": {"versions": dict.fromkeys(("medidd", "torch"), "ID0003")},
}


@pytest.mark.parametrize("name", SAID)
def test_a_release_says_of_itself_what_its_job_says(
    passing: Run, tmp_path: Path, name: str
) -> None:
    run = Run(copied(passing.path, tmp_path / "run"))
    assert looked_at(run).verdict is Verdict.PASS
    described(run, **SAID[name])
    assert looked_at(run).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("version", "fine"),
    [
        ("2.9.1+cu128", True),
        ("2.10.0a0", True),
        ("0.1.dev0", True),
        ("ZZPHI0003", False),
        ("20240131", False),
        ("1.2.3.4.5", False),
        ("1.2+" + "a" * 30, False),
        ("", False),
        (3, False),
    ],
)
def test_versions_may_differ_but_must_look_like_versions(
    passing: Run, tmp_path: Path, version: Json, fine: bool
) -> None:
    run = Run(copied(passing.path, tmp_path / "run"))
    described(run, versions=read_release(run).facts["versions"] | {"torch": version})
    assert (looked_at(run).verdict is Verdict.PASS) is fine


def test_the_header_has_no_room_for_anything_else(passing: Run, tmp_path: Path) -> None:
    run = Run(copied(passing.path, tmp_path / "run"))
    metrics, data = read_metrics(run), run.release.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    said = header["__metadata__"]["medidd"]
    for other in (
        header | {"__metadata__": {"medidd": said, "more": "x"}},
        header | {"__metadata__": {"medidd": said.replace(", ", ",  ", 1)}},
        header | {"__metadata__": {"medidd": said.replace('"seed": 0', '"seed": 0e0')}},
        header | {"__metadata__": {}},
    ):
        text = json.dumps(other, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        run.release.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
        if "medidd" in other["__metadata__"]:
            write_metrics(run, metrics)
            assert looked_at(run).verdict is Verdict.FAIL, other["__metadata__"].keys()
    wide = data[8 : 8 + size] + b" " * 8
    run.release.write_bytes(len(wide).to_bytes(8, "little") + wide + data[8 + size :])
    write_metrics(run, metrics)
    assert load_file(run.release)["labels"].shape == read_release(run).labels.shape
    assert looked_at(run).verdict is Verdict.FAIL


def test_a_film_in_the_description_is_refused_from_end_to_end(passing: Run, tmp_path: Path) -> None:
    run = Run(copied(passing.path, tmp_path / "run"))
    described(run, note="00ff" * 128)
    ended = called("export", run.path, "--to", tmp_path / "bundle")
    assert (ended.code, "G3: " in ended.err) == (6, True)
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("more", "spoiled"),
    [
        (("--method", "dd", "--set", "epochs=2"), [[0.01], [0.01, 0.01, 0.01], 0.01]),
        (("--method", "soft-label"), [[0.01], 0.012345, 0.0, -0.01, 1, "0.01", None]),
    ],
)
def test_step_sizes_are_as_many_as_the_method_has_and_have_four_digits(
    source: Source, tmp_path: Path, more: tuple[str, ...], spoiled: list[Json]
) -> None:
    run = Run(tmp_path / "run")
    ended = distill(source, run.path, *more)
    assert ended.code == 0, ended.err
    (found,) = (one for one in read_audit(run)["findings"] if one["audit"] == "G3")
    assert found["verdict"] == "PASS"
    for sizes in spoiled:
        described(run, **{"step sizes": sizes})
        assert looked_at(run).verdict is Verdict.FAIL, sizes
