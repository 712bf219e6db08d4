"""Networks of recipients answer from disk what they would say, whichever process trained them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from invented_cohort import Made, copied
from torch import Tensor

from pipelines.auditing import beside, null_releases
from pipelines.evaluation import answering_recipients
from pipelines.evaluation.answering_recipients import answering
from pipelines.evaluation.recipients import RECIPIENTS, recipients
from pipelines.learning.opened_run import OpenedRun, open_run
from pipelines.run.release_file import read_release
from pipelines.run.store import Run
from privacy.attacks.membership import confidence
from privacy.evidence import Fit
from privacy.release import Release


def finished(steps: Any) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.fixture
def opened(made: Made, tmp_path: Path) -> OpenedRun:
    return open_run(Run(copied(made.path, tmp_path / "run")))


@pytest.fixture
def own(opened: OpenedRun) -> Release:
    release = read_release(opened.run)
    return Release(release.display, release.labels)


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes every later training fail."""

    def refuse(_: Release) -> Callable[[Tensor], Tensor]:
        raise AssertionError("a network was trained again")

    def forbid() -> None:
        monkeypatch.setattr(
            answering_recipients, "recipients", lambda *_, **__: [refuse for _ in RECIPIENTS]
        )

    return forbid


def plain(opened: OpenedRun) -> list[Fit]:
    return recipients(opened.recipe, seed=opened.frozen.seed, device=opened.frozen.device)


def test_answers_are_what_the_networks_say(
    opened: OpenedRun, own: Release, no_training: Callable[[], None]
) -> None:
    other = Release(own.images.flip(2), own.labels)
    everybody = opened.patients.members.beside(opened.patients.controls)
    right = {of: confidence(plain(opened), of, everybody) for of in (own, other)}
    finished(answering(opened, [own, other]))
    no_training()
    kept = finished(answering(opened, [own, other]))
    for release in (own, other):
        found = confidence(kept, release, everybody)
        torch.testing.assert_close(found, right[release], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(right[own], right[other])


def test_films_nobody_asked_about_and_other_releases_take_a_training(
    opened: OpenedRun, own: Release
) -> None:
    kept, fresh = finished(answering(opened, [own])), plain(opened)
    known = opened.patients.members.images[:3]
    strange = known.flip(2)
    other = Release(own.images.flip(2), own.labels)
    for ours, theirs in zip(kept, fresh, strict=True):
        torch.testing.assert_close(ours(own)(strange), theirs(own)(strange))
        torch.testing.assert_close(ours(other)(strange), theirs(other)(strange))
        torch.testing.assert_close(ours(other)(known), theirs(other)(known))


def test_a_process_beside_an_audit_trains_what_the_audit_needs(
    opened: OpenedRun,
    own: Release,
    no_training: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nulls = finished(null_releases.null_releases(opened))
    monkeypatch.setattr(beside, "joined", lambda *_: opened)
    beside.main(opened.run.path, 0, answering_recipients.PURPOSE)
    no_training()
    kept = finished(answering(opened, [own, *nulls.releases]))
    seen = opened.patients.members.images
    assert len({network(own)(seen).sum().item() for network in kept}) == len(RECIPIENTS)
