"""A run from the command line is complete, private, and says what it made."""

import json
import math
import os
import re
import stat
from pathlib import Path

import pytest
import torch
from invented_cohort import (
    MARK,
    PLAIN,
    Made,
    Source,
    called,
    copied,
    distill,
    files_of,
    plant,
    write_labels,
)
from safetensors import safe_open

from pipelines.bundle.contents import contents
from pipelines.bundle.declared import declared
from pipelines.learning.opened_run import open_run
from pipelines.run import installation
from pipelines.run.release_file import read_release
from pipelines.run.results import read_metrics
from pipelines.run.store import Run, read_json, write_json

ROWS = {"synthetic", "random", "kmeans", "average", "full"}
METRICS = {"auc", "balanced_accuracy", "sensitivity", "specificity", "hm", "auc_of_mean"}


def test_a_run_has_every_file_that_the_readme_lists(made: Made) -> None:
    top = {path.name for path in made.path.iterdir()}
    assert top == {
        "synthetic.safetensors",
        "metrics.json",
        "audit.json",
        "run.json",
        "log.jsonl",
        "previews",
        "report.html",
        "private",
    }
    previews = {path.name for path in (made.path / "previews").iterdir()}
    assert previews == {f"class{label}_{number}.png" for label in (0, 1) for number in range(3)}


def test_only_the_owner_can_read_a_run(made: Made) -> None:
    modes = {
        path.relative_to(made.path): stat.S_IMODE(path.stat().st_mode)
        for path in [made.path, *made.path.rglob("*")]
        if path.is_dir()
    }
    assert set(modes.values()) == {0o700}, modes
    modes = {name: stat.S_IMODE(path.stat().st_mode) for name, path in files_of(made.path).items()}
    assert set(modes.values()) == {0o600}, modes


def test_nothing_half_written_is_left_in_a_run(made: Made) -> None:
    assert [name for name in files_of(made.path) if ".part" in name or ".probe" in name] == []


def test_every_row_has_every_metric_inside_its_interval(made: Made) -> None:
    metrics = read_metrics(Run(made.path))
    assert set(metrics) == ROWS
    for row in metrics.values():
        assert set(row) == METRICS
        for value in row.values():
            assert set(value) == {"mean", "low", "high"}
            assert all(map(math.isfinite, value.values()))
            assert 0 <= value["low"] <= value["mean"] <= value["high"] <= 1


def test_a_run_is_screened_and_never_passed(made: Made) -> None:
    audit = json.loads((made.path / "audit.json").read_text())
    assert audit["level"] == "screen"
    assert audit["verdict"] in {"FAIL", "INVALID", "INCONCLUSIVE"}
    assert audit["reasons"]


ORDER = ("read films", "distil with dm", "train networks", "train for the audit", "audit (screen)")
STAGES = set(ORDER)
"""What a distillation passes."""


def test_json_prints_one_object_and_nothing_else(made: Made) -> None:
    assert made.ended.out.count("\n") == 1
    said = json.loads(made.ended.out)
    parts = {
        "run",
        "method",
        "ipc",
        "classes",
        "metrics",
        "guarantee",
        "audit",
        "seconds",
        "stages",
    }
    assert set(said) == parts | {"stages", "refused", "warned", "unknown_keys", "evidence"}
    assert said["run"] == str(made.path)
    assert said["method"] == "dm"
    assert said["ipc"] == 3
    assert said["classes"] == ["normal", "pneumonia"]
    assert said["metrics"] == read_metrics(Run(made.path))
    assert said["audit"]["level"] == "screen"
    assert said["seconds"] >= 0
    assert set(said["stages"]) == STAGES
    assert all(seconds >= 0 for seconds in said["stages"].values())


def test_people_get_a_table_on_stdout_and_progress_on_stderr(made: Made, source: Source) -> None:
    again = distill(source, made.path, "--resume")
    assert again.code == 0
    for word in ("6 synthetic images", "AUC", "all films", "audit (screen)", "report.html"):
        assert word in again.out
    (seconds,) = (line for line in again.out.splitlines() if line.startswith("seconds: "))
    assert {part.rpartition(" ")[0] for part in seconds[9:].split(", ")} == STAGES
    assert "read films: " not in again.out
    assert re.search(r"^read films: .*, \d+ s$", made.ended.err, re.MULTILINE)
    assert "distil with dm: 6/6" in made.ended.err


