"""Films that are cut, through the commands: patients are what is held out, judged and attacked."""

import csv
from collections import Counter
from pathlib import Path

import pytest
from invented_cohort import Made, Source, called, distill, found_in, traces

from pipelines.commands.audit import Audit, run
from pipelines.learning.opened_run import open_run
from pipelines.run.results import read_audit, read_metrics
from pipelines.run.store import Run
from privacy.policy import Level

CUT = ("--patch-size", 48, "--stride", 24, "--film-size", 96)


@pytest.fixture(scope="module")
def boxes(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Says that the upper half of every film shows its class."""
    path = tmp_path_factory.mktemp("regions") / "boxes.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["SOPInstanceUID", "x", "y", "width", "height"])
        rows.writerows([uid, 0, 0, 96, 48] for uid in sorted(source.instances))
    return path


@pytest.fixture(scope="module")
def cut(source: Source, boxes: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A finished run on patches; not to be changed."""
    path = tmp_path_factory.mktemp("patches") / "run"
    ended = distill(source, path, *CUT, "--regions", boxes, "--crop", "none", "--voi", "none")
    assert ended.code == 0, ended.err
    return Made(path, ended, source)


def test_every_film_gives_patches_and_patients_have_roles_by_their_films(cut: Made) -> None:
    patients = open_run(Run(cut.path)).patients
    cohort = patients.cohort
    assert cohort.classes == ("background", "normal", "pneumonia")
    assert len(set(cohort.films)) == len(cut.source.instances)
    # Three of nine patches are in the upper half, three in the lower one, and three in both.
    assert set(Counter(cohort.films).values()) == {6}
    held = Counter(
        (int(whole), patients.roles[str(one)])
        for one, whole in {(str(p), w) for p, w in zip(cohort.patients, cohort.whole, strict=True)}
    )
    assert held == {(of, role): n for of in (1, 2) for role, n in (("control", 8), ("member", 12))}


def test_patients_are_judged_by_the_votes_of_their_patches(cut: Made) -> None:
    metrics = read_metrics(Run(cut.path))
    for row in ("synthetic", "random", "kmeans", "full"):
        for metric in ("auc", "sensitivity", "specificity", "hm"):
            interval = metrics[row][f"patient_{metric}"]
            assert 0 <= interval["low"] <= interval["mean"] <= interval["high"] <= 1
    assert "patients, by the votes of their patches" in cut.ended.out
    assert "by the votes of their patches" in (cut.path / "report.html").read_text()
    pages = [(name, (cut.path / name).read_bytes()) for name in ("report.html", "metrics.json")]
    assert found_in(pages, traces(cut.source)) == []


def test_audits_count_patients_and_find_copied_patches(
    source: Source, boxes: Path, cut: Made, tmp_path: Path
) -> None:
    how = (*CUT, "--regions", boxes, "--method", "random")
    assert distill(source, tmp_path / "run", *how).code == 0
    copies = {f["audit"]: f for f in read_audit(Run(tmp_path / "run"))["findings"]}
    assert copies["A5"]["verdict"] == "FAIL", copies["A5"]["text"]
    for _ in run(Audit(cut.path, Level.SCREEN)):
        pass
    found = {f["audit"]: f for f in read_audit(Run(cut.path))["findings"]}
    for of in ("A0", "A1", "A3"):
        assert (found[of]["details"]["members"], found[of]["details"]["controls"]) == (24, 16)
    assert found["A5"]["verdict"] == "PASS"


@pytest.mark.usefixtures("no_rehearsal")
def test_a_dry_run_says_into_what_films_are_cut(source: Source, boxes: Path) -> None:
    ended = called(
        *("distill", "--dicom-dir", source.folder, "-c", "gastric", "--regions", boxes),
        *("--film-size", 96, "--patch-size", 48, "--stride", 48, "--size", 16, "--dry-run"),
    )
    assert ended.code == 0, ended.err
    assert "would cut each into 4 patches of 48 pixels" in ended.out
    assert "classes: irrelevant, normal, pneumonia" in ended.out
    assert "would make 3 images" in ended.out


def test_options_of_patches_go_together(source: Source, boxes: Path) -> None:
    ended = called("distill", "--dicom-dir", source.folder, "--ipc", 1, "--regions", boxes)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "need --patch-size" in ended.err
    ended = called("distill", "--dicom-dir", source.folder, "--ipc", 1, "--patch-size", 4000)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "patch-size" in ended.err
