"""A plan on paper for a million films, checked by a simulation of discrete events.

    python -m benchmarks.scale
    python -m benchmarks.scale --audited 10000 --bandwidth 2
    python -m benchmarks.scale --memory 100000

The paper plan multiplies (docs/scale.md). The simulation draws how long each job takes around the
estimate, ends nodes at random, and lets all readers share one file system. What it adds is what
multiplying cannot know: waiting for others, for the file system, and work done twice. Nothing here
reads a film, and the same seed gives the same figures. ``--memory`` measures what the tables of a
cohort take of this computer's memory, with invented rows.
"""

import heapq
import itertools
import json
import random
import sys
import tempfile
import time
import tracemalloc
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import click
import numpy as np

Result = TypeVar("Result")

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


@dataclass(frozen=True)
class Study:
    """The study of docs/scale.md: every figure has its source there.

    Attributes:
        films: in all.
        megabytes: of a compressed film.
        size: of the images, pixels.
        controls: films of held-out patients.
        walking: seconds per film in which one process looks where the films are.
        opened: how often each film is opened.
        reading: core seconds to read a film.
        readers: processes that read, those of one node.
        shared: whether all runs share one cohort; else each run reads all films again.
        seeds: of each kind of run.
        ipc: several numbers of images per class.
        steps: updates of a run, and seconds of one, by method.
        expert: GPU seconds of one of the 10 experts of a seed.
        row: GPU seconds of three networks of one row of the report; there are five rows.
        attack: core seconds per film of all attacks on a release, and of each null release more.
        audited: films of members that attacks look at.
        full: whether planted patients are learned, too.
    """

    films: int = 1_000_000
    megabytes: float = 2.0
    size: int = 128
    controls: int = 375
    walking: float = 0.002
    opened: int = 3
    reading: float = 0.06
    readers: int = 48
    shared: bool = True
    seeds: int = 5
    ipc: tuple[int, ...] = (1, 10, 50)
    steps: tuple[tuple[str, int, float], ...] = (
        ("dm", 300, 0.042),
        ("dc", 100, 0.155),
        ("mtt", 200, 0.698),
    )
    expert: float = 22.0
    row: float = 30.0
    attack: tuple[float, float] = (0.044, 0.001)
    audited: int = 1_000_000
    full: bool = False

    @property
    def cohort(self) -> float:
        """GB of the stored films."""
        return self.films * self.size**2 * 2 / 1e9

    @property
    def runs(self) -> int:
        """Runs in all."""
        return self.seeds * len(self.ipc) * len(self.steps)

    def jobs(self) -> list[Job]:
        """Returns all jobs; a process that looks at all films reads the whole cohort first."""
        made: list[Job] = []

        def add(count: int, job: Job) -> tuple[int, ...]:
            made.extend(itertools.repeat(job, count))
            return tuple(range(len(made) - count, len(made)))

        def read() -> tuple[int, ...]:
            before = add(1, Job("walk", "core", self.films * self.walking))
            each = self.films / self.readers
            gigabytes, opened = each * self.megabytes / 1e3, round(each * self.opened)
            how = Job("read films", "core", each * self.reading, gigabytes, opened, before)
            return add(self.readers, how)

        share = self.audited / self.films
        whole = Job("", "gpu", 0.0, self.cohort, 3)
        few = replace(whole, gigabytes=self.cohort * self.controls / self.films)
        judging = replace(whole, place="core", gigabytes=self.cohort * share)
        films = read() if self.shared else ()
        for _ in range(self.seeds):
            experts: tuple[int, ...] = ()
            for (method, steps, step), _ in itertools.product(self.steps, self.ipc):
                films = films if self.shared else read()
                matching, learning = method == "mtt", steps * step
                if matching and not experts:
                    how = replace(whole, kind="experts", seconds=self.expert, after=films)
                    experts = add(10, how)
                before = (*films, *(experts if matching else ()))
                how = replace(whole, kind="distil", seconds=learning + self.row, after=before)
                distilled = add(1, how)
                how = replace(whole, kind="networks", seconds=4 * self.row, after=films)
                networks = add(1, how)
                seconds = self.audited * self.attack[0]
                how = replace(judging, kind="screen", seconds=seconds)
                screened = add(1, replace(how, after=(*distilled, *networks)))
                own = 10 * self.expert if matching else 0.0
                how = replace(few, kind="null releases", seconds=learning + own, after=screened)
                others = add(5, how)
                if self.full:
                    how = replace(how, kind="planted runs", gigabytes=self.cohort)
                    others += add(16, how)
                seconds += 5 * self.audited * self.attack[1]
                add(1, replace(judging, kind="audit", seconds=seconds, after=others))
        return made


