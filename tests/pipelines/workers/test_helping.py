"""Processes of this computer that share work, and what ``--workers`` means."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toy import pieces

from pipelines.workers.choice import workers
from pipelines.workers.cluster import Cluster
from pipelines.workers.helping import Here
from pipelines.workers.pieces import shared

FOLDER = Path(__file__).parent


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets other processes find the toy."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FOLDER), str(FOLDER.parents[2])]))


def begun(place: Path) -> set[int]:
    return {int(path.stem) for path in place.glob("*.begun")}


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def waited(for_what: object, seconds: float = 60.0) -> bool:
    """Waits until something is true; tells whether it became so."""
    end = time.monotonic() + seconds
    while not for_what():  # type: ignore[operator]
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1", Here(1)),
        ("16", Here(16)),
        ("local", Here(0)),
        ("ray", Cluster()),
        ("ray://head:6379", Cluster("head:6379")),
    ],
)
def test_workers_are_what_the_option_says(text: str, meant: object) -> None:
    assert workers(text) == meant


@pytest.mark.parametrize("text", ["0", "-1", "2.5", "", "dask", "ray://", "rays"])
def test_other_workers_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number above 0, local, ray or ray://HOST:PORT"):
        workers(text)


def test_all_pieces_are_done_once_by_the_processes_that_there_are(tmp_path: Path) -> None:
    work = pieces(tmp_path, 12, 0.2)
    with Here(3).helping(tmp_path, "toy", "12", "0.2", most=11):
        assert waited(lambda: len(begun(tmp_path)) == 2)
        assert len(list(shared(work[::-1]))) == 12
    by = {piece.result["by"] for piece in work}
    assert by == {os.getpid(), *begun(tmp_path)}
    assert not any(map(alive, begun(tmp_path)))


@pytest.mark.parametrize(("count", "most", "begin"), [(1, 9, 0), (4, 1, 1), (0, 0, 0)])
def test_no_process_begins_that_has_nothing_to_do(
    count: int, most: int, begin: int, tmp_path: Path
) -> None:
    with Here(count).helping(tmp_path, "toy", "1", "60", most=most):
        assert waited(lambda: len(begun(tmp_path)) == begin)
    assert len(begun(tmp_path)) == begin


def test_a_command_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    code = (
        "import time\nfrom pathlib import Path\nfrom pipelines.workers.helping import Here\n"
        f"with Here(3).helping(Path({str(tmp_path)!r}), 'toy', '9', '60', most=9):\n"
        "    time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as command:
        assert waited(lambda: len(begun(tmp_path)) == 2)
        command.send_signal(signal.SIGKILL)
    assert waited(lambda: not any(map(alive, begun(tmp_path))), 10)
    assert not list(tmp_path.glob("*.json"))
