"""Compares finished runs, or all runs of a sweep: a table, a page and the same figures as JSON."""

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.comparison.events import event_files, require_installed
from pipelines.comparison.rows import rows
from pipelines.comparison.runs import Compared, compared
from pipelines.comparison.table import lines
from pipelines.reports.comparison import PAGE, page, shows_no_film, strip
from pipelines.run.errors import Exit, Stop
from pipelines.run.folders import require_free, write_whole
from pipelines.run.progress import Answer, Progress
from pipelines.run.store import Json, Run, dumped, own
from privacy.dp.gaussian import auc_of

RESULT = "compare.json"


@dataclass(frozen=True)
class Compare:
    """Compare runs.

    Attributes:
        folders: runs, and sweeps for all of their runs.
        out: folder of the page; None to write none.
        tensorboard: folder of the same figures as TensorBoard reads them; None to write none.
    """

    folders: Sequence[Path]
    out: Path | None = None
    tensorboard: Path | None = None


@dataclass(frozen=True)
class Place:
    """A run that is to be compared.

    Attributes:
        run: its folder.
        name: its name in a sweep, of method, ipc and seed; '' for a run that was named itself.
    """

    run: Run
    name: str

    def read(self) -> Compared:
        """Returns what a comparison says of the run.

        Raises:
            Stop: as ``compared``, or a sweep has not finished it.
        """
        if self.name and not self.run.report.exists():
            raise Stop(
                f"{self.run.path}: the sweep has not finished this run; repeat its medidd sweep "
                "command with --resume",
                Exit.DATA,
            )
        return compared(self.run)


_UNFINISHED, _DAMAGED = "not finished, or not readable", "damaged, or changed by hand"


@dataclass(frozen=True)
class Missing:
    """A run of a sweep that has no row.

    Attributes:
        place: the run.
        stop: why; its text names folders.
    """

    place: Place
    stop: Stop

    def to_json(self) -> Json:
        """Returns the run and why it is missing, without its folder."""
        damaged = self.stop.code == Exit.AUDIT
        return {"run": self.place.name, "why": _DAMAGED if damaged else _UNFINISHED}


def run(job: Compare) -> Generator[Progress, None, Answer]:
    """Reads the runs and writes what was asked for; the generator's value is the comparison.

    A run of a sweep that cannot be read gets a row that says so.

    Raises:
        Stop: a run that was named itself cannot be read, there are fewer than two releases, or a
            folder cannot be written.
    """
    _require_writable(job)
    places = [one for named in dict.fromkeys(job.folders) for one in _places(named)]
    found: dict[str, Compared] = {}
    missing: list[Missing] = []
    notes, twice = [], 0
    for number, place in enumerate(places):
        yield Progress("read runs", number, len(places))
        try:
            one = place.read()
        except Stop as stop:
            if not place.name:
                raise
            missing.append(Missing(place, stop))
        else:
            twice += one.sha256 in found
            found.setdefault(one.sha256, one)
    yield Progress("read runs", len(places), len(places))
    if len(found) < 2:
        why = "".join(f"; {one.stop}" for one in missing[:1])
        raise Stop(
            f"a comparison needs two finished runs with different releases, and here "
            f"{'is one' if found else 'are none'}; name more runs, or the folder of a sweep{why}",
            Exit.USAGE,
        )
    if twice:
        notes.append(
            f"runs left out, because they hold a release that stands here already: {twice}"
        )
    told = rows(list(found.values()))
    notes += together(told)
    told |= {"notes": notes, "missing": [one.to_json() for one in missing]}
    # All is made before the first of it is written.
    files = _files(told, found) if job.out is not None else {}
    events = event_files(told, found) if job.tensorboard is not None else {}
    if job.out is not None:
        write_whole(job.out, files, "--out")
    if job.tensorboard is not None:
        write_whole(job.tensorboard, events, "--tensorboard")
    paths = {row["row"]: str(found[row["release"]].run.path) for row in _each(told)}
    failed = [str(one.stop) for one in missing]
    return Answer(
        lines(told, paths, failed, job.out and job.out / PAGE, job.tensorboard),
        told | {"paths": paths, "failed": failed},
    )


def _require_writable(job: Compare) -> None:
    named = {"--out": job.out, "--tensorboard": job.tensorboard}
    folders = [(folder.resolve(), option) for option, folder in named.items() if folder]
    for folder, option in folders:
        require_free(folder, option)
        if any(folder in other.parents or folder == other for other, of in folders if of != option):
            raise Stop(f"{folder}: --out and --tensorboard need folders of their own", Exit.USAGE)
    if job.tensorboard is not None:
        require_installed()


def _files(told: Json, found: Mapping[str, Compared]) -> dict[str, bytes]:
    strips = {
        sha256: strip(one.release) for sha256, one in found.items() if shows_no_film(one.release)
    }
    return {PAGE: page(told, strips).encode(), RESULT: dumped(told)}


def require_all(answer: Answer) -> None:
    """Ends a comparison of a sweep of which a run could not be read.

    Raises:
        Stop: says how many.
    """
    missing = answer.value["missing"]
    if missing:
        count = len(missing) + sum(len(group["runs"]) for group in answer.value["groups"])
        damaged = any(one["why"] == _DAMAGED for one in missing)
        names = ", ".join(one["run"] for one in missing)
        raise Stop(
            f"{len(missing)} of {count} runs are not compared: {names}; their lines above say what "
            "to do",
            Exit.AUDIT if damaged else Exit.DATA,
        )


def together(told: Json) -> list[str]:
    """Returns a line on what all releases with a guarantee give an attacker who has them all."""
    several = [group for group in told["groups"] if group["comparable"] and group["mu"] is not None]
    mus = [group["mu"] for group in several for _ in group["runs"]]
    if len(mus) < 2:
        return []
    return [
        f"each guarantee is about one release; whoever has all {len(mus)} guaranteed releases of "
        f"these patients reaches an AUC of at most {auc_of(math.hypot(*mus)):.2f}"
    ]


def _places(folder: Path) -> list[Place]:
    place = Run(folder)
    if place.job.exists():
        asked = own(place)["job"]
        if isinstance(asked, dict) and isinstance(asked.get("runs"), dict):
            return [Place(Run(folder / name), name) for name in asked["runs"]]
    return [Place(place, "")]


def _each(told: Json) -> list[Json]:
    return [row for group in told["groups"] for row in group["runs"]]