def paper(todo: Sequence[Job], cluster: Cluster) -> tuple[float, float]:
    """Returns the paper plan: wall seconds with all bytes, and of computing alone.

    One kind of job after another, each as long as its longest job or its share of the cluster.
    """
    bytes_of = sum(job.gigabytes for job in todo) / cluster.bandwidth
    opened = sum(job.opened for job in todo) / cluster.opens
    computing = 0.0
    for kind in dict.fromkeys(job.kind for job in todo):
        of = [job for job in todo if job.kind == kind]
        seconds = [job.seconds for job in of]
        computing += max(sum(seconds) / cluster.places(of[0].place), max(seconds))
    return computing + max(bytes_of, opened), computing


def held(rows: int) -> dict[str, tuple[float, float]]:
    """Returns bytes and microseconds per film of the tables of a cohort, with invented rows.

    The bytes are what each step adds and keeps; of the last row, the most of all steps together.
    The clock runs with a tracer of memory, which makes Python some three times as slow.
    """
    from medidd.dicom.folder.cohort import Cohort
    from medidd.dicom.folder.duplicates import once
    from medidd.dicom.folder.patients import whose
    from pipelines.run.ledger import Entry
    from privacy.finding import Verdict

    found: dict[str, tuple[float, float]] = {}

    def noted(what: str, work: Callable[[], Result]) -> Result:
        before, begun = tracemalloc.get_traced_memory()[0], time.perf_counter()
        result = work()
        seconds = time.perf_counter() - begun
        kept = tracemalloc.get_traced_memory()[0] - before
        found[what] = (kept / rows, seconds / rows * 1e6)
        return result

    with tempfile.TemporaryDirectory() as folder:
        write_cohort(Path(folder), rows)
        tracemalloc.start()
        evidence, films = noted("films and evidence", lambda: looked_at(rows))
        noted("whose films they are", lambda: whose(evidence, "patient"))
        kept, _ = noted("each film once", lambda: once(films))
        names = tuple(sorted({name for film in kept for name in film.names}))
        entry = Entry(
            kind="audit", release="", people=names, verdict=Verdict.INCONCLUSIVE, level="screen"
        )
        text = noted("an entry of the ledger", entry.model_dump_json)
        noted("that entry, read", lambda: Entry.model_validate_json(text))
        cohort = noted("a cohort, opened", lambda: Cohort.open(Path(folder)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    if len(cohort.labels) != rows:
        raise RuntimeError("the cohort has not all rows")
    return found | {"the most at once": (peak / rows, 0.0)}


def looked_at(rows: int) -> tuple[list[Any], list[Any]]:
    """Returns what is kept of so many invented headers, five films of two patients."""
    from medidd.dicom.folder.duplicates import Film
    from medidd.dicom.folder.evidence import Evidence
    from medidd.dicom.source import Source

    def hashed(what: str, number: int) -> str:
        return sys.intern(f"{what}{number:015x}")

    traits = {"sex": "F", "age": "60-69", "device": "0123abcd"}
    evidence, films = [], []
    for n in range(rows):
        person, study, image = hashed("a", n * 2 // 5), hashed("b", n // 2), hashed("c", n)
        one = Evidence(person, person, "", study)
        evidence.append(one)
        place = Source(Path(f"/films/{n // 1000:04}/{n:07}.dcm"))
        names, label = (person, study, image), "ab"[n % 2]
        uid = f"1.2.826.0.1.3680043.8.498.{n:036}"
        films.append(Film(place, (n, n), uid, person, person, label, "", names, one, traits))
    return evidence, films


def write_cohort(folder: Path, rows: int) -> None:
    """Writes a cohort of so many invented films of one pixel."""
    from medidd.dicom.folder.plan import VERSION
    from medidd.dicom.storage import COHORT, FILMS, IMAGES, TOKENS

    np.save(folder / IMAGES, np.zeros((rows, 1, 1), np.uint16))
    traits = {"sex": "F", "age": "60-69", "device": "0123abcd"}
    with (folder / FILMS).open("w") as file:
        for n in range(rows):
            names = [f"a{n * 2 // 5:015x}", f"b{n // 2:015x}", f"c{n:015x}"]
            row = {"patient": names[0], "label": n % 2, "split": "", "names": names}
            file.write(json.dumps(row | traits) + "\n")
    (folder / TOKENS).write_text("".join(f"{n:016x}\n" for n in range(3 * rows)))
    about = {"version": VERSION, "size": 1, "classes": ["a", "b"], "refused": {}, "warned": {}}
    about |= {"unit": "patient", "patient_id_missing": 0, "evidence": {}}
    (folder / COHORT).write_text(json.dumps(about))


@click.command()
@click.option("--nodes", default=8, show_default=True)
@click.option("--gpus", default=8, show_default=True)
@click.option("--bandwidth", default=5.0, show_default=True, help="GB/s of the file system.")
@click.option("--opens", default=2000.0, show_default=True, help="Files it opens per second.")
@click.option("--failures", default=0.001, show_default=True, help="Of a node per hour.")
@click.option("--spread", default=0.2, show_default=True, help="Of the seconds of jobs.")
@click.option("--seed", default=0, show_default=True)
@click.option("--full", is_flag=True, help="With planted patients.")
@click.option("--apart", is_flag=True, help="Each run reads all films again.")
@click.option("--audited", default=1_000_000, show_default=True, help="Films that attacks see.")
@click.option("--memory", type=int, help="Measure so many invented rows, and simulate nothing.")
def main(
    nodes: int,
    gpus: int,
    bandwidth: float,
    opens: float,
    failures: float,
    spread: float,
    seed: int,
    full: bool,
    apart: bool,
    audited: int,
    memory: int | None,
) -> None:
    """Prints the paper plan beside the simulation."""
    if memory is not None:
        for what, (size, micros) in held(memory).items():
            click.echo(f"{what:<24}{size:>8,.0f} bytes{micros:>8,.1f} microseconds per film")
        return
    study = Study(full=full, shared=not apart, audited=audited)
    cluster = Cluster(nodes, gpus, bandwidth=bandwidth, opens=opens, failures=failures)
    todo = study.jobs()
    with_bytes, without = paper(todo, cluster)
    rng = random.Random(seed)
    course = simulated(todo, cluster, drawn(todo, rng, spread), breakdowns(cluster, rng))
    total = cluster.places("gpu") * course.seconds
    click.echo(f"{study.runs} runs, {len(todo):,} jobs, {cluster.places('gpu')} GPUs")
    click.echo(f"paper, computing only {without / 3600:>10.2f} h")
    click.echo(f"paper, with bytes     {with_bytes / 3600:>10.2f} h")
    click.echo(f"simulated             {course.seconds / 3600:>10.2f} h")
    click.echo(f"GPUs compute          {course.busy['gpu'] / total:>10.1%} of the time")
    click.echo(f"GPUs wait for bytes   {course.waited['gpu'] / total:>10.1%} of the time")
    click.echo(f"failures of nodes     {course.failures:>10} ({course.lost / 3600:.1f} h undone)")
    for kind, ended in course.ended.items():
        click.echo(f"{kind:<22}{ended / 3600:>10.2f} h ended")


if __name__ == "__main__":
    main()
