"""What is wrong is said in one line, with a code, and leaves nothing behind."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from invented_cohort import FEW, SMALL, Made, Source, called, copied, tree
from own_policy import own_policy

from privacy.policy import FLOOR

Word = str | int | float | Path


@dataclass(frozen=True)
class House:
    """A folder with something wrong in it, and a good cohort to compare with."""

    path: Path
    source: Source
    run: Path
    experts: Path

    def some(self, name: str, *patients: int) -> Path:
        """A folder with a few patients of the cohort, without their labels."""
        for number in patients:
            shutil.copytree(self.source.folder / str(number), self.path / name / str(number))
        return self.path / name

    def file(self, name: str, text: str) -> Path:
        (self.path / name).write_text(text)
        return self.path / name

    def distill(self, *more: Word, films: Path | None = None, ipc: int = 3) -> list[Word]:
        folder = films or self.source.folder
        return ["distill", "--dicom-dir", folder, "--ipc", ipc, *SMALL, "--out", self.out, *more]

    def mtt(self, *more: Word, experts: Path | None = None) -> list[Word]:
        return self.distill("--method", "mtt", "--experts", experts or self.experts, *more)

    @property
    def out(self) -> Path:
        return self.path / "out"

    def labels(self, choose: Callable[[int, str], str]) -> Path:
        """A table with the label that ``choose`` gives to each study."""
        head, *rows = self.source.labels.read_text().splitlines()
        pairs = [row.split(",") for row in rows]
        table = [f"{uid},{choose(i, label)}" for i, (uid, label) in enumerate(pairs)]
        return self.file("table.csv", "\n".join([head, *table]) + "\n")


def empty_folder(h: House) -> list[Word]:
    (h.path / "films").mkdir()
    return h.distill(films=h.path / "films")


def no_labels(h: House) -> list[Word]:
    h.some("films", 0, 1, 2, 3)
    flat = h.path / "flat"
    flat.mkdir()
    for number, film in enumerate((h.path / "films").rglob("*.dcm")):
        shutil.move(film, flat / f"{number}.dcm")
    return h.distill(films=flat)


def a_folder_per_patient(h: House) -> list[Word]:
    return h.distill(films=h.some("films", 0, 1, 2, 3))


def lonely_patient(h: House) -> list[Word]:
    lone = h.source.patient_of
    first = sorted(lone)[0]
    uids = sorted(lone)
    one = {uid for uid in uids if lone[uid] == lone[first]}
    return h.distill("--labels", h.labels(lambda i, _: "a" if uids[i] in one else "b"), ipc=1)


def one_class(h: House) -> list[Word]:
    return h.distill("--labels", h.labels(lambda _, __: "normal"))


def labels_of_others(h: House) -> list[Word]:
    table = h.file("other.csv", "StudyInstanceUID,label\n1.2.3,normal\n1.2.4,pneumonia\n")
    return h.distill("--labels", table)


def unreadable_labels(h: House) -> list[Word]:
    return h.distill("--labels", h.file("other.csv", "one\ntwo\n"))


def broken_files(h: House) -> list[Word]:
    films = h.some("films", *range(20))
    shutil.copy(h.source.labels, h.path / "labels.csv")
    for path in list(films.rglob("*.dcm"))[::2]:
        path.write_bytes(path.read_bytes()[:140] + b"\xff" * 400)
    return h.distill(films=films, ipc=1)


def out_below_a_file(h: House) -> list[Word]:
    return h.distill("--out", h.file("note.txt", "mine") / "run")


def out_in_use(h: House) -> list[Word]:
    h.out.mkdir()
    (h.out / "thesis.txt").write_text("years of work")
    return h.distill()


def out_is_a_file(h: House) -> list[Word]:
    h.out.write_text("mine")
    return h.distill()


def config(text: str) -> Callable[[House], list[Word]]:
    return lambda h: h.distill("-c", h.file("options.yaml", text))


def with_options(*more: Word, ipc: int = 3) -> Callable[[House], list[Word]]:
    return lambda h: h.distill(*more, ipc=ipc)


def matching(*more: Word) -> Callable[[House], list[Word]]:
    return lambda h: h.mtt(*more)


def experts_for_another(h: House) -> list[Word]:
    return h.distill("--experts", h.experts)


def no_experts(h: House) -> list[Word]:
    (h.path / "experts").mkdir()
    return h.mtt(experts=h.path / "experts")


def damaged_experts(name: str) -> Callable[[House], list[Word]]:
    def make(h: House) -> list[Word]:
        folder = copied(h.experts, h.path / "experts")
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
        return h.mtt(experts=folder)

    return make


def training(*more: Word) -> Callable[[House], list[Word]]:
    return lambda h: ["experts", "--dicom-dir", h.source.folder, *FEW, "--out", h.out, *more]


def experts_in_use(h: House) -> list[Word]:
    return training("--out", h.experts)(h)


def not_a_run(*command: Word) -> Callable[[House], list[Word]]:
    def make(h: House) -> list[Word]:
        (h.path / "album").mkdir()
        return [command[0], h.path / "album", *command[1:]]

    return make


def unfinished(*command: Word) -> Callable[[House], list[Word]]:
    def make(h: House) -> list[Word]:
        run = copied(h.run, h.path / "begun")
        (run / "report.html").unlink()
        return [command[0], run, *command[1:]]

    return make


def run_without_films(h: House) -> list[Word]:
    run = copied(h.run, h.path / "bare")
    shutil.rmtree(run / "private" / "cohort")
    return ["audit", run]


def run_of_another_version(h: House) -> list[Word]:
    run = copied(h.run, h.path / "old")
    asked = json.loads((run / "run.json").read_text())
    del asked["job"]["preset"]
    (run / "run.json").write_text(json.dumps(asked))
    return ["audit", run]


def policy(text: str) -> Callable[[House], list[Word]]:
    """An audit by a policy of this text."""
    return lambda h: ["audit", h.run, "--policy", h.file("policy.toml", text)]


def policy_with(**changes: Any) -> Callable[[House], list[Word]]:
    """An audit by medidd's own policy with changes."""
    return policy(own_policy(**changes))


