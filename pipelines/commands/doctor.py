"""Checks whether this installation can work, and what in it may expose patients.

A user can paste the answer into a bug report: it contains no name of a host, a user or a folder.
Nothing is written.
"""

from collections.abc import Iterable
from dataclasses import asdict

from pipelines.health.checks import Check, decoders, machine, process, software
from pipelines.health.folders import places
from pipelines.run.errors import Exit, Stop
from pipelines.run.progress import Answer

_WIDEST = 34  # characters; the names of some transfer syntaxes are longer


def run() -> list[Check]:
    """Returns the findings in the order in which they are shown."""
    return [*software(), *decoders(), *machine(), *places(), *process()]


def answer(checks: Iterable[Check]) -> Answer:
    """Returns the findings for people and for scripts."""
    found = list(checks)
    width = min(max(len(check.name) for check in found), _WIDEST)
    signs = {"ok": "   ", "warning": " ! ", "broken": " X "}
    lines = [f"{signs[one.state]}{one.name:<{width}}  {one.text}" for one in found]
    counts = {state: sum(one.state == state for one in found) for state in signs}
    lines += ["", f"{counts['broken']} broken, {counts['warning']} warnings"]
    return Answer(lines, {"checks": [asdict(one) for one in found], "counts": counts})


def require_sound(checks: Iterable[Check]) -> None:
    """Ends the command if something keeps medidd from working. Warnings do not end it.

    Raises:
        Stop: something is broken.
    """
    if broken := [check.name for check in checks if check.state == "broken"]:
        raise Stop(f"broken: {', '.join(broken)}; see above", Exit.BROKEN)
