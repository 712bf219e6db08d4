"""The ledger forgets nothing, never counts as empty when it is damaged, and sees overlaps."""

import hashlib
import json
import os
import shutil
import signal
import stat
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from invented_cohort import Made, Source, called, copied, distill, found_in, traces, tree

from medidd.dicom.folder.cohort import Cohort
from pipelines.run import ledger
from pipelines.run.errors import Stop
from pipelines.run.films import open_cohort
from pipelines.run.ledger import Entry
from pipelines.run.patients import Patients
from pipelines.run.store import Run, dumped, read_json
from privacy.decision import Acceptance

WORD = Acceptance("For a course.", "A. Nother")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation of each test's own, with the key that all have here."""
    path = tmp_path / "home"
    path.mkdir()
    shutil.copy(Path(os.environ["MEDIDD_HOME"]) / "key", path)
    monkeypatch.setenv("MEDIDD_HOME", str(path))
    return path


def an_entry(kind: ledger.Kind = "export", release: str = "ab", **more: object) -> Entry:
    return Entry.model_validate(
        {"kind": kind, "release": release, "judged": "ef", "people": ("p1", "p2")}
        | {"verdict": "PASS", "level": "standard"}
        | more
    )


def add(*some: Entry) -> list[int]:
    with ledger.locked() as append:
        return [append(one) for one in some]


def test_what_is_added_is_read_again_in_order() -> None:
    assert ledger.entries() == []
    assert add(an_entry("audit"), an_entry(release="cd")) == [1, 2]
    assert add(an_entry(release="ef", accepted=WORD)) == [3]
    found = ledger.entries()
    assert [one.release for one in found] == ["ab", "cd", "ef"]
    assert [one.kind for one in found] == ["audit", "export", "export"]
    assert found[0].people == ("p1", "p2")
    assert found[2].accepted == WORD
    assert all(one.date.endswith("+00:00") for one in found)


def test_only_the_owner_can_read_it(home: Path) -> None:
    add(an_entry())
    os.umask(0o022)
    add(an_entry())
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.glob("ledger/*")}
    assert modes == {"000001.json": 0o600, "000002.json": 0o600, ".lock": 0o600}
    assert stat.S_IMODE((home / "ledger").stat().st_mode) == 0o700


def test_an_export_that_did_not_happen_is_taken_back_and_stays_written(home: Path) -> None:
    first, second = add(an_entry(release="ab"), an_entry(release="cd"))
    add(an_entry("aborted", release="cd", aborts=second))
    assert [one.release for one in ledger.entries()] == ["ab"]
    assert (first, len(list(home.glob("ledger/*.json")))) == (1, 3)


@pytest.mark.parametrize(
    ("more", "counts"),
    [
        ({"verdict": "FAIL", "failed": ("A8",)}, True),
        ({"verdict": "FAIL", "failed": ("G7", "A8"), "level": "full"}, True),
        ({"verdict": "FAIL", "failed": ("A8",), "judged": "gh"}, False),
        ({"verdict": "FAIL", "failed": ("G7",)}, False),
        ({"verdict": "INCONCLUSIVE", "failed": ("A1",)}, False),
        ({"verdict": "FAIL", "failed": ("A8",), "kind": "export"}, False),
        ({}, False),
    ],
)
def test_a_failure_is_of_these_files_by_this_policy(more: dict[str, object], counts: bool) -> None:
    assert ledger.failure("ef") is None
    add(an_entry("audit"), an_entry(**{"kind": "audit"} | more), an_entry("audit"))  # type: ignore[arg-type]
    found = ledger.failure("ef")
    assert (found == ledger.entries()[1]) if counts else found is None


def emptied(folder: Path) -> None:
    (folder / "000002.json").write_bytes(b"")


