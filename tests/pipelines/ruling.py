"""Audits that end as a test needs it, written and entered as medidd would."""

from collections.abc import Callable

from pipelines.bundle.believed import beside_earlier, entry
from pipelines.learning.opened_run import open_run
from pipelines.run import ledger
from pipelines.run.results import read_audit, write_audit
from pipelines.run.store import Json, Run


def rule(run: Run, change: Callable[[list[Json]], object], level: str = "standard") -> None:
    """Changes the findings of a run's audit, and all that follows from them."""
    said = read_audit(run)
    change(said["findings"])
    said = beside_earlier(said | {"level": level})
    write_audit(run, said)
    with ledger.locked() as append:
        append(entry("audit", open_run(run).patients, said))


def ending(audit: str, verdict: str) -> Callable[[list[Json]], object]:
    """A change: one audit ends so."""

    def change(findings: list[Json]) -> None:
        (one,) = (finding for finding in findings if finding["audit"] == audit)
        one["verdict"] = verdict

    return change
