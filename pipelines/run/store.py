"""A run on disk: its job, its results and its state.

RUN/
    run.json                the frozen job, a check value of the installation's key, seconds
    synthetic.safetensors   the release: images and soft labels, byte for byte what an export ships
    metrics.json, audit.json, report.html, previews/
    log.jsonl               one line per step
    private/                the cohort, who was held out, the checkpoint, null releases

Tensors are safetensors, never pickles; everything else is text. A file is written completely or
not at all: it is written next to its place and moved there.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medidd.dicom import storage
from pipelines.run.errors import Exit, Stop
from pipelines.run.installation import check_value, require_own
from pipelines.run.lock import LOCK, alone

Json = Any

RUNS = Path("runs")
"""The folder of runs, unless the user names another one."""


_READ = frozenset({"cohort", "members", "controls", "ledger.json", "refused-files.csv", LOCK})
"""What is in the private part of a run before anything is made of its films."""

_ENDED, _KEY = "ended", "key"


@dataclass(frozen=True)
class Run:
    """The folder of one run.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def job(self) -> Path:
        """The frozen job."""
        return self.path / "run.json"

    @property
    def release(self) -> Path:
        """The synthetic set, exactly as an export ships it."""
        return self.path / "synthetic.safetensors"

    @property
    def metrics(self) -> Path:
        """How well networks trained on the release perform."""
        return self.path / "metrics.json"

    @property
    def audit(self) -> Path:
        """Findings and verdict for exactly the bytes of the release."""
        return self.path / "audit.json"

    @property
    def report(self) -> Path:
        """The page for people. It is written last, so a run with a report is complete."""
        return self.path / "report.html"

    @property
    def checkpoint(self) -> Path:
        """The state of the learning between two steps, and after the last one."""
        return self.private / "checkpoint.safetensors"

    @property
    def previews(self) -> Path:
        """One picture per synthetic image."""
        return self.path / "previews"

    @property
    def log(self) -> Path:
        """One line per step."""
        return self.path / "log.jsonl"

    @property
    def private(self) -> Path:
        """What never leaves: films, roles of patients, checkpoints, null releases."""
        return self.path / "private"

    @property
    def cohort(self) -> Path:
        """The ingested films."""
        return self.private / "cohort"

    @property
    def refused(self) -> Path:
        """Which files were refused, by name; only the owner can read it."""
        return self.private / "refused-files.csv"

    @property
    def purged(self) -> Path:
        """Says that the films of this run were deleted."""
        return self.private / "purged.json"

    @property
    def budget(self) -> Path:
        """The name under which the ledger knows what a run with a guarantee has reserved."""
        return self.private / "budget.json"

    @property
    def answers(self) -> Path:
        """The noisy answers of a run with a guarantee."""
        return self.private / "answers"

    @property
    def ledger(self) -> Path:
        """Which patients are members and which controls."""
        return self.private / "ledger.json"

    def create(self) -> None:
        """Makes the folder.

        Raises:
            Stop: it cannot be written.
        """
        try:
            self.private.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = self.private / ".probe"
            probe.touch(mode=0o600)
            probe.unlink()
        except OSError as error:
            raise Stop(
                f"{self.path}: {error.strerror}; name a folder that you can write with --out",
                Exit.USAGE,
            ) from None

    def is_taken(self) -> bool:
        """Tells whether the place holds something else than a run that has just begun."""
        if not self.path.is_dir():
            return self.path.exists()
        traces = {self.private.name, f".{self.job.name}.part"}
        strange = any(found.name not in traces for found in self.path.iterdir())
        return strange or (self.private.exists() and any(self.private.iterdir()))

    def holds_results(self) -> bool:
        """Tells whether anything was made of the films that were read."""
        strange = {found.name for found in self.path.iterdir()} - {"private", self.job.name}
        return bool(strange) or any(found.name not in _READ for found in self.private.glob("*"))

    def end(self, asked: Json) -> None:
        """Notes that the job ended before it made anything, so the folder is free for any job."""
        self.ledger.unlink(missing_ok=True)
        write_json(self.job, {"job": asked, _KEY: check_value(), _ENDED: True})

    def discard(self) -> None:
        """Removes the folder of a run that could not begin, and ``RUNS`` if it is then empty."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self.path.parent == RUNS:
            with suppress(OSError):
                RUNS.rmdir()


def claim(place: Run, asked: Json, *, resume: bool) -> bool:
    """Takes a folder for a job, and tells whether it is new.

    A folder whose job ended before it made anything can be taken by any job. Its films stay,
    because the same films need not be read again.

    Raises:
        Stop: the place holds something else, the run of another job, or the run of this job
            without ``resume``.
    """
    if place.job.exists():
        found = own(place)
        if found.get(_ENDED):
            write_json(place.job, {"job": asked, _KEY: check_value()})
            return False
        if not resume:
            raise Stop(
                f"{place.path}: already holds a run; continue it with --resume, or name another "
                "folder with --out",
                Exit.USAGE,
            )
        was = found["job"]
        if different := sorted(n for n in asked.keys() | was.keys() if asked.get(n) != was.get(n)):
            raise Stop(
                f"{place.path}: the run in it differs in {', '.join(different)}; repeat the "
                "command of that run, or name another folder with --out",
                Exit.USAGE,
            )
        return False
    if place.is_taken():
        raise Stop(
            f"{place.path}: exists already and is not a run; name another folder with --out",
            Exit.USAGE,
        )
    place.create()
    write_json(place.job, {"job": asked, _KEY: check_value()})
    return True


def own(place: Run) -> Json:
    """Returns what ``run.json`` holds.

    Raises:
        Stop: the folder belongs to another installation, or the file is damaged.
    """
    try:
        found = read_json(place.job)
        _, made = found["job"], found.get(_KEY)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise Stop(f"{place.job}: damaged; make it again in another folder", Exit.USAGE) from None
    require_own(place.path, made)
    return found


@contextmanager
def claimed(place: Run, asked: Json, *, resume: bool) -> Iterator[None]:
    """Claims a folder for the body; discards a new one if the body ends in a ``Stop``.

    The same job would stop at the same point. If the folder is not new, but nothing was made
    because of the films, another job may use it. A folder whose run has reserved a budget stays:
    what was reserved counts as spent, and only this folder can go on with it.

    Raises:
        Stop: as ``claim``.
    """
    fresh = claim(place, asked, resume=resume)
    with alone(place.private / LOCK):
        try:
            yield
        except Stop as stop:
            if place.budget.exists():
                pass
            elif fresh:
                place.discard()
            elif stop.code in (Exit.DATA, Exit.REFUSED_FILES) and not place.holds_results():
                place.end(asked)
            raise


def require(path: Path) -> Run:
    """Returns the complete run at ``path``.

    Raises:
        Stop: there is none.
    """
    run = Run(path)
    if not run.job.exists():
        raise Stop(f"{path}: not a run; make one with medidd distill", Exit.USAGE)
    asked = own(run)["job"]
    if "release" in asked:
        raise Stop(
            f"{path}: not a run, but the audit of a set that somebody else made; it has nothing to "
            "export; to audit the set again, use --release",
            Exit.USAGE,
        )
    if "method" not in asked:
        raise Stop(
            f"{path}: made for runs, but not a run; make one with medidd distill", Exit.USAGE
        )
    if not run.report.exists():
        raise Stop(
            f"{path}: the run is not finished; repeat its medidd distill command with --resume",
            Exit.USAGE,
        )
    return run


def write(path: Path, content: bytes) -> None:
    """Writes a file and its folder, readable by the owner alone; all of the file or none of it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    storage.write(path, content)


def dumped(value: Json) -> bytes:
    """Returns sorted, indented JSON; a NaN raises ValueError, because it is not JSON."""
    return (json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def write_json(path: Path, value: Json) -> None:
    """Writes what ``dumped`` returns."""
    write(path, dumped(value))


def read_json(path: Path) -> Json:
    """Reads JSON."""
    return json.loads(path.read_text())


def once(path: Path, make: Callable[[], Json]) -> Json:
    """Returns the JSON at ``path``, and makes it if it is missing: this allows resuming."""
    if not path.exists():
        write_json(path, make())
    return read_json(path)