def policy_in_another_code(h: House) -> list[Word]:
    (h.path / "policy.toml").write_bytes("residual_risk = 0.09".encode("utf-16"))
    return ["audit", h.run, "--policy", h.path / "policy.toml"]


def auditing(*more: Word) -> Callable[[House], list[Word]]:
    return lambda h: ["audit", h.run, *more]


def exporting(*more: Word) -> Callable[[House], list[Word]]:
    return lambda h: ["export", h.run, "--to", h.path / "bundle", *more]


USAGE, DATA, FILES = 2, 3, 4
REASON, APPROVER = "--accept-inconclusive", "--approver"
WINDOW = ("--method", "soft-label", "--set", "window=9", "--set", "horizon=5")

TABLE: dict[str, tuple[Callable[[House], list[Word]], int, tuple[str, ...]]] = {
    "empty folder": (empty_folder, DATA, ("no DICOM file", "name the folder")),
    "no labels": (no_labels, DATA, ("labels", "labels.csv")),
    "a folder for each patient": (a_folder_per_patient, DATA, ("--labels",)),
    "a class with one patient": (lonely_patient, DATA, ("single patient", "1 of 2 classes")),
    "ipc above a class": (with_options(ipc=500), DATA, ("ipc 500", "--ipc ")),
    "one class": (one_class, DATA, ("one class only",)),
    "labels of other films": (labels_of_others, DATA, ("has a label", "StudyInstanceUID")),
    "labels without columns": (unreadable_labels, DATA, ("no column that finds films",)),
    "too many unusable files": (broken_files, FILES, ("files refused", "no_uid")),
    "no such folder": (
        lambda h: h.distill(films=h.path / "nowhere"),
        USAGE,
        ("--dicom-dir", "does not exist"),
    ),
    "no such labels": (with_options("--labels", "/nowhere/l.csv"), USAGE, ("--labels",)),
    "no ipc": (lambda h: ["distill", "--dicom-dir", h.source.folder], USAGE, ("--ipc",)),
    "no such option": (with_options("--epochs", 3), USAGE, ("--epochs", "--help")),
    "no such command": (lambda _: ["distil"], USAGE, ("distil",)),
    "unknown method": (
        with_options("--method", "magic"),
        USAGE,
        ("'magic'", "dm", "soft-label", "noise", "random", "average", "kmeans"),
    ),
    "unknown start": (
        with_options("--start", "magic"),
        USAGE,
        ("'magic'", "noise", "random", "average", "kmeans"),
    ),
    "unknown field": (
        with_options("--set", "lr_magic=1"),
        USAGE,
        ("'lr_magic'", "lr_images", "batch", "steps"),
    ),
    "field of the wrong type": (
        with_options("--set", "lr_images=fast"),
        USAGE,
        ("'lr_images'", "number", "'fast'"),
    ),
    "field that is no pair": (with_options("--set", "lr_images"), USAGE, ("name=value",)),
    "field of a start": (
        with_options("--method", "random", "--set", "batch=3"),
        USAGE,
        ("'random'", "no fields", "--set"),
    ),
    "window above horizon": (with_options(*WINDOW), USAGE, ("window 9", "horizon 5")),
    "step size 0": (
        with_options("--method", "soft-label", "--set", "lr=0"),
        USAGE,
        ("lr", "above 0"),
    ),
    "batch of nothing": (with_options("--set", "batch=0"), USAGE, ("'batch'", "equal to 1", "0")),
    "path of nothing": (
        with_options("--method", "dc", "--set", "inner_steps=0"),
        USAGE,
        ("'inner_steps'", "equal to 1"),
    ),
    "mosaic of nothing": (
        with_options("--method", "idc", "--set", "factor=0"),
        USAGE,
        ("'factor'", "equal to 1"),
    ),
    "rate below 0": (with_options("--set", "lr_images=-1"), USAGE, ("'lr_images'", "equal to 0")),
    "unknown operation": (
        with_options("--set", "augment=[mirror]"),
        USAGE,
        ("'augment'", "'flip'", "mirror"),
    ),
    "unknown preset": (with_options("--preset", "best"), USAGE, ("--preset", "paper")),
    "unknown network": (
        with_options("--set", "network=perceptron"),
        USAGE,
        ("'network'", "mlp", "'perceptron'"),
    ),
    "kernel for a method without one": (
        with_options("--set", "kernel=fc"),
        USAGE,
        ("'kernel'", "dm", "network"),
    ),
    "network that a method cannot use": (
        with_options("--method", "idc", "--set", "network=mlp", ipc=1),
        USAGE,
        ("convolutions only",),
    ),
    "more batches than images": (
        with_options("--method", "dd", "--set", "batches=4"),
        USAGE,
        ("4 batches", "at most 3"),
    ),
    "ipc above a class for herding": (
        with_options("--method", "herding", ipc=500),
        DATA,
        ("ipc 500", "--ipc "),
    ),
    "ipc above a class once unfolded": (
        with_options("--method", "idc", ipc=10),
        DATA,
        ("ipc 10", "gives 40 images", "--ipc "),
    ),
    "class too small for one mosaic": (
        with_options("--method", "idc", "--set", "factor=9", ipc=1),
        DATA,
        ("gives 81 images", "add films"),
    ),
    "run that diverges": (
        with_options(
            *("--method", "soft-label", "--set", "horizon=3", "--set", "window=3"),
            *("--set", "constraint=none", "--set", "lr_labels=1e30"),
        ),
        USAGE,
        ("not finite", "--set"),
    ),
    "mtt without experts": (
        with_options("--method", "mtt"),
        USAGE,
        ("mtt", "medidd experts", "--experts"),
    ),
    "experts for dm": (experts_for_another, USAGE, ("dm uses no experts", "--experts")),
    "folder without experts": (no_experts, USAGE, ("no experts", "medidd experts")),
    "experts of another size": (matching("--size", 32), USAGE, ("size 16 instead of 32",)),
    "experts of another width": (matching("--width", 8), USAGE, ("width 4 instead of 8",)),
    "experts of another network": (
        matching("--set", "network=mlp"),
        USAGE,
        ("network convnet instead of mlp",),
    ),
    "experts of other patients": (matching("--seed", 1), USAGE, ("films", "medidd experts")),
    "experts of too few epochs": (
        matching("--set", "last_start=9"),
        USAGE,
        ("3 epochs", "11 are needed", "last_start"),
    ),
    "damaged record of experts": (
        damaged_experts("experts.json"),
        USAGE,
        ("experts.json: damaged",),
    ),
    "truncated expert": (
        damaged_experts("expert-0001.npy"),
        USAGE,
        ("expert-0001.npy: damaged", "medidd experts"),
    ),
    "experts of a step size of 0": (training("--lr", 0), USAGE, ("--lr",)),
    "experts of no step size": (training("--lr", "nan"), USAGE, ("--lr", "finite")),
    "experts that diverge": (training("--lr", 1e30), USAGE, ("expert 0", "lower lr")),
    "experts of one class": (
        lambda h: training("--labels", h.labels(lambda _, __: "normal"))(h),
        DATA,
        ("one class only",),
    ),
    "experts over others": (experts_in_use, USAGE, ("--resume", "--out")),
    "ipc 0": (with_options(ipc=0), USAGE, ("--ipc",)),
    "size 8": (with_options("--size", 8), USAGE, ("--size",)),
    "no limit of refused files": (
        with_options("--max-rejected", "inf"),
        USAGE,
        ("--max-rejected", "finite"),
    ),
    "no steps": (with_options("--steps", 0), USAGE, ("--steps",)),
    "unknown device": (with_options("--device", "tpu"), USAGE, ("--device", "cuda")),
    "out below a file": (out_below_a_file, USAGE, ("note.txt", "--out")),
    "out is a file": (out_is_a_file, USAGE, ("--out",)),
    "out in use": (out_in_use, USAGE, ("--out",)),
    "no such configuration": (with_options("-c", "/nowhere.yaml"), USAGE, ("--config",)),
    "unknown option in YAML": (config("epochs: 3\n"), USAGE, ("'epochs'", "seed", "size")),
    "broken YAML": (config("seed: [1\n"), USAGE, ("options.yaml", "YAML")),
    "YAML that is a list": (config("- seed\n- 3\n"), USAGE, ("options.yaml", "must map")),
    "YAML of the wrong type": (config("seed: soon\n"), USAGE, ("--seed", "soon")),
    "audit of no run": (not_a_run("audit"), USAGE, ("not a run", "medidd distill")),
    "export of no run": (not_a_run("export", "--to", "x"), USAGE, ("not a run",)),
    "evaluation of no run": (not_a_run("evaluate"), USAGE, ("not a run",)),
    "audit of a part": (unfinished("audit"), USAGE, ("not finished", "--resume")),
    "export of a part": (unfinished("export", "--to", "x"), USAGE, ("--resume",)),
    "evaluation of a part": (unfinished("evaluate"), USAGE, ("--resume",)),
    "unknown unit": (with_options("--unit", "series"), USAGE, ("--unit", "patient")),
    "no such policy": (auditing("--policy", "/nowhere.toml"), USAGE, ("--policy", "exist")),
    "policy that is no TOML": (policy("least_controls 50"), USAGE, ("policy.toml", "TOML", "copy")),
    "policy that is no text": (policy_in_another_code, USAGE, ("policy.toml", "UTF-8")),
    "empty policy": (policy(""), USAGE, ("policy.toml", "residual_risk", "is missing", "copy")),
    "policy with an unknown key": (
        policy_with(least_patients=3),
        USAGE,
        ("policy.toml", "least_patients", "no such key"),
    ),
    "policy out of range": (
        policy_with(residual_risk=9),
        USAGE,
        ("policy.toml", "residual_risk", "0.2"),
    ),
    "policy with an audit twice": (
        policy_with(required={"standard": ["A2", "G1", "G1"]}),
        USAGE,
        ("policy.toml", "required.standard", "once"),
    ),
    "policy with an unknown audit": (
        policy_with(required={"standard": [*FLOOR, "A99"]}),
        USAGE,
        ("policy.toml", "required.standard", "A99", "A5"),
    ),
    "policy below the floor": (
        policy_with(required={"standard": ["A2"]}),
        USAGE,
        ("policy.toml", "required.standard", "no policy can do without G1", "A6"),
    ),
    "export by a bad policy": (
        lambda h: [*exporting("--policy")(h), h.file("policy.toml", "")],
        USAGE,
        ("policy.toml", "residual_risk"),
    ),
    "labels without a reference": (
        lambda h: ["audit", h.run, "--reference-labels", h.source.labels],
        USAGE,
        ("--reference-labels", "--reference;"),
    ),
    "reference for a screening": (
        lambda h: ["audit", h.run, "--level", "screen", "--reference", h.source.folder],
        USAGE,
        ("--reference", "--level standard"),
    ),
    "no such reference": (auditing("--reference", "/nowhere"), USAGE, ("--reference", "exist")),
    "empty reference": (
        lambda h: ["audit", h.run, "--reference", h.experts],
        DATA,
        ("no DICOM file",),
    ),
    "unknown level": (auditing("--level", "deep"), USAGE, ("--level", "standard")),
    "reason without approver": (exporting(REASON, "For a course."), USAGE, (REASON, APPROVER)),
    "approver without reason": (exporting(APPROVER, "A. Nother"), USAGE, (REASON, APPROVER)),
    "reason of nothing": (exporting(REASON, " ", APPROVER, "A. Nother"), USAGE, ("say why",)),
    "approver of nothing": (
        exporting(REASON, "x", APPROVER, ""),
        USAGE,
        ("who takes responsibility",),
    ),
    "audit of another version": (run_of_another_version, USAGE, ("another version",)),
    "audit without films": (run_without_films, DATA, ("no finished cohort",)),
}


