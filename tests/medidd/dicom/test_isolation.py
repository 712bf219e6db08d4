"""Whatever a process does not survive costs one item, and nothing is left behind."""

import contextlib
import ctypes
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from medidd.dicom.isolation import Lost, isolated


def double(number: int) -> int:
    return 2 * number


def dangerous(what: str) -> str:
    match what:
        case "crash":
            ctypes.string_at(0)
        case "abort":
            os.abort()
        case "exit":
            os._exit(0)
        case "hang":
            while True:
                time.sleep(1)
        case "hang in C":
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
            ctypes.CDLL(None).pause()
        case "fill the memory":
            return str(len(bytearray(2**36)))
        case "raise":
            raise ValueError(what)
        case "speak":
            os.write(1, b"ZZPHI")
            os.write(2, b"ZZPHI")
    return what


def pid(_: int) -> int:
    return os.getpid()


def hears_interrupts(_: int) -> bool:
    return signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.parametrize("workers", [1, 3])
def test_every_item_has_its_result(workers: int) -> None:
    found = dict(isolated(double, range(200), workers=workers))
    assert found == {number: 2 * number for number in range(200)}


def test_a_temporary_folder_with_a_long_name_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("long" * 30)))
    assert dict(isolated(double, [1, 2], workers=1)) == {1: 2, 2: 4}


def test_nothing_to_do_is_done_at_once() -> None:
    assert list(isolated(double, [])) == []


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("crash", "decoder_crash"),
        ("abort", "decoder_crash"),
        ("exit", "decoder_crash"),
        ("raise", "decoder_crash"),
        ("fill the memory", "decoder_crash"),
        ("hang", "timeout"),
        ("hang in C", "timeout"),
    ],
)
def test_what_kills_a_process_costs_one_item(what: str, code: str) -> None:
    items = ["a", what, "b", what, "c"]
    found = list(isolated(dangerous, items, workers=2, seconds=1))
    assert sorted(item for item, _ in found) == sorted(items)
    for item, result in found:
        assert result == (Lost(code) if item == what else item)


def test_what_a_process_says_is_heard_by_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    assert dict(isolated(dangerous, ["speak"])) == {"speak": "speak"}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("asked", "given"), [(2**32, 2**31), (2**30, 2**30)])
def test_a_process_takes_no_more_memory_than_the_system_allows(asked: int, given: int) -> None:
    program = (
        "import resource\nfrom medidd.dicom.isolation import isolated\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({2**31}, {2**31}))\n"
        "if __name__ == '__main__':\n"
        f"    print(list(isolated(resource.getrlimit, [resource.RLIMIT_AS], memory={asked})))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert said.stdout == f"[({resource.RLIMIT_AS}, ({given}, {given}))]\n"
    assert said.stderr == ""


def test_only_the_process_that_began_the_others_hears_an_interrupt() -> None:
    assert dict(isolated(hears_interrupts, [0], workers=1)) == {0: False}
    assert hears_interrupts(0)


def test_items_are_taken_as_they_are_wanted() -> None:
    taken: list[int] = []

    def endless() -> Iterator[int]:
        number = 0
        while True:
            taken.append(number)
            yield number
            number += 1

    some = list(islice(isolated(double, endless(), workers=2), 10))
    assert len(some) == 10
    assert len(taken) <= 10 + 2 + 1


def test_whoever_stops_early_leaves_no_process(tmp_path: object) -> None:  # noqa: ARG001
    before = set(multiprocessing.active_children())
    results = isolated(pid, range(1000), workers=2)
    pids = {result for _, result in islice(results, 50)}
    results.close()  # type: ignore[attr-defined]
    assert set(multiprocessing.active_children()) == before
    for one in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(one, 0)


BUSY = """
import time
from medidd.dicom.isolation import isolated
if __name__ == "__main__":
    for _ in isolated(time.sleep, [600, 600], workers=2):
        pass
"""


def session(leader: int) -> set[int]:
    """The processes of a session that still run."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, of, *_ = path.read_text().rpartition(")")[2].split()
            if int(of) == leader and state != "Z":
                found.add(int(path.parent.name))
    return found


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_command_leaves_no_process_busy_with_a_file(ending: signal.Signals) -> None:
    command = subprocess.Popen([sys.executable, "-c", BUSY], start_new_session=True)
    last = time.monotonic() + 60
    # The command, multiprocessing's server and tracker, and two that are busy.
    while len(session(command.pid)) < 5 and time.monotonic() < last:
        time.sleep(0.01)
    assert len(session(command.pid)) == 5
    command.send_signal(ending)
    assert command.wait() == -ending
    last = time.monotonic() + 60
    while session(command.pid) and time.monotonic() < last:
        time.sleep(0.01)
    assert session(command.pid) == set()
