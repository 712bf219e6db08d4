"""Says what a whole study would take, before anything runs: time, memory, disk and jobs."""

import time
from collections.abc import Generator, Sequence
from dataclasses import replace

from pipelines.evaluation.rehearsal import Crowd, Need
from pipelines.evaluation.utility import networks_at_once
from pipelines.learning.job import FrozenJob
from pipelines.planning.disk import disk
from pipelines.planning.estimate import Estimate
from pipelines.planning.jobs import jobs
from pipelines.planning.memory import needed
from pipelines.planning.study import Numbers, Study, crowd_of, invented, looked_at
from pipelines.planning.trial import Speeds, reading, speeds
from pipelines.run.errors import Exit, Stop
from pipelines.run.progress import Progress

REHEARSED = 200
"""Patients of a rehearsal at most. Each further film adds what is held of it."""

HELD = 4 + 4
"""Bytes that a process holds of each pixel of all films: as they are shown, and as networks see
them (``pipelines.planning.memory.least``). Stored levels are pages of a file."""


def run(study: Study) -> Generator[Progress, None, Estimate]:
    """Measures on this computer, and multiplies; the generator's value is the estimate.

    Raises:
        Stop: the study cannot be made, or a trial on noise failed.
    """
    found, crowd, header = None, None, 0.0
    kinds = study.kinds()
    if study.studies is not None:
        begun = time.monotonic()
        found = looked_at(study.studies)
        header = (time.monotonic() - begun) / len(found.films)
        crowd = crowd_of(found, kinds[0])
    numbers = Numbers.told(study) if crowd is None else Numbers.counted(crowd)
    _require_films(kinds, numbers)
    read, tried = reading(found, kinds[0].size, header)
    measured: list[Speeds] = []
    memory: dict[str, Need | None] = {}
    largest = _largest(kinds)
    total = len(kinds) + len(largest)
    try:
        for kind in kinds:
            yield Progress("measure", len(measured), total, f"{kind.method}, ipc {kind.ipc}")
            measured.append(speeds(kind, numbers, attacked=study.audit != "none"))
        for kind in largest:
            yield Progress("measure", len(kinds) + len(memory), total, f"memory of {kind.method}")
            memory[kind.method] = _memory(kind, numbers, crowd)
    except (ValueError, FloatingPointError) as error:
        raise Stop(f"a trial on noise failed: {error}", Exit.USAGE) from None
    yield Progress("measure", total, total)
    todo = jobs(
        measured,
        numbers,
        seeds=study.seeds,
        audit=study.audit,
        experts=study.experts_count,
        read=read,
        workers=study.workers,
        together=networks_at_once(kinds[0].device),
    )
    bytes_of = disk(
        kinds, numbers, seeds=study.seeds, audit=study.audit, experts=study.experts_count
    )
    return Estimate(study, kinds, numbers, todo, memory, bytes_of, read, tried)


def _require_films(kinds: Sequence[FrozenJob], numbers: Numbers) -> None:
    """Checks that each class has as many films as a release has images of it.

    Raises:
        Stop: it has not.
    """
    for kind in kinds:
        if (shown := kind.recipe(numbers.classes).shown) > numbers.members // numbers.classes:
            raise Stop(
                f"--ipc {kind.ipc}: {shown} images per class are more than the "
                f"{numbers.members // numbers.classes} films per class to learn from; use a "
                "smaller --ipc or more films",
                Exit.USAGE,
            )


def _largest(kinds: Sequence[FrozenJob]) -> list[FrozenJob]:
    """Returns one job per method, with the most images per class: it takes the most memory."""
    by_method: dict[str, FrozenJob] = {}
    for kind in sorted(kinds, key=lambda kind: kind.ipc):
        by_method[kind.method] = kind
    return list(by_method.values())


def _memory(kind: FrozenJob, numbers: Numbers, crowd: Crowd | None) -> Need | None:
    """Returns what a run needs: a rehearsal with some films, and what further ones add."""
    if crowd is None or len(crowd.roles) > REHEARSED:
        crowd = invented(numbers, REHEARSED)
    need = needed(kind, crowd)
    if need is None:
        return None
    more = max(numbers.films - len(crowd.labels), 0) * kind.size**2 * HELD
    return replace(
        need,
        stages={stage: peak + more for stage, peak in need.stages.items()},
        beside=need.beside + more,
        device=need.device and need.device + more,
    )