def test_the_seconds_of_a_run_are_in_no_file_that_leaves(made: Made, tmp_path: Path) -> None:
    place = Run(copied(made.path, tmp_path / "run"))
    asked = read_json(place.job)
    assert [stage for stage, _ in asked["stages"]] == list(ORDER)
    write_json(place.job, asked | {"stages": [["read films", 87654.3]]})
    assert contents(place) == contents(Run(made.path))
    assert declared(open_run(place)) == declared(open_run(Run(made.path)))


def test_the_report_runs_nothing_and_fetches_nothing(made: Made) -> None:
    page = (made.path / "report.html").read_text()
    assert "<script" not in page.lower()
    assert not re.search(r"https?:", page)
    assert not re.search(r"\son\w+=", page)
    assert "Content-Security-Policy" in page
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page
    sources = re.findall(r"<img [^>]*src=\"([^\"]*)\"", page)
    assert len(sources) == page.count("<img") == 6 + 2
    assert all(re.match(r"data:image/(png|svg\+xml);base64,", one) for one in sources)
    assert not re.search(r"<(link|iframe|object|embed|base|form)\b", page)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A run with a class that would like to be code."""
    source = plant(tmp_path_factory.mktemp("hostile"), per_class=6)
    table = source.labels.read_text().replace(",normal", ",<script>alert(1)</script>")
    source.labels.write_text(table)
    path = tmp_path_factory.mktemp("made") / "run"
    return Made(path, distill(source, path, "--ipc", 1), source)


def test_a_class_that_is_code_is_only_shown(hostile: Made) -> None:
    assert hostile.ended.code == 0, hostile.ended.err
    page = (hostile.path / "report.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_log_has_one_line_per_step(made: Made) -> None:
    lines = [json.loads(line) for line in (made.path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert all(math.isfinite(line["loss"]) for line in lines)


def test_the_seed_decides_the_bytes(made: Made, source: Source, tmp_path: Path) -> None:
    def bytes_of(run: Path) -> bytes:
        return (run / "synthetic.safetensors").read_bytes()

    for name, seed in (("again", 0), ("other", 1)):
        assert distill(source, tmp_path / name, "--seed", seed).code == 0
    assert bytes_of(tmp_path / "again") == bytes_of(made.path)
    assert bytes_of(tmp_path / "other") != bytes_of(made.path)


def test_without_out_a_run_goes_where_its_job_says(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ("--size", 16, "--width", 4, "--steps", 1, "--device", "cpu")
    ended = called("distill", "--dicom-dir", source.folder, "--ipc", 1, *small, "--json")
    assert ended.code == 0, ended.err
    (run,) = (tmp_path / "runs").iterdir()
    assert json.loads(ended.out)["run"] == f"runs/{run.name}"
    assert re.fullmatch(r"moments-ipc1-[0-9a-f]{8}", run.name)
    assert stat.S_IMODE(run.stat().st_mode) == 0o700


def test_without_a_guarantee_rfad_begins_where_regression_is_best(
    source: Source, tmp_path: Path
) -> None:
    small = ("--size", 16, "--width", 4, "--steps", 1, "--device", "cpu", "--epsilon", "none")
    ended = called(
        *("distill", "--dicom-dir", source.folder, "--ipc", 1, *small, "--out", tmp_path / "run"),
        *("--teachers", 2, "--json"),
    )
    assert ended.code == 0, ended.err
    facts = read_release(Run(tmp_path / "run")).facts
    assert (facts["method"], facts["start"], facts["teachers"]) == ("rfad", "closed-form", 2)
    assert facts["training"]["noise"] == 0
    labels = read_release(Run(tmp_path / "run")).labels
    assert labels.max() < 1  # the teachers' words, not one-hot
    job = json.loads((tmp_path / "run" / "run.json").read_text())["job"]
    assert (job["method"], job["start"]) == ("rfad", "closed-form")


def test_a_dry_run_writes_nothing(source: Source, tmp_path: Path) -> None:
    ended = distill(source, tmp_path / "run", "--dry-run")
    assert ended.code == 0, ended.err
    assert not (tmp_path / "run").exists()
    assert "40 patients (normal" in ended.out
    as_json = distill(source, tmp_path / "run", "--dry-run", "--json")
    said = json.loads(as_json.out)
    assert said["patients"] == 40
    assert said["steps"] == 6
    assert sum(said["films"].values()) == len(source.instances)
    assert not (tmp_path / "run").exists()


def test_split_test_patients_are_judged_on_and_not_learned_from(
    source: Source, tmp_path: Path
) -> None:
    lines = source.labels.read_text().splitlines()
    table = tmp_path / "with_split.csv"
    tested = sorted(set(source.patient_of.values()))[::4]
    splits = ["test" if source.patient_of[row.split(",")[0]] in tested else "" for row in lines[1:]]
    rows = [f"{row},{split}" for row, split in zip(lines[1:], splits, strict=True)]
    table.write_text("\n".join([f"{lines[0]},split", *rows]) + "\n")
    ended = distill(source, tmp_path / "run", "--labels", table)
    assert ended.code == 0, ended.err
    roles = json.loads((tmp_path / "run/private/ledger.json").read_text())
    counts = {role: list(roles.values()).count(role) for role in ("member", "control", "test")}
    assert counts["test"] == 10
    assert counts["member"] + counts["control"] == 30
    assert "Tested on 10 patients" in (tmp_path / "run/report.html").read_text()


def test_three_classes_are_distilled_too(tmp_path: Path) -> None:
    source = plant(tmp_path / "house", per_class=12)
    lines = [line.split(",") for line in source.labels.read_text().splitlines()[1:]]
    normal = [uid for uid, label in lines if label == "normal"]
    labels = {uid: "third" if uid in normal[::2] else label for uid, label in lines}
    write_labels(source.labels, labels)
    ended = distill(source, tmp_path / "run", "--ipc", 1, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["classes"] == ["normal", "pneumonia", "third"]
    with safe_open(tmp_path / "run/synthetic.safetensors", "pt") as file:
        assert file.get_tensor("labels").shape == (3, 3)


@pytest.mark.parametrize("method", ["noise", "random", "kmeans", "average"])
def test_every_start_is_a_baseline_of_its_own(source: Source, tmp_path: Path, method: str) -> None:
    small = ("--size", 16, "--width", 4, "--device", "cpu", *PLAIN)
    arguments = ("--dicom-dir", source.folder, "--ipc", 2, "--method", method, *small)
    ended = called("distill", *arguments, "--out", tmp_path / "run")
    assert ended.code == 0, ended.err
    assert (tmp_path / "run/log.jsonl").read_text() == ""
    assert "nothing was learned" in (tmp_path / "run/report.html").read_text()


def test_soft_labels_are_learned_and_still_sum_to_one(source: Source, tmp_path: Path) -> None:
    fields = ("--set", "horizon=4", "--set", "window=2", "--set", "lr_labels=0.05")
    ended = distill(source, tmp_path / "run", "--method", "soft-label", *fields)
    assert ended.code == 0, ended.err
    with safe_open(tmp_path / "run/synthetic.safetensors", "pt") as file:
        labels = file.get_tensor("labels").double()
    assert ((labels > 0) & (labels < 1)).any()
    torch.testing.assert_close(labels.sum(1), torch.ones(6, dtype=torch.float64))


def test_a_new_installation_draws_a_key_for_its_owner_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    drawn = set()
    for home in ("one", "two"):
        monkeypatch.setenv("MEDIDD_HOME", str(tmp_path / home))
        drawn |= {installation.key(), installation.key()}
        assert stat.S_IMODE((tmp_path / home / "key").stat().st_mode) == 0o600
        assert [path.name for path in (tmp_path / home).iterdir()] == ["key"]
    assert len(drawn) == 2
    assert {len(key) for key in drawn} == {32}


def test_the_key_is_in_no_file_of_a_run(made: Made) -> None:
    secret = (Path(os.environ["MEDIDD_HOME"]) / "key").read_text()
    assert re.fullmatch(r"[0-9a-f]{64}", secret)
    assert not any(secret.encode() in path.read_bytes() for path in files_of(made.path).values())


def test_another_installation_holds_out_other_patients(
    made: Made, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIDD_HOME", str(tmp_path / "elsewhere"))
    assert distill(source, tmp_path / "run").code == 0
    ours, theirs = (
        json.loads((run / "private/ledger.json").read_text())
        for run in (made.path, tmp_path / "run")
    )
    assert not set(ours) & set(theirs)
    assert MARK not in str(theirs)
