"""What a study is estimated to take, for people and for scripts."""

import textwrap
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medidd.machine.memory import at_hand
from pipelines.evaluation.rehearsal import Need
from pipelines.learning.job import FrozenJob
from pipelines.planning.jobs import ORDER, Job, wall
from pipelines.planning.study import Numbers, Study
from pipelines.run.store import Json

COLUMNS = 80


@dataclass(frozen=True)
class Estimate:
    """An estimate.

    Attributes:
        study: what is to be done.
        kinds: its jobs, one for each method and number of images per class.
        numbers: films and patients.
        jobs: what the processes do.
        memory: of a run, by method; None if already a rehearsal needs more than there is.
        disk: bytes by what they are for.
        read: seconds to read a film.
        tried: films that were read to know that; 0 if it is assumed.
    """

    study: Study
    kinds: Sequence[FrozenJob]
    numbers: Numbers
    jobs: Sequence[Job]
    memory: Mapping[str, Need | None]
    disk: Mapping[str, int]
    read: float
    tried: int

    def text(self) -> str:
        """Returns tables and sentences, at most ``COLUMNS`` wide."""
        parts = (self._about(), self._time(), self._space(), self._origin())
        return "\n\n".join("\n".join(part) for part in parts)

    def json(self) -> Json:
        """Returns one object; times are seconds."""
        n, workers = self.numbers, self.study.workers
        return {
            "runs": len(self.kinds) * self.study.seeds,
            "films": n.films,
            "patients": n.patients,
            "classes": n.classes,
            "members": n.members,
            "size": self.kinds[0].size,
            "device": self.kinds[0].device_name,
            "jobs": {
                kind: {"count": len(of), "seconds each": sum(of) / len(of), "seconds": sum(of)}
                for kind, of in self._by_kind().items()
            },
            "core seconds": sum(job.seconds for job in self.jobs),
            "workers": workers,
            "wall seconds": wall(self.jobs, workers),
            "memory_bytes": {method: _needs(need) for method, need in self.memory.items()},
            "disk_bytes": dict(self.disk),
            "read": {"seconds per film": self.read, "films tried": self.tried},
        }

    def _by_kind(self) -> dict[str, list[float]]:
        found: dict[str, list[float]] = defaultdict(list)
        for job in self.jobs:
            found[job.kind].append(job.seconds)
        return {kind: found[kind] for kind in ORDER if kind in found}

    def _about(self) -> list[str]:
        n, seeds, kinds = self.numbers, self.study.seeds, self.kinds
        methods = ", ".join(dict.fromkeys(kind.method for kind in kinds))
        ipcs = ", ".join(map(str, sorted({kind.ipc for kind in kinds})))
        return _wrapped(
            f"{_several(len(kinds) * seeds, 'run')}: {methods}; {ipcs} images per class; "
            f"{_several(seeds, 'seed')}; audit {self.study.audit}. Each learns from "
            f"{n.members:,} of {n.films:,} films of {n.patients:,} patients, {n.classes} classes, "
            f"{kinds[0].size} px, on {kinds[0].device_name}."
        )

    def _time(self) -> list[str]:
        lines = [f"{'jobs':<16}{'count':>8}{'seconds each':>16}{'core hours':>14}"]
        for kind, of in self._by_kind().items():
            each = sum(of) / len(of)
            lines.append(f"{kind:<16}{len(of):>8,}{each:>16,.1f}{_hours(sum(of)):>14}")
        total, workers = sum(job.seconds for job in self.jobs), self.study.workers
        return [
            *lines,
            f"{'together':<16}{len(self.jobs):>8,}{'':>16}{_hours(total):>14}",
            f"wall hours, {_several(workers, 'process')}: {_hours(wall(self.jobs, workers))}",
        ]

    def _space(self) -> list[str]:
        workers, needs = self.study.workers, [need for need in self.memory.values() if need]
        lines = [f"{'memory of a run':<24}{'command':>12}{'second':>12}{'GPU':>12}"]
        for method, need in self.memory.items():
            cells = ("more than is free",) if need is None else _needs(need).values()
            lines.append(f"{method:<24}" + "".join(f"{_bytes(cell):>12}" for cell in cells))
        if needs:
            most = max(max(need.command, need.beside) for need in needs)
            lines.append(f"{_several(workers, 'process'):<24}{_bytes(workers * most):>12}")
        lines.append(f"{'free here':<24}{_bytes(at_hand() or 'not known'):>12}")
        lines += ["", f"{'disk':<24}{'':>12}"]
        lines += [f"{name:<24}{_bytes(size):>12}" for name, size in self.disk.items() if size]
        lines.append(f"{'together':<24}{_bytes(sum(self.disk.values())):>12}")
        return [line.rstrip() for line in lines]

    def _origin(self) -> list[str]:
        """Says what was measured, and what was only assumed."""
        one = f"{1000 * self.read:.0f} ms"
        measured = f", and {self.tried} films that were read in {one} each" if self.tried else ""
        assumed = "" if self.tried else f"a film is read in {one}; "
        place = "a GPU" if self.kinds[0].device_name == "cuda" else "a core"
        return _wrapped(
            f"Measured here: steps, starts, networks, attacks, experts and denoisers, on noise"
            f"{measured}. "
            f"Assumed: {assumed}starts and attacks take longer in proportion to the films; each "
            f"process has {place} of its own and a disk that keeps up; all runs share the films, "
            "as those of medidd sweep do; memory beyond the rehearsal is 8 bytes per pixel of each "
            "film."
        )


def _needs(need: Need | None) -> Json:
    if need is None:
        return None
    return {"command": need.command, "second process": need.beside, "GPU": need.device}


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, COLUMNS, break_on_hyphens=False)


def _several(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 'es' if what.endswith('s') else 's'}"


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}"


def _bytes(size: int | str) -> str:
    """Returns a size for people; words stay as they are."""
    if isinstance(size, str):
        return size
    power = min((len(str(size)) - 1) // 3, 4)
    return f"{size / 1000**power:,.1f} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"
