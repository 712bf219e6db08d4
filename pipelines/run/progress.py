"""What a command reports while it works, and when it is done."""

import re
import time
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

from pipelines.run.store import Json, Run, read_json, write_json

Result = TypeVar("Result")

NOTED_EVERY = 10.0
"""Seconds between two notes of a stage's seconds, so that a killed process loses few of them."""

_STAGES = "stages"


@dataclass(frozen=True)
class Progress:
    """How far a command is.

    Attributes:
        stage: what is being done, for people.
        done: units done.
        total: units in all.
        note: more about the stage, such as the last loss.
    """

    stage: str
    done: int
    total: int
    note: str = ""


class Stages:
    """Wall seconds of the stages that a command's progress passes.

    What happens between the end of a stage and the first sign of the next one prepares the next
    one, so its time counts there.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._last: Progress | None = None
        self._since = time.monotonic()

    def passed(self, progress: Progress | None) -> None:
        """Counts the time since the last sign of progress; None if no other sign comes."""
        now, last = time.monotonic(), self._last
        working = last if last is not None and last.done < last.total else progress or last
        if working is not None:
            self._seconds[working.stage] = self.of(working.stage) + now - self._since
        self._last, self._since = progress or last, now

    def of(self, stage: str) -> float:
        """Returns the seconds of a stage so far."""
        return self._seconds.get(stage, 0.0)

    def together(self) -> dict[str, float]:
        """Returns the seconds of all stages; "null release 3 of 5" counts as "null releases"."""
        summed: dict[str, float] = {}
        for stage, seconds in self._seconds.items():
            kind = re.sub(r" \d+( of \d+)?$", "s", stage)
            summed[kind] = summed.get(kind, 0.0) + seconds
        return summed


def timed(
    place: Run, steps: Generator[Progress, None, Result]
) -> Generator[Progress, None, Result]:
    """Passes on the progress of work on a run, and notes how long each stage took.

    The seconds are beside the job in ``run.json``, never in it or in the release: they decide
    nothing and differ each time. Those of a run that was stopped and continued add up.
    """
    stages, noted, last = Stages(), dict[str, float](), time.monotonic()
    with closing(steps):
        try:
            while True:
                progress = next(steps)
                stages.passed(progress)
                if time.monotonic() - last > NOTED_EVERY:
                    last = time.monotonic()
                    _note(place, stages, noted)
                yield progress
        except StopIteration as end:
            result: Result = end.value
            return result
        finally:
            stages.passed(None)
            _note(place, stages, noted)


def _note(place: Run, stages: Stages, noted: dict[str, float]) -> None:
    """Adds to the run's seconds what is not ``noted`` yet; not to a run that was discarded."""
    now = {stage: round(seconds, 1) for stage, seconds in stages.together().items()}
    if now == noted or not place.job.exists():
        return
    found = read_json(place.job)
    total = dict(found.get(_STAGES, []))
    for stage, seconds in now.items():
        total[stage] = round(total.get(stage, 0.0) + seconds - noted.get(stage, 0.0), 1)
    write_json(place.job, found | {_STAGES: list(total.items())})  # an object would lose the order
    noted.update(now)


def seconds_of(place: Run) -> dict[str, float]:
    """Returns how many seconds each stage of a run took, over all commands that worked on it."""
    return dict(read_json(place.job).get(_STAGES, []))


def spoken(seconds: Mapping[str, float]) -> list[str]:
    """Returns the seconds of the stages as a line for people; none if no stage was passed."""
    told = ", ".join(f"{stage} {taken:.0f}" for stage, taken in seconds.items())
    return [f"seconds: {told}"] if told else []


@dataclass(frozen=True)
class Answer:
    """A result, for people and for scripts.

    Attributes:
        lines: for people.
        value: for scripts.
    """

    lines: list[str]
    value: Json

    def text(self) -> str:
        """Returns the lines."""
        return "\n".join(self.lines)

    def json(self) -> Json:
        """Returns the object."""
        return self.value
