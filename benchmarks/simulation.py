"""A simulation of discrete events: jobs on the nodes of a cluster that share one file system.

Jobs begin as soon as those before them have ended, the longest first. Readers share what the file
system gives, and a node that fails begins its jobs anew. The same durations and failures give the
same course.
"""

import heapq
import random
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

Place = Literal["gpu", "core"]


@dataclass(frozen=True)
class Job:
    """Work of one process.

    Attributes:
        kind: what it is, for the table.
        place: what it computes on.
        seconds: of computing.
        gigabytes: that it reads or writes on the shared file system, before it computes.
        opened: files that it opens there.
        after: numbers of the jobs that must have ended before it.
    """

    kind: str
    place: Place
    seconds: float
    gigabytes: float = 0.0
    opened: int = 0
    after: tuple[int, ...] = ()


@dataclass(frozen=True)
class Cluster:
    """Computers that share a file system.

    Attributes:
        nodes: computers.
        gpus: of a node, each for one process.
        cores: of a node, for processes without a GPU.
        bandwidth: GB per second of the file system, shared equally by all who read or write.
        stream: GB per second that one process can take of it at most.
        opens: files per second that the file system opens for all together.
        failures: of a node per hour; the node's jobs begin anew elsewhere.
        repair: seconds until a node that failed is back.
    """

    nodes: int = 8
    gpus: int = 8
    cores: int = 48
    bandwidth: float = 5.0
    stream: float = 1.0
    opens: float = 2000.0
    failures: float = 0.0
    repair: float = 600.0

    def places(self, place: Place) -> int:
        """Returns how many processes can compute at once."""
        return self.nodes * (self.gpus if place == "gpu" else self.cores)


@dataclass
class Course:
    """How a simulation went.

    Attributes:
        seconds: until the last job ended.
        busy: seconds of computing by kind of place, without what a failure undid.
        waited: seconds in which processes waited for the file system, by kind of place.
        lost: seconds that failures undid.
        failures: of nodes while jobs were left.
        done: how often each job was begun.
        ended: when the last job of each kind ended.
    """

    seconds: float = 0.0
    busy: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    waited: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    lost: float = 0.0
    failures: int = 0
    done: list[int] = field(default_factory=list)
    ended: dict[str, float] = field(default_factory=dict)


@dataclass
class _Running:
    """A job on a node: first it reads, then it computes."""

    number: int
    node: int
    begun: float
    gigabytes: float
    opened: float
    until: float = float("inf")
    waited: float = 0.0

    @property
    def reads(self) -> bool:
        return self.gigabytes > TINY or self.opened > TINY


TINY = 1e-9


def drawn(todo: Sequence[Job], rng: random.Random, spread: float) -> list[float]:
    """Returns how long each job takes: log-normal, with its estimate as the mean.

    Args:
        todo: the jobs.
        rng: what draws.
        spread: standard deviation of the logarithm.
    """
    return [job.seconds * rng.lognormvariate(-(spread**2) / 2, spread) for job in todo]


def breakdowns(cluster: Cluster, rng: random.Random) -> Iterator[tuple[float, int]]:
    """Yields when a node fails, and which: a Poisson process over all nodes."""
    now, rate = 0.0, cluster.failures * cluster.nodes / 3600
    while rate:
        now += rng.expovariate(rate)
        yield now, rng.randrange(cluster.nodes)


def simulated(
    todo: Sequence[Job],
    cluster: Cluster,
    length: Sequence[float],
    failing: Iterator[tuple[float, int]],
) -> Course:
    """Lets a cluster do all jobs: the longest one that waits for nothing first.

    Args:
        todo: the jobs.
        cluster: the computers.
        length: seconds that each takes.
        failing: when a node fails, and which.
    """
    left = [len(job.after) for job in todo]
    behind: dict[int, list[int]] = defaultdict(list)
    for number, job in enumerate(todo):
        for before in job.after:
            behind[before].append(number)
    ready: dict[str, list[tuple[float, int]]] = {"gpu": [], "core": []}

    def make_ready(number: int) -> None:
        heapq.heappush(ready[todo[number].place], (-todo[number].seconds, number))

    for number, waits in enumerate(left):
        if not waits:
            make_ready(number)
    free = {
        "gpu": deque(node for _ in range(cluster.gpus) for node in range(cluster.nodes)),
        "core": deque(node for _ in range(cluster.cores) for node in range(cluster.nodes)),
    }
    down: dict[int, float] = {}
    never = (float("inf"), 0)
    next_failure, broken = next(failing, never)
    running: list[_Running] = []
    course, now, open_jobs = Course(done=[0] * len(todo)), 0.0, len(todo)
    while open_jobs:
        for place, queue in ready.items():
            waiting: list[int] = []
            while queue and free[place]:
                node = free[place].popleft()
                if node in down:
                    waiting.append(node)
                    continue
                _, number = heapq.heappop(queue)
                course.done[number] += 1
                job = todo[number]
                one = _Running(number, node, now, job.gigabytes, float(job.opened))
                if not one.reads:
                    one.until = now + length[number]
                running.append(one)
            free[place].extend(waiting)
        readers = [one for one in running if one.reads]
        rate = min(cluster.stream, cluster.bandwidth / max(len(readers), 1))
        opening = sum(one.opened > TINY for one in readers)
        opens = cluster.opens / max(opening, 1)
        coming = min((one.until for one in running if not one.reads), default=float("inf"))
        steps = [coming - now, next_failure - now, *(back - now for back in down.values())]
        for one in readers:
            steps += [one.gigabytes / rate] if one.gigabytes > TINY else []
            steps += [one.opened / opens] if one.opened > TINY else []
        step = max(min(steps), 0.0)
        now += step
        for one in readers:
            one.gigabytes = max(one.gigabytes - rate * step, 0.0)
            one.opened = max(one.opened - opens * step, 0.0)
            one.waited += step
            if not one.reads:
                one.until = now + length[one.number]
        for node in [node for node, back in down.items() if back <= now + TINY]:
            del down[node]
        for one in [one for one in running if one.until <= now + TINY]:
            running.remove(one)
            job = todo[one.number]
            free[job.place].append(one.node)
            course.busy[job.place] += length[one.number]
            course.waited[job.place] += one.waited
            course.ended[job.kind] = now
            open_jobs -= 1
            for after in behind[one.number]:
                left[after] -= 1
                if not left[after]:
                    make_ready(after)
        if next_failure <= now + TINY:
            course.failures += 1
            down[broken] = now + cluster.repair
            for one in [one for one in running if one.node == broken]:
                running.remove(one)
                free[todo[one.number].place].append(broken)
                course.lost += now - one.begun
                make_ready(one.number)
            next_failure, broken = next(failing, never)
    course.seconds = now
    return course
