"""How much memory there is: what Linux and its cgroups say, the least of which counts."""

from mmap import mmap
from pathlib import Path

import pytest

from medidd.machine.memory import at_hand, taken

MIB = 2**20


def computer(folder: Path, available: int, cgroup: str, files: dict[str, str]) -> tuple[Path, Path]:
    """Writes what a computer says of itself; returns its /proc and its /sys/fs/cgroup."""
    proc, cgroups = folder / "proc", folder / "cgroup"
    told = {
        proc / "meminfo": f"MemTotal:  9000000 kB\nMemFree:  1 kB\nMemAvailable:  {available} kB\n",
        proc / "self" / "cgroup": cgroup,
        **{cgroups / name: text for name, text in files.items()},
    }
    for path, text in told.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return proc, cgroups


def second(limit: str, used: int, idle: int = 0, inside: str = "") -> dict[str, str]:
    """The files of a cgroup of version 2; limit and use in MiB."""
    return {
        f"{inside}memory.max": f"{limit}\n",
        f"{inside}memory.current": f"{used * MIB}\n",
        f"{inside}memory.stat": f"anon 5\ninactive_file {idle * MIB}\nactive_file 7\n",
    }


def first(limit: int, used: int, idle: int = 0, inside: str = "") -> dict[str, str]:
    """The files of a cgroup of version 1; limit and use in MiB."""
    return {
        f"memory/{inside}memory.limit_in_bytes": f"{limit * MIB}\n",
        f"memory/{inside}memory.usage_in_bytes": f"{used * MIB}\n",
        f"memory/{inside}memory.stat": f"inactive_file 9\ntotal_inactive_file {idle * MIB}\n",
    }


MACHINES = {
    "no cgroup": ("", {}, 4000),
    "version 2 without a limit": ("0::/a\n", second("max", 50, inside="a/"), 4000),
    "version 2 with a limit": ("0::/a\n", second(str(900 * MIB), 300, inside="a/"), 600),
    "idle pages of files count as free": ("0::/\n", second(str(900 * MIB), 300, 100), 700),
    "a limit above": (
        "0::/a/b\n",
        second("max", 50, inside="a/b/") | second(str(500 * MIB), 100, inside="a/"),
        400,
    ),
    "a path that a container does not see": ("0::/x/y\n", second(str(700 * MIB), 100), 600),
    "version 1": ("4:memory:/j\n1:cpu:/\n", first(800, 300, 100, inside="j/"), 600),
    "version 1 without a limit": ("4:memory:/\n", first(2**42, 300), 4000),
    "another controller": ("4:cpu,cpuacct:/\n", first(10, 5), 4000),
    "more used than allowed": ("0::/\n", second(str(100 * MIB), 300), 0),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_at_hand_is_the_least_that_anything_leaves(machine: str, tmp_path: Path) -> None:
    cgroup, files, expected = MACHINES[machine]
    found = at_hand(*computer(tmp_path, 4000 * 1024, cgroup, files))
    assert found == expected * MIB


def test_where_nothing_is_told_nothing_is_known(tmp_path: Path) -> None:
    assert at_hand(tmp_path, tmp_path) is None
    assert taken("VmHWM", tmp_path) == 0


def test_what_this_process_takes_grows_by_what_it_holds() -> None:
    before = taken("VmRSS")
    with mmap(-1, 64 * MIB) as held:  # torch may use again what other tests have freed
        held.write(b"x" * len(held))
        assert taken("VmRSS") - before > 60 * MIB
        assert taken("VmHWM") >= before + 0.9 * len(held)


def test_this_computer_tells_what_it_has() -> None:
    found = at_hand()
    assert found is not None
    assert found > 0
