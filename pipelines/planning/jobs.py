"""The jobs of a study, what waits for what, and how long they take on so many processes."""

import heapq
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.auditing.canaries import RUNS
from pipelines.auditing.null_releases import COUNT
from pipelines.evaluation.utility import NETWORKS
from pipelines.planning.study import AuditLevel, Numbers
from pipelines.planning.trial import Speeds

READ, EXPERTS, DENOISER = "read films", "experts", "denoiser"
DISTIL, TRAIN = "distil", "networks"
SCREEN, NULLS, PLANTED, AUDIT = "screen", "null releases", "planted runs", "audit"
ORDER = (READ, EXPERTS, DENOISER, DISTIL, TRAIN, SCREEN, NULLS, PLANTED, AUDIT)
"""Kinds of jobs, as a table shows them."""


@dataclass(frozen=True)
class Job:
    """Work that one process does.

    Attributes:
        kind: one of ``ORDER``.
        seconds: how long it takes.
        after: places, among all jobs, of those that must have ended before it.
    """

    kind: str
    seconds: float
    after: tuple[int, ...] = ()


def jobs(
    kinds: Sequence[Speeds],
    numbers: Numbers,
    *,
    seeds: int,
    audit: AuditLevel,
    experts: int,
    read: float,
    workers: int,
    together: int = 1,
) -> list[Job]:
    """Returns the jobs of a study; a job stands behind all that it waits for.

    The films are read once, as ``medidd sweep`` does, shared by all processes. Experts are made
    once for a seed, because a seed draws who is held out.

    Args:
        kinds: seconds of each method and number of images per class.
        numbers: films and patients.
        seeds: runs of each kind.
        audit: how thoroughly a run is audited.
        experts: number of experts of a seed, for methods that match them.
        read: seconds to read a film.
        workers: processes.
        together: networks of a row that are trained at once, in the time of one.
    """
    made: list[Job] = []

    def add(kind: str, seconds: float, after: Sequence[int] = (), count: int = 1) -> list[int]:
        made.extend(Job(kind, seconds, tuple(after)) for _ in range(count))
        return list(range(len(made) - count, len(made)))

    films = add(READ, read * numbers.films / workers, count=workers)
    for _ in range(seeds):
        trained: dict[int | None, list[int]] = {}  # experts, and a denoiser
        for of in kinds:
            if of.expert and of.pieces not in trained:
                kind = EXPERTS if of.pieces is None else DENOISER
                trained[of.pieces] = add(kind, of.expert, films, of.pieces or experts)
            matched = trained[of.pieces] if of.expert else []
            (distilled,) = add(DISTIL, of.distil, [*films, *matched])
            networks = []
            for row, seconds in of.rows.items():
                before = [distilled] if row == "synthetic" else films
                networks += add(TRAIN, seconds, before, NETWORKS // together)
            if audit == "none":
                continue
            (screened,) = add(SCREEN, of.attack, [distilled, *networks])
            if audit == "screen":
                continue
            own = (of.pieces or experts) * of.null_expert
            nulls = add(NULLS, of.null + own, [screened], COUNT)
            if audit == "full":
                planted = of.distil + (of.pieces or experts) * of.expert
                nulls += add(PLANTED, planted, [screened], RUNS)
            add(AUDIT, of.attack + COUNT * of.against, nulls)
    return made


def wall(todo: Sequence[Job], workers: int) -> float:
    """Returns the seconds until all jobs have ended.

    List scheduling (Graham 1969): a process that is free takes the longest job that waits for no
    other. That is at most twice the shortest possible time.

    Args:
        todo: the jobs; each stands behind all that it waits for.
        workers: processes.
    """
    left = [len(job.after) for job in todo]
    behind: dict[int, list[int]] = defaultdict(list)
    for place, job in enumerate(todo):
        for before in job.after:
            behind[before].append(place)
    ready = [(-job.seconds, place) for place, job in enumerate(todo) if not job.after]
    heapq.heapify(ready)
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < workers:
            longest, place = heapq.heappop(ready)
            heapq.heappush(running, (now - longest, place))
        now, ended = heapq.heappop(running)
        for place in behind[ended]:
            left[place] -= 1
            if not left[place]:
                heapq.heappush(ready, (-todo[place].seconds, place))
    return now
