"""medidd evaluate: several networks, films of another hospital, and the fair comparison."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from invented_cohort import Made, Source, called, copied

import pipelines.evaluation.ranking
import pipelines.evaluation.utility
from pipelines.commands.evaluate import Evaluate
from pipelines.evaluation.ranking import ranking
from pipelines.evaluation.ranking_scores import augmentation_robust, label_robust
from pipelines.evaluation.utility import utility
from pipelines.learning.opened_run import open_run
from pipelines.run.release_file import read_release
from pipelines.run.store import Run, read_json

ROWS = {"synthetic", "random", "kmeans", "average", "full"}


@pytest.fixture
def run(made: Made, tmp_path: Path) -> Path:
    return copied(made.path, tmp_path / "run")


def train_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("trained again")

    for module in (pipelines.evaluation.utility, pipelines.evaluation.ranking):
        monkeypatch.setattr(module, "train", fail)


def test_networks_are_judged_here_and_elsewhere_in_one_table(
    run: Path, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = copied(run, tmp_path / "plain")
    assert called("evaluate", plain, "--network", "mlp").code == 0
    asked = ("evaluate", run, "--network", "mlp,lenet", "--test", source.folder)
    ended = called(*asked, "--json")
    assert ended.code == 0, ended.err
    said = json.loads(ended.out)
    assert {*said["networks"]} == {"mlp", "lenet"}
    for name, of in said["networks"].items():
        assert {*of["metrics"]} == {*of["elsewhere"]} == ROWS
        # Without the members, these are the run's own test films.
        assert of["elsewhere"] == of["metrics"] == read_json(run / f"metrics-{name}.json")
        cohort = said["elsewhere"]["cohort"]
        assert read_json(run / f"metrics-{name}-{cohort}.json") == of["elsewhere"]
    assert said["networks"]["mlp"]["metrics"] == read_json(plain / "metrics-mlp.json")
    assert said["elsewhere"]["members left out"] > 0

    train_nothing_more(monkeypatch)
    again = called(*asked)
    assert again.code == 0, again.err
    lines = again.out.splitlines()
    assert max(map(len, lines[:11])) <= 80
    auc = said["networks"]["lenet"]["elsewhere"]["random"]["auc"]
    (row,) = [line for line in lines if line.startswith("random films") and " lenet " in line]
    assert row.endswith(f"{auc['mean']:.2f} ({auc['low']:.2f} to {auc['high']:.2f})")
    assert "left out: the run learned from them" in again.out

    monkeypatch.undo()
    assert called("cache", "purge", run, "--yes").code == 0
    assert not (run / "private" / "elsewhere").exists()


def test_several_networks_share_a_table_and_unknown_ones_are_named(run: Path) -> None:
    ended = called("evaluate", run, "--network", "lenet, mlp,lenet")
    assert ended.code == 0, ended.err
    head, *rows, _ = ended.out.splitlines()[:12]
    assert head.split()[:3] == ["trained", "on", "network"]
    assert [line[25:36].strip() for line in rows[:4]] == ["lenet", "mlp"] * 2
    assert max(map(len, rows)) <= 80
    assert not (run / "metrics-resnet18.json").exists()
    ended = called("evaluate", run, "--network", "mlp,vgg16")
    assert ended.code == 2
    assert "unknown network 'vgg16'; there are: convnet, mlp" in " ".join(ended.err.split())


def test_the_usual_network_is_a_small_one_for_a_ranking() -> None:
    assert Evaluate(Path()).chosen == ("resnet18",)
    assert Evaluate(Path(), ranking=True).chosen == ("convnet",)
    assert Evaluate(Path(), ("mlp",), ranking=True).chosen == ("mlp",)


def test_a_ranking_is_shared_stored_and_said_in_words(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_run(Run(run))
    release = read_release(opened.run)
    for steps in (
        utility(opened, release, "mlp", beside=True),
        ranking(opened, release, "mlp", beside=True),
    ):
        for _ in steps:
            pass
    assert not (run / "private" / "worth" / "mlp" / "ranking.json").exists()
    train_nothing_more(monkeypatch)
    ended = called("evaluate", run, "--network", "mlp", "--ranking", "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)["networks"]["mlp"]["ranking"]
    assert found == read_json(run / "ranking-mlp.json")
    settings = {
        f"{row}-{labels}-{way}"
        for row in ROWS - {"full"}
        for labels in ("hard", "soft")
        for way in ("augmented", "plain")
    }
    assert {*found["settings"]} == settings
    accuracy = {
        name: np.array([of["balanced_accuracy"]["mean"]]) for name, of in found["settings"].items()
    }
    full = np.array([found["full"]["balanced_accuracy"]["mean"]])
    usual = read_json(run / "metrics-mlp.json")["full"]["balanced_accuracy"]
    assert found["full"]["balanced_accuracy"] == usual
    for labels in ("hard", "soft"):
        syn, random, plain, random_plain = (
            accuracy[f"{row}-{labels}-{way}"]
            for way in ("augmented", "plain")
            for row in ("synthetic", "random")
        )
        of, hard = found["scores"][labels], accuracy["synthetic-hard-augmented"]
        assert of["LRS"]["mean"] == pytest.approx(label_robust(full, hard, syn, random)[0])
        ars = augmentation_robust(syn, random, plain, random_plain)
        assert of["ARS"]["mean"] == pytest.approx(ars[0])
        assert of["LRS"]["low"] <= of["LRS"]["mean"] <= of["LRS"]["high"]

    folder = run / "private" / "worth" / "mlp"
    said = [
        read_json(path)["probabilities"] for path in sorted(folder.glob("ranking-random-*-0.json"))
    ]
    assert len(said) == 4
    assert all(one != other for one, other in combinations(said, 2))

    text = called("evaluate", run, "--network", "mlp", "--ranking").out
    assert "mlp: balanced accuracy (AUC), 3 images per class" in text
    for one in found["against"]:
        labels = "hard labels" if one["labels"] == "hard" else "labels of 3 teachers"
        figures = f"{one['release']:.3f} against {one['baseline']:.3f}"
        (line,) = [
            line
            for line in text.splitlines()
            if one["row"] == "random"
            and line.startswith("the release ")
            and f"random films with {labels}: {figures}" in line
        ] or [None]
        assert (line is not None) == (one["row"] == "random")
        if line and one["release"] <= one["baseline"]:
            assert "does not beat" in line