@pytest.fixture
def house(tmp_path: Path, source: Source, made: Made, experts: Made) -> House:
    return House(tmp_path, source, made.path, experts.path)


@pytest.mark.parametrize("name", TABLE)
def test_bad_input_ends_with_one_line_a_code_and_nothing_on_disk(house: House, name: str) -> None:
    make, code, words = TABLE[name]
    arguments = make(house)
    before, experts = tree(house.path), tree(house.experts)
    ended = called(*arguments)
    assert ended.code == code, ended.err
    last = one_line(ended.err)
    assert [word for word in words if word not in last] == [], last
    assert ended.out == ""
    assert tree(house.path) == before
    assert tree(house.experts) == experts


def one_line(err: str) -> str:
    """The line of what was wrong: progress may stand before it, a traceback may not."""
    assert "Traceback" not in err
    *progress, last = err.splitlines()
    stages = ("read films: ", "distil with ", "train experts: ")
    assert all(line.startswith(stages) for line in progress), err
    assert last.startswith("medidd: ")
    assert "defect" not in last
    return last


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_where_there_is_none_is_refused(house: House) -> None:
    ended = called(*house.distill("--device", "cuda"))
    assert ended.code == USAGE
    assert "--device cpu" in one_line(ended.err)
    assert not house.out.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_folder_that_may_not_be_written_is_refused(house: House) -> None:
    house.path.chmod(0o500)
    ended = called(*house.distill())
    house.path.chmod(0o700)
    assert ended.code == USAGE
    assert "--out" in one_line(ended.err)
    assert not house.out.exists()


