"""An interrupted command says one line, ends at once, leaves no process and can be continued."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from invented_cohort import ROOT, SMALL, Made, Source, distill, public

LONGEST = 120
"""Seconds that a test waits for what should come soon, on a busy computer too."""

SAID = "medidd: interrupted; repeat the command to continue, with --resume if it has it"

LOST = """
import hashlib, time
from pipelines.cli import main
main._PATIENCE = 0.1
def lose():
    while True:
        try:
            print("ready", flush=True)
            time.sleep(600)
        except KeyboardInterrupt:
            pass
def compute():
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
def fail():
    try:
        print("ready", flush=True)
        time.sleep(600)
    except KeyboardInterrupt:
        raise ImportError("as a library says it") from None
def wait():
    print("ready", flush=True)
    input()
main.medidd.commands["doctor"].callback = lambda **_: {what}()
main.main(["doctor"])
"""


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Lets what starts here hear interrupts, also where a shell runs these tests behind."""
    was = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, was)


def session(leader: int) -> dict[int, str]:
    """The processes of a session that still run, and what they are."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, of, *_ = path.read_text().rpartition(")")[2].split()
            if int(of) == leader and state != "Z":
                found[int(path.parent.name)] = (path.parent / "cmdline").read_text()
    return found


def started(arguments: list[object]) -> "subprocess.Popen[str]":
    """Starts a command with short trainings, in a session of its own."""
    program = Path(__file__).parents[1] / "short_trainings.py"
    return subprocess.Popen(
        [sys.executable, str(program), *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "times"),
    [("private/cohort/*", 1), ("log.jsonl", 2), ("private/worth/*/synthetic*", 1)],
)
def test_an_interrupted_distillation_leaves_no_process_and_is_continued(
    made: Made, source: Source, tmp_path: Path, moment: str, times: int
) -> None:
    place = tmp_path / "run"
    arguments = ["--dicom-dir", source.folder, "--ipc", 3, *SMALL, "--out", place]
    process = started(["distill", *arguments])
    while process.poll() is None and not list(place.glob(moment)):
        time.sleep(0.001)
    for _ in range(times):
        os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=LONGEST)
    assert process.returncode == 130
    assert err.splitlines()[-1] == SAID
    assert "Traceback" not in err
    last = time.monotonic() + LONGEST
    while session(process.pid) and time.monotonic() < last:
        time.sleep(0.01)
    assert session(process.pid) == {}
    assert not (place / "report.html").exists()
    assert distill(source, place, "--resume").code == 0
    assert public(place) == public(made.path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("what", ["lose", "compute", "fail"])
def test_a_command_that_does_not_hear_the_interrupt_ends_too(
    what: str, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", LOST.format(what=what)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=LONGEST)
    assert process.returncode == 128 + number
    assert err.strip() == SAID


def test_a_command_that_is_told_to_hear_no_interrupt_goes_on() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = subprocess.Popen(
        [sys.executable, "-c", LOST.format(what="wait")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    process.communicate("\n", timeout=LONGEST)
    assert process.returncode == 0


def test_on_a_terminal_errors_are_broken_between_words() -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli.main", "audit", "/" + "no/" * 20],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "60"},
        stderr=theirs,
    )
    process.wait(LONGEST)
    os.close(theirs)
    lines = os.read(ours, 4096).decode().splitlines()
    os.close(ours)
    assert len(lines) > 1
    assert all(line.startswith("    ") for line in lines[1:])
