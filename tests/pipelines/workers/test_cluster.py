"""Processes on a cluster of two nodes: the same bytes, a node that is lost, and what Ray keeps."""

import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from invented_cohort import MARK, Made, copied
from test_helping import waited

from pipelines.auditing.null_releases import COUNT, null_releases
from pipelines.learning.opened_run import open_run
from pipelines.run.errors import Exit, Stop
from pipelines.run.store import Run
from pipelines.workers.cluster import Cluster
from pipelines.workers.helping import Here

pytest.importorskip("ray", reason="Ray is not installed")

PROGRAM = Path(__file__).with_name("two_nodes.py")
ROOT = PROGRAM.parents[3]


@dataclass
class TwoNodes:
    """A cluster that runs.

    Attributes:
        folder: where Ray keeps its files.
        address: of the head.
        process: the program that holds it.
    """

    folder: Path
    address: str
    process: "subprocess.Popen[str]"

    def lose(self) -> None:
        """Kills the second node."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "killed\n"


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    with tempfile.TemporaryDirectory(prefix="r") as name, pytest.MonkeyPatch.context() as patch:
        token = Path(name) / "token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        patch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
        patch.setenv("PYTHONPATH", str(ROOT))
        with subprocess.Popen(
            [sys.executable, PROGRAM, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            yield TwoNodes(Path(name), process.stdout.readline().strip(), process)
            assert process.stdin is not None
            process.stdin.close()


def nulls(run: Path) -> dict[str, tuple[object, bytes]]:
    """Returns the header and the tensors of each null release; a header has no order."""
    found = {}
    for path in sorted((run / "private" / "nulls").glob("[0-9].safetensors")):
        content = path.read_bytes()
        end = 8 + int.from_bytes(content[:8], "little")
        found[path.name] = json.loads(content[8:end]), content[end:]
    return found


@pytest.mark.slow
def test_nodes_make_the_same_bytes_and_what_is_lost_with_one_is_made_again(
    made: Made, tmp_path: Path, cluster: TwoNodes
) -> None:
    here, there = (copied(made.path, tmp_path / name) for name in ("here", "there"))
    for _ in null_releases(open_run(Run(here)), workers=Here(1)):
        pass
    expected = nulls(here)
    assert len(expected) == COUNT

    def done() -> set[str]:
        return {name for name, content in nulls(there).items() if content == expected[name]}

    program = "pipelines.auditing.beside"
    with Cluster(cluster.address).helping(there, program, "null", most=2):
        assert waited(done, 300)
        finished = {name: (there / "private/nulls" / name).stat().st_mtime_ns for name in done()}
        cluster.lose()
        assert waited(lambda: len(done()) == COUNT, 120)
    for name, when in finished.items():
        assert (there / "private/nulls" / name).stat().st_mtime_ns == when

    run = open_run(Run(there))
    film = np.ascontiguousarray(run.patients.cohort.images[0]).tobytes()
    forbidden = [MARK.encode(), *(str(one).encode() for one in run.patients.cohort.patients)]
    forbidden += [film[start : start + 64] for start in range(0, len(film), 64)]
    forbidden = [part for part in forbidden if len(set(part)) > 2]
    files = [path for path in cluster.folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".log" or path.suffix == ".out" for path in files)
    for path in files:
        content = path.read_bytes()
        assert not any(part in content for part in forbidden), path.name
    assert cluster.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_a_wrong_token_or_address_is_refused_in_one_line(
    tmp_path: Path, cluster: TwoNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "token"
    other.write_text(secrets.token_hex(32))
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(other))
    for address, why in (
        (cluster.address, "refuses us; RAY_AUTH_TOKEN_PATH must name the file of its own token"),
        ("127.0.0.1:1", "nothing answers at 127.0.0.1:1; see that the cluster runs"),
    ):
        with (
            pytest.raises(Stop, match=why) as stop,
            Cluster(address).helping(tmp_path, "toy", most=1),
        ):
            pass
        assert stop.value.code == Exit.USAGE


@pytest.mark.slow
def test_without_a_cluster_one_begins_here_and_ends(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # too long for the sockets of a cluster
    run = copied(made.path, tmp_path / "run")

    def sessions() -> set[Path]:
        return {*Path("/tmp").glob("medidd-*"), *tmp_path.glob("medidd-*")}

    before = sessions()
    with Cluster().helping(run, "pipelines.auditing.beside", "null", most=2):
        assert waited(lambda: len(nulls(run)) == COUNT, 120)
        new = sessions() - before
        assert {path.stat().st_mode & 0o777 for path in new} == {0o700}
    assert not any(path.exists() for path in new)
