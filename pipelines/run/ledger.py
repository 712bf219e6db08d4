"""What this installation audited and exported, and from which patients. It is never cleared.

HOME/ledger/
    000001.json    one entry: what was audited or exported, when, and from which patients
    .lock          held by the process that adds an entry
HOME/entries       how many entries there are, and the hash of the newest; sealed

An attacker can subtract two releases of the same patients from each other, so an export must know
all earlier ones. Its entry is on the disk before the first byte of its bundle. If a process is
stopped in between, the ledger counts the export as made. Entries are only added, each completely or
not at all. Each entry holds the hash of the entry before it, and ``entries``, beside the key, that
of the newest. So medidd notices if an entry is changed, torn or missing, also if the newest ones or
all of them are. It does not notice if both places are put back to an earlier day together, and it
does not know what other installations did.

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
from pipelines.run.seal import read_sealed, write_sealed
from pipelines.run.store import Json, dumped, read_json, write
from privacy.decision import Acceptance
from privacy.dp.accounting import Series
from privacy.evidence import Earlier
from privacy.finding import Verdict

Kind = Literal["export", "audit", "budget", "aborted"]
"""What was done; "budget" means that a run with a guarantee was about to ask about its patients,
"aborted" that an export did not happen after all."""

_COUNT = "count of the ledger"
_RESTORE = "restore the ledger from a backup"
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
        number: its place, from 1; filled in likewise. 0 in old entries, which nobody counted.
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
    number: int = 0


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
            entry.verdict,
        )
        for entry in entries()
        if entry.kind != "budget"
    ]


def failure(judged: str) -> Entry | None:
    """Returns the first audit that refused exactly these files by exactly this policy, if any.

    Also a screening: what it found does not go away. An audit that refused only because of an
    earlier export (G7) does not count: that export may be taken back.

    Raises:
        Stop: the ledger is damaged or cannot be read.
    """
    for one in entries():
        refused = one.kind == "audit" and one.verdict == Verdict.FAIL.value
        if refused and one.judged == judged and set(one.failed) != {"G7"}:
            return one
    return None


def audited(judged: str, level: str, verdict: str) -> bool:
    """Tells whether an audit at this level judged exactly these files so.

    Raises:
        Stop: the ledger is damaged or cannot be read.
    """
    wanted = ("audit", judged, level, verdict)
    return any((one.kind, one.judged, one.level, one.verdict) == wanted for one in entries())


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
        "number": number,
    }
    try:
        write(_path(number), dumped(entry.model_dump(mode="json") | filled))
        # The file's name must outlive a power cut too.
        folder = os.open(_folder(), os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        _count(number)
    except OSError as error:
        raise _closed(error) from None
    return number


def _read() -> list[Entry]:
    counted = _counted()  # before the entries, for somebody may add one meanwhile
    try:
        # Unlike glob, this does not report an unreadable folder as empty.
        names = [name for name in os.listdir(_folder()) if _NAME.fullmatch(name)]  # noqa: PTH208
    except FileNotFoundError:
        names = []
    except OSError as error:
        raise _closed(error) from None
    found: list[Entry] = []
    before = ""
    for number in range(1, max((int(name[:-5]) for name in names), default=0) + 1):
        path = _path(number)
        try:
            entry = Entry.model_validate(read_json(path))
            if entry.before != before or entry.number not in (0, number):
                raise ValueError
            before = _digest(path)
        except PermissionError as error:
            raise _closed(error) from None
        except (OSError, ValueError, RecursionError):
            raise _gone(path) from None
        found.append(entry)
    _require_all(found, counted)
    return found


def _require_all(found: list[Entry], counted: Json) -> None:
    """Checks the entries that were read against the count of an earlier moment.

    Whoever is stopped between an entry and its count leaves a count that is one behind. It is
    mended with the next entry.

    Raises:
        Stop: entries are missing, or the newest that was counted is another one.
    """
    if counted is None:
        if any(entry.number for entry in found[:-1]):
            raise _gone(_counter())
        return
    number, newest = counted["number"], counted["newest"]
    if number > len(found) or _digest(_path(number)) != newest:
        raise _gone(_path(number))


def _count(number: int) -> None:
    write_sealed(_counter(), {"number": number, "newest": _digest(_path(number))}, _COUNT)


def _counted() -> Json:
    """Returns how many entries there were and the hash of the newest; None if nobody counted."""
    if not _counter().exists():
        return None
    return read_sealed(_counter(), _COUNT, _RESTORE, Exit.USAGE)


def _counter() -> Path:
    return home() / "entries"


def _folder() -> Path:
    return home() / "ledger"


def _path(number: int) -> Path:
    return _folder() / f"{number:06}.json"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _gone(path: Path) -> Stop:
    return Stop(
        f"{path}: damaged or missing, so medidd cannot know what has left this hospital; "
        f"{_RESTORE}",
        Exit.USAGE,
    )


def _closed(error: OSError) -> Stop:
    return Stop(
        f"{_folder()}: {error.strerror}; medidd must read and write the ledger: fix the folder's "
        f"permissions, or set {HOME} to the folder of this installation",
        Exit.USAGE,
    )
