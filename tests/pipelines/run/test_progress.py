"""The seconds of stages: what counts where, and that they add up and decide nothing."""

from collections.abc import Generator, Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest

import pipelines.run.progress
from pipelines.run.errors import Exit, Stop
from pipelines.run.progress import Progress, Stages, seconds_of, spoken, timed
from pipelines.run.store import Run, claim, claimed, read_json

Events = list[tuple[str, int, int]]


def at(monkeypatch: pytest.MonkeyPatch, times: Iterable[float]) -> None:
    """Sets what the clock says, each time it is asked."""
    clock = SimpleNamespace(monotonic=iter(times).__next__)
    monkeypatch.setattr(pipelines.run.progress, "time", clock)


def counted(monkeypatch: pytest.MonkeyPatch, events: Events, times: list[float]) -> Stages:
    """Stages that began at 0, passed the events at these times, and ended at the last time."""
    at(monkeypatch, [0, *times])
    stages = Stages()
    for stage, done, total in events:
        stages.passed(Progress(stage, done, total))
    stages.passed(None)
    return stages


@pytest.fixture
def place(tmp_path: Path) -> Run:
    """A run that has just begun."""
    run = Run(tmp_path / "run")
    claim(run, {"seed": 1}, resume=False)
    return run


def work(*stages: str) -> Generator[Progress, None, str]:
    for stage in stages:
        yield Progress(stage, 0, 1)
        yield Progress(stage, 1, 1)
    return "made"


def test_what_follows_the_end_of_a_stage_prepares_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = [("read", 0, 2), ("read", 1, 2), ("read", 2, 2), ("learn", 0, 1), ("learn", 1, 1)]
    stages = counted(monkeypatch, events, [1, 2, 4, 10, 20, 50])
    assert stages.together() == {"read": 4, "learn": 46}


def test_a_stage_that_never_says_it_is_done_has_the_time_until_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stages = counted(monkeypatch, [("read", 0, 2), ("learn", 0, 1)], [1, 5, 7])
    assert stages.together() == {"read": 5, "learn": 2}


def test_numbered_releases_are_one_stage_in_the_order_of_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("null releases", "experts of null release 1", "null release 1 of 5")
    events = [(name, 0, 1) for name in (*names, "null release 2 of 5", "audit (standard)")]
    stages = counted(monkeypatch, events, [1, 2, 4, 8, 16, 32])
    assert stages.of("null release 2 of 5") == 8
    assert list(stages.together().items()) == [
        ("null releases", 2 + 4 + 8),
        ("experts of null releases", 2),
        ("audit (standard)", 16),
    ]


def test_nothing_passed_is_nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert spoken(counted(monkeypatch, [], [1]).together()) == []
    assert spoken({"read films": 3.6, "distil with dm": 31}) == [
        "seconds: read films 4, distil with dm 31"
    ]


def test_seconds_of_a_run_add_up_beside_its_job(
    place: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_json(place.job)
    steps = timed(place, work("read", "learn"))
    at(monkeypatch, [0, 0, 1, 1, 3, 3, 4])  # began, noted, and two askings for each event
    assert [next(steps).done for _ in range(2)] == [0, 1]
    steps.close()
    assert seconds_of(place) == {"read": 4}
    at(monkeypatch, [0, 0, *range(1, 10)])
    for _ in timed(place, work("learn", "audit")):
        pass
    assert list(seconds_of(place).items()) == [("read", 4), ("learn", 3), ("audit", 6)]
    at(monkeypatch, [0, 0, *range(1, 10)])
    for _ in timed(place, work("learn", "audit")):
        pass
    assert list(seconds_of(place).items()) == [("read", 4), ("learn", 6), ("audit", 12)]
    after = read_json(place.job)
    del after["stages"]
    assert after == before
    assert not claim(place, {"seed": 1}, resume=True)


def test_a_long_stage_is_noted_before_it_ends(place: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines.run.progress, "NOTED_EVERY", -1.0)
    steps = timed(place, work("learn"))
    at(monkeypatch, [0, 0, 7, 7, 7, 7])
    next(steps)
    assert seconds_of(place) == {"learn": 7}


def test_a_discarded_run_does_not_come_back_for_its_seconds(tmp_path: Path) -> None:
    place = Run(tmp_path / "run")

    def failing() -> Generator[Progress, None, None]:
        with claimed(place, {"seed": 1}, resume=False):
            yield Progress("read", 0, 1)
            raise Stop("no films", Exit.DATA)

    with pytest.raises(Stop, match="no films"):
        list(timed(place, failing()))
    assert not place.path.exists()


def test_the_value_and_the_end_of_the_work_are_passed_on(place: Run) -> None:
    ended = []

    def ending() -> Generator[Progress, None, str]:
        try:
            return (yield from work("read"))
        finally:
            ended.append(True)

    values = []

    def whole() -> Generator[Progress, None, None]:
        values.append((yield from timed(place, ending())))

    assert len(list(whole())) == 2
    assert values == ["made"]
    stopped = timed(place, ending())
    next(stopped)
    stopped.close()
    assert ended == [True, True]
