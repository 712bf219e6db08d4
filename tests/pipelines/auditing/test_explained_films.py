"""An audit of images that a denoiser drew trains denoisers of its own, and A1 asks each of them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from invented_cohort import Made, copied, draw, train_denoiser
from safetensors.torch import load_file

import pipelines.auditing.canaries
from medidd.data import NORMALIZATION, RealSet
from medidd.denoisers.shapes import Shape
from medidd.denoisers.trained import Configuration, Trained
from medidd.denoisers.training import State, Training, denoising, trained
from medidd.network import Weights
from pipelines.auditing.canaries import canary_releases
from pipelines.auditing.explained_films import explained, explains
from pipelines.auditing.null_releases import COUNT, null_releases
from pipelines.auditing.redo import again
from pipelines.commands import audit
from pipelines.learning.opened_run import OpenedRun, open_run
from pipelines.run.release_file import read_release
from pipelines.run.results import read_audit
from pipelines.run.store import Run
from privacy import Evidence, Films, Finding, Release, Verdict, load_policy
from privacy.attacks.tracing import tracing


def finished(steps: Any) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.fixture
def opened(drawn: Made, tmp_path: Path) -> OpenedRun:
    return open_run(Run(copied(drawn.path, tmp_path / "run")))


def released(opened: OpenedRun) -> Release:
    release = read_release(opened.run)
    return Release(release.display, release.labels)


def test_a_method_without_a_model_explains_no_film(made: Made) -> None:
    opened = open_run(Run(made.path))
    assert explained(opened, released(opened), None, None, None) is None


@pytest.mark.slow
def test_each_release_is_explained_by_its_own_model(
    opened: OpenedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipelines.auditing.canaries, "RUNS", 2)
    release, films = released(opened), opened.patients.controls
    canaries = finished(canary_releases(opened))
    nulls = finished(null_releases(opened))
    assert (len(nulls.releases), len(canaries.releases)) == (COUNT, 2)
    of = explained(opened, release, nulls, None, canaries)
    assert of is not None
    labels = torch.eye(2)[films.labels]
    everyone = (release, *nulls.releases, *canaries.releases)
    rows = [of(one)(films.images, labels) for one in everyone]
    assert all(row.shape == (len(films),) for row in rows)
    assert all(row.isfinite().all() and (row < 0).all() for row in rows)
    assert len({tuple(row.tolist()) for row in rows}) == len(rows)
    assert torch.equal(rows[0], of(release)(films.images, labels))
    # In parts or together, and in any order, a film is explained alike.
    backwards = of(release)(films.images.flip(0), labels.flip(0)).flip(0)
    assert torch.allclose(backwards, rows[0], atol=1e-5)


@pytest.mark.slow
def test_a_denoiser_that_was_trained_too_long_fails_a1() -> None:
    """Films of noise have nothing in common, so that what is known of one was learned by heart."""
    rng = torch.Generator().manual_seed(0)
    images, labels = torch.rand(96, 1, 8, 8, generator=rng), torch.arange(96) % 2
    members, controls = (
        Films(images[part], labels[part], [f"{name}{row}" for row in range(48)])
        for name, part in (("member", slice(0, 48)), ("control", slice(48, 96)))
    )
    x = NORMALIZATION.standardize(members.images)
    how = Training(steps=300, batch=48, lr=4e-3, kept=0.9)
    shape = Shape((16, 16), attention=0, block=2)
    model = Trained(None, Configuration(shape, how), 2, 1, 8, {}).denoiser
    state = State.begun(model.diffusion.init(rng), how, rng)
    fresh = {name: weight.clone() for name, weight in state.average.items()}
    for _ in trained(state, how, denoising(model, {}, RealSet(x, members.labels, 2, rng), how)):
        pass
    release = Release(torch.rand(2, 1, 8, 8, generator=rng), torch.eye(2))

    def judged(theta: Weights) -> Finding:
        of = explains(model, theta, 0)
        evidence = Evidence(release, members, controls, explained=lambda _: of)
        return tracing(evidence, load_policy(), torch.Generator().manual_seed(0))

    before, after = judged(fresh), judged(state.average)
    assert before.verdict is not Verdict.FAIL
    assert after.verdict is Verdict.FAIL
    assert after.value > 0.8 > before.value


@pytest.mark.slow
def test_an_audit_needs_only_the_run_and_gives_a1_what_models_make_of_films(
    everybody: Made, denoiser: Made, tmp_path: Path
) -> None:
    folder, place = tmp_path / "denoiser", Run(tmp_path / "run")
    begun = tmp_path / "public.safetensors"
    shutil.copy(denoiser.path / "denoiser.safetensors", begun)
    ended = train_denoiser(everybody.source, folder, "--weights", begun)
    assert ended.code == 0, ended.err
    ended = draw(everybody.source, folder, place.path, "--ipc", 1)
    assert ended.code == 0, ended.err
    of_members = json.loads((folder / "denoiser.json").read_text())
    weights = load_file(folder / "denoiser.safetensors")
    # What the members taught is out of reach of the audit, and so is what it began with.
    shutil.rmtree(folder)
    begun.unlink()
    stages = {event.stage for event in audit.run(audit.Audit(place.path, redo=True))}
    assert {"denoiser of null release 1", "denoiser of the release, again"} <= stages
    others = sorted((place.private / "nulls").glob("*-experts/denoiser.json"))
    nulls = [json.loads(path.read_text()) for path in others]
    assert len(nulls) == COUNT
    assert len({one["about"]["films"] for one in [*nulls, of_members]}) == COUNT + 1
    assert len({one["configuration"]["seed"] for one in [*nulls, of_members]}) == COUNT + 1
    for null in nulls:
        assert null["about"] | {"films": 0} == of_members["about"] | {"films": 0}
        assert null["configuration"] | {"seed": 0} == of_members["configuration"]
    # They began with the public weights too, and three updates do not lead far from these.
    null = load_file(others[0].with_name("denoiser.safetensors"))
    name = "conv_in.conv.weight"
    assert float((null[name] - weights[name]).abs().max()) < 0.01
    findings = {one["audit"]: one for one in read_audit(place)["findings"]}
    assert findings["A1"]["name"] == "Membership from the model that drew the images"
    assert findings["A1"]["details"]["null releases"] is True
    assert findings["G2"]["verdict"] == "PASS"
    assert "A5, A5b and A5c look for copies" in findings["G2"]["text"]
    assert findings["G9"]["verdict"] == "PASS"
    assert not again(place).exists()
