"""Distillations with planted patients: who is planted, and that stopping changes nothing."""

from pathlib import Path
from typing import Any

import pytest
import torch
from invented_cohort import Made, Source, copied, small_job

import pipelines.learning.learn
from medidd.data import NORMALIZATION
from pipelines.auditing import canaries, redistill
from pipelines.auditing.canaries import canary_releases, patterns, planted
from pipelines.commands.distill import run
from pipelines.learning.opened_run import OpenedRun, open_run
from pipelines.learning.recipe import recipe
from pipelines.run.release_file import quantized
from pipelines.run.store import Run
from privacy.attacks.tail import atypicality
from privacy.attacks.tracing import leanings
from privacy.evidence import Canaries, Match
from privacy.release import Films, Release


@pytest.fixture
def few_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canaries, "RUNS", 3)


def begun(source: Source, path: Path, **changed: Any) -> Path:
    """Begins a run: its films are read, and who is a member is drawn."""
    steps = run(small_job(source, path, **changed))
    while not next(steps).stage.startswith("distil with"):
        pass
    steps.close()
    return path


@pytest.fixture(scope="module")
def ready(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has begun; not to be changed."""
    return begun(source, tmp_path_factory.mktemp("ready") / "run")


@pytest.fixture
def opened(ready: Path, tmp_path: Path) -> OpenedRun:
    return open_run(Run(copied(ready, tmp_path / "run")))


def finish(opened: OpenedRun) -> tuple[Canaries, list[str]]:
    """Makes all of them; returns them with what was said."""
    steps, said = canary_releases(opened), []
    while True:
        try:
            said.append(next(steps).stage)
        except StopIteration as end:
            return end.value, said


def films(per_class: int, rng: torch.Generator, classes: int = 2) -> Films:
    n = per_class * classes
    images = torch.rand(n, 1, 16, 16, generator=rng)
    return Films(images, torch.arange(n) % classes, [f"c{i}" for i in range(n)])


def test_half_of_the_canaries_are_the_most_atypical_with_a_wrong_label(
    rng: torch.Generator,
) -> None:
    controls = films(40, rng)
    chosen = planted(controls, 2, rng)
    far = atypicality(controls)
    for label in (0, 1):
        rows = (controls.labels == label).nonzero().flatten()
        odd = {controls.patients[i] for i in rows[far[rows].topk(8).indices].tolist()}
        found = [
            one
            for one, wrong, kind in zip(
                chosen.patients, chosen.labels.tolist(), chosen.traits["canary"], strict=True
            )
            if kind == "mislabelled" and wrong == 1 - label
        ]
        assert set(found) == odd
    assert len(chosen.ids) == len(chosen) == canaries.CANARIES


def test_the_other_half_keep_their_label_and_carry_patterns_of_their_own(
    rng: torch.Generator,
) -> None:
    controls = films(40, rng)
    chosen = planted(controls, 2, rng)
    rows = [i for i, kind in enumerate(chosen.traits["canary"]) if kind == "pattern"]
    before = [controls.patients.index(chosen.patients[i]) for i in rows]
    assert len(rows) == canaries.CANARIES // 2
    assert chosen.labels[rows].tolist() == controls.labels[before].tolist()
    drawn = (chosen.images[rows] - 0.5 * controls.images[before]) / 0.5
    torch.testing.assert_close(drawn, patterns(drawn))
    assert set(drawn.round(decimals=4).unique().tolist()) == {0.0, 1.0}
    assert len({one.numpy().tobytes() for one in drawn.round()}) == len(rows)


def test_few_controls_give_few_canaries_and_none_twice(rng: torch.Generator) -> None:
    for per_class in (1, 2, 3, 7):
        chosen = planted(films(per_class, rng, classes=3), 3, rng)
        assert 3 <= len(chosen.ids) == len(chosen) <= 3 * per_class


@pytest.mark.usefixtures("few_runs")
def test_every_run_learns_from_all_members_and_the_canaries_of_its_coins(
    opened: OpenedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned, seeds = [], set()
    really = redistill.learn

    def watched(recipe: object, films: Films, **options: object) -> object:
        learned.append(films)
        seeds.add(options["seed"])
        return really(recipe, films, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(redistill, "learn", watched)
    made, said = finish(opened)
    members, controls = opened.patients.members, opened.patients.controls
    assert set(made.films.ids) <= set(controls.ids)
    assert len(made.releases) == len(learned) == len(seeds) == 3
    for together, row in zip(learned, made.included, strict=True):
        inside = {one for one, coin in zip(made.films.ids, row.tolist(), strict=True) if coin}
        assert set(together.ids) == set(members.ids) | inside
        torch.testing.assert_close(together.images[: len(members)], members.images)
    assert 0 < int(made.included.sum()) < made.included.numel()
    assert (said[0], said[-1]) == ("planted distillations", "planted distillation 3 of 3")


@pytest.mark.usefixtures("few_runs")
@pytest.mark.parametrize("events", [4, 10])
def test_canaries_stopped_between_runs_continue_to_the_same_bytes(
    ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: int
) -> None:
    monkeypatch.setattr(pipelines.learning.learn, "CHECKPOINT_EVERY", 0.0)
    whole, said = finish(open_run(Run(copied(ready, tmp_path / "whole"))))
    stopped = Run(copied(ready, tmp_path / "stopped"))
    steps = canary_releases(open_run(stopped))
    for _ in range(events):
        next(steps)
    steps.close()
    again, rest = finish(open_run(stopped))
    assert len(rest) < len(said)
    assert torch.equal(again.included, whole.included)
    for one, other in zip(again.releases, whole.releases, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


@pytest.mark.usefixtures("few_runs")
def test_planted_distillations_leave_nothing_outside_the_private_part(opened: OpenedRun) -> None:
    def public() -> set[Path]:
        inside = opened.run.private
        return {p for p in opened.run.path.rglob("*") if inside not in (p, *p.parents)}

    before = public()
    finish(opened)
    assert public() == before
    assert len(list((opened.run.private / "canaries").glob("*.safetensors"))) == 3


@pytest.mark.usefixtures("few_runs")
def test_a_method_with_experts_gets_others_that_know_the_canaries(
    experts: Made, source: Source, tmp_path: Path
) -> None:
    settings = {"inner_steps": 2, "expert_epochs": 1, "last_start": 2}
    path = begun(
        source, tmp_path / "run", method="mtt", experts=experts.path, settings=settings, steps=2
    )
    made, said = finish(open_run(Run(path)))
    assert len(made.releases) == 3
    assert "experts of planted distillation 1" in said
    assert (path / "private" / "canaries" / "2-experts").is_dir()


def test_a_film_that_was_planted_more_often_is_betrayed_more(tmp_path: Path) -> None:
    """The short form of the first table of benchmarks/canaries.py."""
    rng = torch.Generator().manual_seed(3)
    members, controls = films(30, rng), films(20, rng)
    one = planted(controls, 2, rng).at([-1])
    made = recipe("dm", start="noise", ipc=2, settings={}, classes=2, size=16, width=8, steps=25)
    network = made.networks["convnet"]
    seen = members.beside(Films(controls.images, controls.labels, [f"o{p}" for p in controls.ids]))

    def match(number: int) -> Match:
        theta = network.init(torch.Generator().manual_seed(number))

        def psi(images: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
            return network.embed(theta, NORMALIZATION.standardize(images))

        return lambda _: psi

    def score(copies: int, seed: int) -> float:
        together = members
        for number in range(copies):
            together = together.beside(Films(one.images, one.labels, [f"copy {number}"]))
        where = tmp_path / f"{copies}-{seed}"
        device = torch.device("cpu")
        steps = pipelines.learning.learn.learn(
            made,
            together,
            stage="",
            seed=seed,
            device=device,
            checkpoint=where / "state",
            log=where / "log",
        )
        try:
            while True:
                next(steps)
        except StopIteration as end:
            release = quantized(end.value, {})
        found = leanings(
            [match(number) for number in range(3)],
            [Release(release.display, release.labels)],
            seen.beside(one),
        )
        return float(found[0, -1])

    absent = torch.tensor([score(0, seed) for seed in range(5)])
    z = {k: (score(k, 100 + k) - float(absent.mean())) / float(absent.std()) for k in (0, 5, 50)}
    assert abs(z[0]) < 4
    assert z[50] > z[5] > z[0]
    assert z[50] > 6
