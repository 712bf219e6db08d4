"""A plan on paper for a million films, checked by a simulation of discrete events.

    python -m benchmarks.scale
    python -m benchmarks.scale --audited 10000 --bandwidth 2

The paper plan multiplies (docs/scale.md). The simulation draws how long each job takes around the
estimate, ends nodes at random, and lets all readers share one file system. What it adds is what
multiplying cannot know: waiting for others, for the file system, and work done twice. Nothing here
reads a film, and the same seed gives the same figures.
"""

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import click

from benchmarks.simulation import Cluster, Job, breakdowns, drawn, simulated


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
) -> None:
    """Prints the paper plan beside the simulation."""
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
