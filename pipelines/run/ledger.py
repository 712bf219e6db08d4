"""What this installation audited and exported, and from which patients. It is never cleared.

HOME/ledger/
    000001.json    one entry: what was audited or exported, when, and from which patients
    .lock          held by the process that adds an entry

An attacker can subtract two releases of the same patients from each other, so an export must know
all earlier ones. Its entry is on the disk before the first byte of its bundle. If a process is
stopped in between, the ledger counts the export as made. Entries are only added, each completely or
not at all. Each entry holds the hash of the entry before it. So medidd notices if an entry is
changed, torn or missing. It does not notice if the newest entries are missing, and it does not know
what other installations did.

People are keyed hashes, as in a cohort. A film has several: of its patient, of its study and of
itself. So medidd also recognises it in a run that counts studies or films as patients.
"""

import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from medidd.dicom.folder.cohort import Cohort
from medidd.dicom.folder.names import sought
from pipelines.run.errors import Exit, Stop
from pipelines.run.installation import HOME, home
from pipelines.run.patients import Patients
from pipelines.run.store import dumped, read_json, write
from privacy.decision import Acceptance
from privacy.dp.accounting import Series
from privacy.evidence import Earlier
from privacy.finding import Verdict

Kind = Literal["export", "audit", "budget", "aborted"]
"""What was done; "budget" means that a run with a guarantee was about to ask about its patients,
"aborted" that an export did not happen after all."""

_NAME = re.compile(r"\d{6,}\.json")


class Entry(BaseModel):
    """One entry of the ledger.

    Attributes:
        kind: what was done.
        release: SHA-256 of the release file; of a budget, the random name of the run.
        judged: SHA-256 of all that leaves and of the policy that judged it; empty in old entries.
        people: keyed hashes of all patients the release was distilled from, and of their films.
        verdict: of the audit.
        level: of the audit.
        failed: audits that failed the release.
        accepted: who let an undecided release leave, and why.
        aborts: number of the entry that this entry takes back; 0 for none.
        private: whether the release has a guarantee.
        spent: what a budget spends.
        total: epsilon that all budgets of these patients together may spend; None for no budget.
        delta: at which the total is judged.
        date: when the entry was made, in UTC; filled in when it is added.
        before: SHA-256 of the entry before; filled in likewise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    release: str
    people: tuple[str, ...]
    verdict: str
    level: str
    judged: str = ""
    failed: tuple[str, ...] = ()
    accepted: Acceptance | None = None
    aborts: int = 0
    private: bool = False
    spent: tuple[Series, ...] = ()
    total: float | None = None
    delta: float | None = None
    date: str = ""
    before: str = ""


@contextmanager
def locked() -> Iterator[Callable[[Entry], int]]:
    """Locks the ledger for others; gives a function that adds an entry and returns its number.

    When that function returns, the entry is on the disk.

    Raises:
        Stop: the ledger is damaged or cannot be written.
    """
    try:
        _folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(_folder() / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise _closed(error) from None
    try:
        yield _append
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)  # closing is not enough if a child process has it too
        os.close(lock)


def entries() -> list[Entry]:
    """Returns the entries that were not taken back, oldest first.

    Raises:
        Stop: the ledger is damaged or cannot be read; it then never counts as empty.
    """
    known = _read()
    aborted = {entry.aborts for entry in known if entry.kind == "aborted"}
    return [
        entry
        for number, entry in enumerate(known, start=1)
        if entry.kind != "aborted" and number not in aborted
    ]


def earlier(cohort: Cohort) -> list[Earlier]:
    """Returns all entries as an audit sees them: with their patients who are also in this cohort.

    Raises:
        Stop: the ledger is damaged or cannot be read.
    """
    whose: dict[str, set[str]] = {}
    for patient, names in zip(cohort.patients, cohort.names, strict=True):
        for name in names:
            whose.setdefault(name, set()).add(str(patient))
    return [
        Earlier(
            entry.kind,
            entry.release,
            frozenset(patient for name in sought(entry.people) for patient in whose.get(name, ())),
            entry.private,
        )
        for entry in entries()
        if entry.kind != "budget"
    ]


def failure(judged: str) -> Entry | None:
    """Returns the first audit that refused exactly these files by exactly this policy, if any.

    An audit that refused only because of an earlier export (G7) does not count: that export may be
    taken back.

    Raises:
        Stop: the ledger is damaged or cannot be read.
    """
    for one in entries():
        refused = one.kind == "audit" and one.verdict == Verdict.FAIL.value
        if refused and one.judged == judged and set(one.failed) != {"G7"}:
            return one
    return None


def people(patients: Patients) -> tuple[str, ...]:
    """Returns every keyed hash of the members and of their films, sorted."""
    cohort = patients.cohort
    films = zip(cohort.patients, cohort.names, strict=True)
    members = [names for patient, names in films if patients.roles[str(patient)] == "member"]
    return tuple(sorted({name for names in members for name in names}))


def _append(entry: Entry) -> int:
    number = len(_read()) + 1
    filled = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "before": _digest(_path(number - 1)) if number > 1 else "",
    }
    try:
        write(_path(number), dumped(entry.model_dump(mode="json") | filled))
        # The file's name must outlive a power cut too.
        folder = os.open(_folder(), os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    except OSError as error:
        raise _closed(error) from None
    return number


def _read() -> list[Entry]:
    try:
        # Unlike glob, this does not report an unreadable folder as empty.
        names = [name for name in os.listdir(_folder()) if _NAME.fullmatch(name)]  # noqa: PTH208
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _closed(error) from None
    found: list[Entry] = []
    before = ""
    for number in range(1, max((int(name[:-5]) for name in names), default=0) + 1):
        path = _path(number)
        try:
            entry = Entry.model_validate(read_json(path))
            if entry.before != before:
                raise ValueError
            before = _digest(path)
        except PermissionError as error:
            raise _closed(error) from None
        except (OSError, ValueError):
            raise Stop(
                f"{path}: damaged or missing, so medidd cannot know what has left this hospital; "
                "restore the ledger from a backup",
                Exit.USAGE,
            ) from None
        found.append(entry)
    return found


def _folder() -> Path:
    return home() / "ledger"


def _path(number: int) -> Path:
    return _folder() / f"{number:06}.json"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _closed(error: OSError) -> Stop:
    return Stop(
        f"{_folder()}: {error.strerror}; medidd must read and write the ledger: fix the folder's "
        f"permissions, or set {HOME} to the folder of this installation",
        Exit.USAGE,
    )
