"""One cohort and one finished run for all tests; an installation of their own; short trainings."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from invented_cohort import (
    Made,
    Source,
    called,
    copied,
    distill,
    draw,
    forgotten,
    plant,
    train_denoiser,
    train_experts,
)
from short_trainings import in_this_process

import pipelines.planning.memory
from pipelines.bundle.contents import contents
from pipelines.commands.export import finished
from pipelines.evaluation.rehearsal import Need
from pipelines.run.installation import SILENT
from pipelines.run.results import read_audit
from pipelines.run.store import Run, write

KEY = "03" * 32


@pytest.fixture(scope="session", autouse=True)
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An installation of the tests' own.

    Its key is always the same one, because the key decides who is held out, and so, on cohorts as
    small as these, what an audit concludes.
    """
    home = tmp_path_factory.mktemp("home")
    (home / "key").write_text(KEY)
    (home / "key").chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDIDD_HOME", str(home))
        yield


@pytest.fixture(scope="session", autouse=True)
def short_trainings() -> Iterator[None]:
    """Recipients that train for a moment."""
    with in_this_process():
        yield


@pytest.fixture
def no_rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out of a dry run what it needs of memory, which tests of memory look at.

    A rehearsal takes two processes some ten seconds each.
    """
    need = Need({"S is learned": 2**30}, 2**30)
    monkeypatch.setattr(pipelines.planning.memory, "rehearsed", lambda *_: need)


@pytest.fixture(autouse=True)
def nothing_exported_yet() -> Iterator[None]:
    """Forgets what a test did: all planted cohorts are of the same people.

    What fixtures of a session or a module entered stays, because an export asks for it.
    """
    with forgotten():
        yield


@pytest.fixture(autouse=True)
def unchanged_process() -> Iterator[None]:
    """Takes back what a command does to its process, for tests that come after."""
    mask = os.umask(0o022)
    with pytest.MonkeyPatch.context() as patch:
        for name in SILENT:
            patch.delenv(name, raising=False)
        yield
        for name in SILENT:
            os.environ.pop(name, None)
    os.umask(mask)


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Twenty patients of either class."""
    return plant(tmp_path_factory.mktemp("house"), per_class=20)


@pytest.fixture(scope="session")
def made(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A finished run on ``source``, made with ``--json``; not to be changed."""
    path = tmp_path_factory.mktemp("made") / "run"
    ended = distill(source, path, "--json")
    assert ended.code == 0, ended.err
    return Made(path, ended, source)


@pytest.fixture(scope="session")
def experts(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Experts for ``source``; not to be changed."""
    path = tmp_path_factory.mktemp("trained") / "experts"
    ended = train_experts(source, path)
    assert ended.code == 0, ended.err
    return Made(path, ended, source)


@pytest.fixture(scope="session")
def denoiser(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A denoiser for ``source``; not to be changed."""
    path = tmp_path_factory.mktemp("trained") / "denoiser"
    ended = train_denoiser(source, path)
    assert ended.code == 0, ended.err
    return Made(path, ended, source)


@pytest.fixture(scope="session")
def drawn(denoiser: Made, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A finished run on ``source`` that draws from ``denoiser``; not to be changed."""
    path = tmp_path_factory.mktemp("drawn") / "run"
    ended = draw(denoiser.source, denoiser.path, path)
    assert ended.code == 0, ended.err
    return Made(path, ended, denoiser.source)


@pytest.fixture(scope="session")
def sent(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of ``made`` as it would leave if its audit had passed; not to be changed."""
    run = Run(made.path)
    folder = tmp_path_factory.mktemp("sent") / "bundle"
    for name, data in finished(contents(run), read_audit(run) | {"verdict": "PASS"}).items():
        write(folder / name, data)
    return folder


@pytest.fixture(scope="session")
def everybody(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A finished run on patients enough for the audits to pass; not to be changed."""
    source = plant(tmp_path_factory.mktemp("big_house"), per_class=78)
    path = tmp_path_factory.mktemp("everybody") / "run"
    ended = distill(source, path, "--ipc", 1, "--json")
    assert ended.code == 0, ended.err
    return Made(path, ended, source)


@pytest.fixture(scope="session")
def passing(everybody: Made, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose audit says PASS: as small as it is, it has learned nothing about anybody.

    Not to be changed.
    """
    run = copied(everybody.path, tmp_path_factory.mktemp("passing") / "run")
    ended = called("audit", run, "--json")
    assert ended.code == 0, ended.err
    said = json.loads(ended.out)
    assert said["verdict"] == "PASS", said["reasons"]
    return Run(run)