def torn(folder: Path) -> None:
    data = (folder / "000003.json").read_bytes()
    (folder / "000003.json").write_bytes(data[: len(data) // 2])


def removed(folder: Path) -> None:
    (folder / "000002.json").unlink()


def first_removed(folder: Path) -> None:
    (folder / "000001.json").unlink()


def newest_removed(folder: Path) -> None:
    (folder / "000003.json").unlink()


def emptied_folder(folder: Path) -> None:
    for path in folder.glob("*.json"):
        path.unlink()


def count_edited(folder: Path) -> None:
    newest_removed(folder)
    path = folder.parent / "entries"
    digest = hashlib.sha256((folder / "000002.json").read_bytes()).hexdigest()
    path.write_text(json.dumps(read_json(path) | {"number": 2, "newest": digest}))


def another_key(folder: Path) -> None:
    (folder.parent / "key").write_text("07" * 32)


def edited(folder: Path) -> None:
    path = folder / "000001.json"
    path.write_text(path.read_text().replace('"p2"', '"p3"'))


def exchanged(folder: Path) -> None:
    (folder / "000001.json").rename(folder / "x")
    (folder / "000002.json").rename(folder / "000001.json")
    (folder / "x").rename(folder / "000002.json")


def rewritten(**changes: object) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "000003.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return damage


def a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("mine")


DAMAGES = {
    "an empty entry": (emptied, "000002.json"),
    "a torn entry": (torn, "000003.json"),
    "an entry removed": (removed, "000002.json"),
    "the first entry removed": (first_removed, "000001.json"),
    "an entry edited": (edited, "000002.json"),
    "two entries exchanged": (exchanged, "000001.json"),
    "an unknown kind": (rewritten(kind="note"), "000003.json"),
    "an unknown field": (rewritten(extra=1), "000003.json"),
    "people that are no list": (rewritten(people="p1"), "000003.json"),
    "a list for an entry": (
        lambda folder: (folder / "000003.json").write_text("[]") and None,
        "000003.json",
    ),
    "a file for a folder": (a_file, "ledger"),
    "the newest entry removed": (newest_removed, "000003.json"),
    "the newest entry edited": (rewritten(verdict="FAIL"), "000003.json"),
    "all of it removed": (emptied_folder, "000003.json"),
    "the count removed": (lambda folder: (folder.parent / "entries").unlink(), "entries"),
    "the count edited": (count_edited, "entries"),
    "a count of another key": (another_key, "entries"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_ledger_is_refused_and_not_mended(home: Path, name: str) -> None:
    damage, where = DAMAGES[name]
    add(an_entry(release="ab"), an_entry(release="cd"), an_entry(release="ef"))
    damage(home / "ledger")
    before = tree(home)
    with pytest.raises(Stop, match=where) as caught:
        ledger.entries()
    assert caught.value.code == 2
    assert any(word in str(caught.value) for word in ("from a backup", "MEDIDD_HOME"))
    with pytest.raises(Stop):
        add(an_entry())
    (home / "ledger" / ".lock").touch() if (home / "ledger").is_dir() else None
    assert tree(home) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may read everything")
def test_a_ledger_that_may_not_be_read_does_not_count_as_empty(home: Path) -> None:
    add(an_entry())
    (home / "ledger").chmod(0o000)
    with pytest.raises(Stop, match="permissions"):
        ledger.entries()
    (home / "ledger").chmod(0o700)


def test_no_command_goes_on_with_a_damaged_ledger(
    home: Path, made: Made, source: Source, tmp_path: Path
) -> None:
    add(an_entry(), an_entry())
    emptied(home / "ledger")
    run = copied(made.path, tmp_path / "run")
    before = tree(run)
    ended = [
        called("audit", run),
        called("audit", run, "--level", "screen"),
        called("export", run, "--to", tmp_path / "bundle"),
        distill(source, tmp_path / "other"),
    ]
    for one in ended:
        assert one.code == 2, one.err
        (line,) = one.err.splitlines()
        assert "000002.json: damaged or missing" in line
        assert "backup" in line
    assert tree(run) == before
    assert not (tmp_path / "bundle").exists()
    assert not (tmp_path / "other").exists()


def killed_while(action: Callable[[], object]) -> None:
    """Runs something in a child that is expected to be killed by it."""
    child = os.fork()
    if not child:
        try:
            action()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_whoever_is_killed_while_adding_leaves_a_whole_ledger(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    add(an_entry(release="ab"))

    def dies(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(*((os, "fsync", dies) if call == "fsync" else (Path, "replace", dies)))
        killed_while(lambda: add(an_entry(release="cd")))
    assert [one.release for one in ledger.entries()] == ["ab"]
    assert add(an_entry(release="ef")) == [2]
    assert [one.release for one in ledger.entries()] == ["ab", "ef"]


def test_who_is_killed_between_an_entry_and_its_count_has_entered_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    for before in (0, 2):  # without a count, and with one
        with monkeypatch.context() as patch:
            patch.setattr(ledger, "write_sealed", dies)
            killed_while(lambda: add(an_entry()))
        assert len(ledger.entries()) == before + 1
        assert add(an_entry()) == [before + 2]
    shutil.rmtree(home / "ledger")
    with pytest.raises(Stop, match="damaged or missing"):
        ledger.entries()


def test_entries_of_a_time_without_a_count_are_read(home: Path) -> None:
    before = ""
    for number in (1, 2):
        path = home / "ledger" / f"{number:06}.json"
        path.parent.mkdir(exist_ok=True)
        old = an_entry(before=before).model_dump(mode="json", exclude={"number"})
        path.write_bytes(dumped(old))
        before = hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(ledger.entries()) == 2
    assert add(an_entry(), an_entry()) == [3, 4]
    assert [one.number for one in ledger.entries()] == [0, 0, 3, 4]


def add_often(name: str) -> None:
    for number in range(5):
        add(an_entry(release=f"{name}{number}"))


def test_two_processes_at_once_lose_no_entry() -> None:
    context = get_context("fork")
    both = [context.Process(target=add_often, args=(name,)) for name in "ab"]
    for one in both:
        one.start()
    for one in both:
        one.join()
    found = [one.release for one in ledger.entries()]
    assert sorted(found) == sorted(f"{name}{number}" for name in "ab" for number in range(5))


def test_nobody_adds_between_another_s_look_and_entry() -> None:
    """An export that looks while another holds the ledger sees that one's entry."""
    context = get_context("fork")
    ready, seen = context.Event(), context.Queue()

    def looks() -> None:
        ready.set()
        with ledger.locked():
            seen.put(len(ledger.entries()))

    with ledger.locked() as append:
        other = context.Process(target=looks, daemon=True)
        other.start()
        assert ready.wait(60)
        append(an_entry())
    found = seen.get(timeout=60)
    other.join()
    assert found == 1


def cohort(*films: tuple[str, set[str]]) -> Cohort:
    """A cohort of films, each with its patient and its names."""
    n = len(films)
    return Cohort(
        images=np.zeros((n, 16, 16), np.uint16),
        labels=np.arange(n) % 2,
        classes=("a", "b"),
        patients=np.array([patient for patient, _ in films]),
        splits=np.array([""] * n),
        refused={},
        tokens=frozenset(),
        names=tuple(frozenset(names) for _, names in films),
    )


def test_people_are_the_members_by_every_name_they_have() -> None:
    films = cohort(("p1", {"p1", "s1", "i1"}), ("p2", {"p2", "s2", "i2"}), ("p1", {"p1", "i3"}))
    patients = Patients(films, {"p1": "member", "p2": "control"})
    assert ledger.people(patients) == ("i1", "i3", "p1", "s1")


def test_a_film_is_found_again_whatever_counts_as_a_patient() -> None:
    by_patient = cohort(("p1", {"p1", "s1", "i1"}), ("p1", {"p1", "s2", "i2"}))
    by_image = cohort(("i2", {"p1", "s2", "i2"}), ("i9", {"p9", "s9", "i9"}))
    nameless = cohort(("s2", {"s2", "i2"}), ("s9", {"s9", "i9"}))
    patients = Patients(by_patient, {"p1": "member"})
    add(an_entry(people=ledger.people(patients)))
    assert [one.patients for one in ledger.earlier(by_patient)] == [{"p1"}]
    assert [one.patients for one in ledger.earlier(by_image)] == [{"i2"}]
    assert [one.patients for one in ledger.earlier(nameless)] == [{"s2"}]


def test_a_real_cohort_is_found_again_with_another_unit(
    made: Made, source: Source, tmp_path: Path
) -> None:
    run = Run(made.path)
    roles = json.loads(run.ledger.read_text())
    members = {one for one, role in roles.items() if role == "member"}
    add(an_entry(people=ledger.people(Patients(open_cohort(run), roles))))
    (same,) = ledger.earlier(open_cohort(run))
    assert same.patients == members
    for unit in ("study", "image"):
        assert distill(source, tmp_path / unit, "--unit", unit).code == 0
        other = open_cohort(Run(tmp_path / unit))
        found = ledger.earlier(other)[0]
        expected = {
            str(one)
            for one, names in zip(other.patients, other.names, strict=True)
            if names & members
        }
        assert found.patients == expected
        assert 0 < len(found.patients) < len(set(other.patients))
        assert not found.patients & members


def test_every_audit_is_entered_and_nobody_is_named(
    home: Path, made: Made, source: Source, tmp_path: Path
) -> None:
    run = copied(made.path, tmp_path / "run")
    assert called("audit", run, "--level", "screen").code == 0
    assert called("audit", run).code == 0
    screening, found = ledger.entries()
    assert (screening.kind, screening.level) == ("audit", "screen")
    assert screening.judged == found.judged
    audit = json.loads((run / "audit.json").read_text())
    assert (found.kind, found.level, found.verdict) == ("audit", "standard", audit["verdict"])
    assert found.release == audit["sha256"]["synthetic.safetensors"]
    failed = [one["audit"] for one in audit["findings"] if one["verdict"] == "FAIL"]
    assert list(found.failed) == failed
    texts = [(path.name, path.read_bytes()) for path in home.glob("ledger/*")]
    assert found_in(texts, [*traces(source), str(tmp_path).encode()]) == []
