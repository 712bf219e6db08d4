"""How much memory a process has taken, and how much there is for others: read from Linux.

Where the system says nothing, nothing is known: a run must not be refused for that.
"""

import re
from pathlib import Path

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def taken(what: str = "VmHWM", proc: Path = PROC) -> int:
    """Returns bytes of this process by a name of /proc/self/status; 0 if that is not known.

    Args:
        what: "VmHWM" for the most that was ever resident, "VmRSS" for what is, "RssAnon" for what
            of it is no page of a file.
        proc: where Linux tells.
    """
    return _kib(proc / "self" / "status", what) or 0


def at_hand(proc: Path = PROC, cgroups: Path = CGROUPS) -> int | None:
    """Returns the bytes that this process can still take; None if that is not known.

    It is the least of what the computer has available and what each cgroup above this process has
    left, of version 1 or 2. Pages of files that nobody needs count as free.
    """
    known = [_kib(proc / "meminfo", "MemAvailable"), *_left(proc, cgroups)]
    return min((one for one in known if one is not None), default=None)


def _left(proc: Path, cgroups: Path) -> list[int]:
    """Returns what each cgroup with a limit has left, bytes."""
    found = []
    for line in _text(proc / "self" / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            root, limit, used, idle = cgroups, "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            root, limit, used = cgroups / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            idle = "total_inactive_file"
        else:
            continue
        # A container may not see the folders that its own path names, but the root is always there.
        inside = Path(path.lstrip("/"))
        for folder in (root / inside, *(root / above for above in inside.parents)):
            most, now = _number(folder / limit), _number(folder / used)
            if most is not None and now is not None:
                idly = re.search(rf"^{idle} (\d+)$", _text(folder / "memory.stat"), re.MULTILINE)
                found.append(max(most - now + (int(idly[1]) if idly else 0), 0))
    return found


def _number(path: Path) -> int | None:
    """Returns the number in a file; None if there is none, as in "max"."""
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None


def _kib(path: Path, name: str) -> int | None:
    """Returns what a line such as "VmHWM:  1234 kB" says, in bytes; None without such a line."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", _text(path), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
