"""Makes a run for each of several methods, numbers of images and seeds, and a table of them all.

The films are read once. Each run is a folder of its own, like one of ``medidd distill``.
"""

import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from medidd.dicom.storage import COHORT
from pipelines.commands.distill import Distill, Way, finished
from pipelines.learning.beforehand.kinds import needed
from pipelines.learning.job import FrozenJob
from pipelines.run import ledger
from pipelines.run.errors import Exit, Stop
from pipelines.run.films import read_films
from pipelines.run.lock import turns
from pipelines.run.patients import linked_patients
from pipelines.run.progress import Answer, Progress, timed
from pipelines.run.results import read_audit, read_metrics
from pipelines.run.store import Json, Run, claimed, own, read_json, write_json
from pipelines.workers.helping import TWO, Here, Workers, begun

TABLE = "sweep.json"
"""Name of the table in the folder of a sweep: one object for each run."""

TRIES = 2
"""Times that a run is tried by the command; other processes may have tried it before."""


@dataclass(frozen=True)
class Sweep:
    """Make a run of every method, with every number of images and every seed.

    Attributes:
        job: what all runs share.
        methods: names; empty for the method that ``job`` has.
        ipcs: images per class.
        seeds: how many; the first is that of ``job``.
        out: folder of the sweep.
        resume: continue a sweep that was stopped.
        workers: who makes the runs.
    """

    job: Distill
    methods: Sequence[str]
    ipcs: Sequence[int]
    seeds: int
    out: Path
    resume: bool = False
    workers: Workers = TWO

    def runs(self) -> dict[str, FrozenJob]:
        """Returns what each run is asked, by name.

        Raises:
            Stop: a name or a setting does not exist.
        """
        seeds = range(self.job.seed, self.job.seed + self.seeds)
        found = {}
        for method, ipc, seed in product(self.methods or (None,), self.ipcs, seeds):
            given: Any = self._given(method)
            frozen = replace(self.job, method=method, ipc=ipc, seed=seed, **given).frozen()
            found[f"{frozen.method}-ipc{ipc}-seed{seed}"] = frozen
        return found

    @property
    def folders(self) -> dict[str, Path | None]:
        """The folders of what is trained beforehand, by its kind; None if none was named."""
        return {"experts": self.job.experts, "denoiser": self.job.denoiser}

    def _given(self, method: str | None) -> dict[str, Path | None]:
        """Returns the folders for one of the methods: not those that only others need."""
        own, used = needed(method or ""), {needed(one) for one in self.methods}
        others = {kind.name for kind in used if kind is not None and kind != own}
        return {name: None if name in others else of for name, of in self.folders.items()}


def run(sweep: Sweep) -> Generator[Progress, None, Answer]:
    """Makes the runs that are missing; the generator's value is the table of all.

    A run that fails is tried again. If that fails, too, the others are made all the same, and the
    answer names it.

    Raises:
        Stop: with one line that says what is wrong and what to do.
    """
    runs, place = sweep.runs(), Run(sweep.out)
    ledger.entries()  # finds a damaged ledger before the work, not after it
    failed = yield from timed(place, _made(sweep, runs, place))
    rows = [_row(place, name, frozen) for name, frozen in runs.items() if name not in failed]
    write_json(place.path / TABLE, {"runs": rows})
    return Answer(_lines(place, rows, failed), {"runs": rows, "failed": failed})


def _made(
    sweep: Sweep, runs: Mapping[str, FrozenJob], place: Run
) -> Generator[Progress, None, dict[str, str]]:
    asked = {"runs": {name: frozen.to_json() for name, frozen in runs.items()}}
    with claimed(place, asked, resume=sweep.resume):
        if not (place.cohort / COHORT).exists():
            yield from read_films(place.cohort, sweep.job.studies, refused_list=place.refused)
        folders = {name: of and str(of.resolve()) for name, of in sweep.folders.items()}
        write_json(_beforehand(place), folders)
        program = "pipelines.commands.sweep"
        with sweep.workers.helping(place.path, program, most=len(runs) - 1):
            return (yield from _shared(place, runs, TRIES))