@pytest.mark.parametrize("key", ["rubbish", "", "abc1", "0" * 62])
def test_a_key_that_is_none_is_refused(
    house: House, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    home = house.path / "home"
    home.mkdir()
    (home / "key").write_text(key)
    monkeypatch.setenv("MEDIDD_HOME", str(home))
    ended = called(*house.distill())
    assert ended.code == USAGE
    line = one_line(ended.err)
    assert "holds no valid key" in line
    assert "MEDIDD_HOME" in line
    assert (home / "key").read_text() == key
    assert not house.out.exists()


def test_an_installation_that_cannot_be_written_is_refused(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIDD_HOME", str(house.file("note.txt", "mine") / "home"))
    ended = called(*house.distill())
    assert ended.code == USAGE
    assert "MEDIDD_HOME" in one_line(ended.err)
    assert not house.out.exists()


def test_a_dry_run_refuses_what_the_run_would_refuse(house: House) -> None:
    refused = ("empty folder", "too many unusable files", "unknown method", "one class")
    for name in (*refused, "network that a method cannot use", "mtt without experts"):
        make, code, _ = TABLE[name]
        shutil.rmtree(house.path / "films", ignore_errors=True)
        ended = called(*make(house), "--dry-run")
        assert ended.code == code, name
        one_line(ended.err)
        assert not house.out.exists()


def test_a_defect_is_told_without_values(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("ZZPHI0001 is the patient")

    monkeypatch.setattr("pipelines.run.patients.assigned", fail)
    ended = called(*house.distill())
    assert ended.code == 1
    assert "a bug in medidd (RuntimeError)" in ended.err
    assert "ZZPHI" not in ended.err
    assert "Traceback" not in ended.err


def test_a_full_disk_is_told_and_loses_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "/studies/ZZPHI")

    with monkeypatch.context() as patch:
        patch.setattr("pipelines.commands.distill.write_release", fail)
        ended = called(*house.distill())
    assert ended.code == 1
    assert "No space left on device" in ended.err
    assert "--resume" in ended.err
    assert "ZZPHI" not in ended.err
    assert called(*house.distill("--resume", "--json")).code == 0


def test_an_interrupted_command_says_how_to_go_on(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.commands.distill.write_release", interrupt)
    ended = called(*house.distill())
    assert ended.code == 130
    assert "--resume" in ended.err.splitlines()[-1]
    assert json.loads((house.out / "run.json").read_text())["job"]["ipc"] == 3