def _shared(
    place: Run, runs: Mapping[str, FrozenJob], tries: int
) -> Generator[Progress, None, dict[str, str]]:
    """Makes the runs that nobody else is making; the generator's value is why some failed."""
    failed: dict[str, str] = {}
    names = list(runs)
    yield Progress("runs", _done(place, names), len(names))
    with closing(turns([place.private / "locks" / name for name in names])) as ours:
        for number in ours:
            name = names[number]
            for _ in range(tries):
                failed.pop(name, None)
                try:
                    for _ in _finished(place, name, runs[name]):
                        pass
                    break
                except Stop as stop:
                    failed[name] = str(stop)
                except Exception as error:
                    failed[name] = f"a bug in medidd ({type(error).__name__})"
            yield Progress("runs", _done(place, names) + len(failed), len(names), f"{name} is made")
    return failed


def _finished(place: Run, name: str, frozen: FrozenJob) -> Generator[Progress, None, None]:
    one = Run(place.path / name)
    if one.report.exists():
        return
    frozen.settle()
    kind = needed(frozen.method)
    folder = None if kind is None else read_json(_beforehand(place))[kind.name]
    films = linked_patients(one, place.cohort, seed=frozen.seed, held_out=frozen.held_out)
    way = Way(resume=True, beforehand=Path(folder) if folder else None, workers=Here(1))
    yield from finished(frozen, one, films, way)


def _beforehand(place: Run) -> Path:
    """Returns the file that names the folders of experts and denoiser; they may say whose."""
    return place.private / "beforehand.json"


def _done(place: Run, names: Sequence[str]) -> int:
    return sum(Run(place.path / name).report.exists() for name in names)


def _row(place: Run, name: str, frozen: FrozenJob) -> Json:
    one = Run(place.path / name)
    audit = read_audit(one)
    return {
        "run": name,
        "method": frozen.method,
        "ipc": frozen.ipc,
        "size": frozen.size,
        "seed": frozen.seed,
        "epsilon": frozen.budget and frozen.budget.epsilon,
        "metrics": read_metrics(one),
        "audit": {"verdict": audit["verdict"], "level": audit["level"]},
    }


def _lines(place: Run, rows: Sequence[Json], failed: Mapping[str, str]) -> list[str]:
    """Returns the table for people."""
    wide = max([len(row["run"]) for row in rows], default=3)
    lines = [f"{'run':<{wide}}  {'AUC':>5}  {'95 % interval':<14}  audit"]
    for row in rows:
        auc = row["metrics"]["synthetic"]["auc"]
        interval = f"{auc['low']:.3f} to {auc['high']:.3f}"
        lines.append(
            f"{row['run']:<{wide}}  {auc['mean']:.3f}  {interval:<14}  {row['audit']['verdict']}"
        )
    lines += [f"failed: {name}: {why}" for name, why in failed.items()]
    return [*lines, f"table: {place.path / TABLE}"]


def main(path: Path, parent: int) -> None:
    """Makes the runs that nobody is making, while the process ``parent`` lives."""
    if not begun(parent):
        return
    place = Run(path)
    asked = own(place)["job"]["runs"]
    for _ in _shared(place, {name: FrozenJob.from_json(one) for name, one in asked.items()}, 1):
        pass


def require_all(answer: Answer) -> None:
    """Ends a sweep of which a part has failed.

    Raises:
        Stop: says how many.
    """
    failed = answer.value["failed"]
    if failed:
        count = len(failed) + len(answer.value["runs"])
        raise Stop(
            f"{len(failed)} of {count} runs failed: {', '.join(failed)}; mend what their lines "
            "say, and repeat the command with --resume",
            Exit.DATA,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
