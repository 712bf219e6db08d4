"""The tutorial is run as it stands, from an empty folder, with shortened trainings.

Lines of medidd run in this process, all others in a shell that keeps its folder and variables.
"""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.cli.main import main as medidd
from pipelines.evaluation.rehearsal import Need
from pipelines.run.installation import SILENT

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()
KEY = "03" * 32
"""Decides who is held out, which is no matter of chance here."""

pytestmark = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="OpenSSH is not installed")


def blocks() -> list[tuple[str, str]]:
    """The blocks of the page: what kind they are of, and their text."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trains for a moment, rehearses nothing, and leaves this process as it was."""
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "pipelines"))
    from short_trainings import in_this_process

    import pipelines.planning.memory

    need = Need({"S is learned": 2**30}, 2**30)
    monkeypatch.setattr(pipelines.planning.memory, "rehearsed", lambda *_: need)
    for name in SILENT:
        monkeypatch.setenv(name, os.environ.get(name, ""))
    mask = os.umask(0o022)
    with in_this_process():
        yield
    os.umask(mask)


@dataclass
class Shell:
    """Where somebody is who pastes line after line.

    Attributes:
        folder: the folder they are in.
        patch: sets variables and the folder of this process.
        code: how the last line ended.
        said: what the lines of the last block wrote.
    """

    folder: Path
    patch: pytest.MonkeyPatch
    code: int = 0
    said: str = ""

    def paste(self, line: str) -> None:
        command, _, wanted = line.partition("  # ")
        if wanted.startswith("only after"):
            if not self.code:
                return
            wanted = ""
        may_fail = f"{command} --accept-inconclusive" in TUTORIAL
        self.code = self._medidd(command) if command.startswith("medidd ") else self._sh(command)
        code = int(wanted.removeprefix("exit code ")) if wanted else 0
        assert self.code == code or (may_fail and self.code == 6), f"{line}\n{self.said}"

    def _medidd(self, command: str) -> int:
        _, *words = shlex.split(command)
        told = io.StringIO()
        code = 0
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            try:
                medidd(words)
            except SystemExit as end:
                code = int(end.code or 0)
        self.said += told.getvalue()
        return code

    def _sh(self, command: str) -> int:
        ends = 'set -e; eval "$1"; { pwd; printenv MEDIDD_HOME; } > "$2" || true'
        state = self.folder / "state"
        ran = subprocess.run(
            ["bash", "-c", ends, "bash", command, state], capture_output=True, text=True
        )
        self.said += ran.stdout + ran.stderr
        if not ran.returncode:
            here, *home = state.read_text().splitlines()
            self.patch.chdir(here)
            self.patch.setenv("MEDIDD_HOME", home[0])
        return ran.returncode


def masked(text: str) -> set[str]:
    """The lines of a text without fractions, spaces and the number of networks, which differ."""
    changes = r"\d+\.\d+|\d+(?= networks)"
    return {re.sub(changes, "N", " ".join(line.split())) for line in text.splitlines()}


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_the_tutorial_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "medidd").symlink_to(ROOT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDIDD_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    shell = Shell(tmp_path, monkeypatch)
    for kind, text in blocks():
        if kind == "sh":
            shell.said = ""
            for line in text.splitlines():
                shell.paste(line)
            if not Path(os.environ["MEDIDD_HOME"], "key").exists():
                Path(os.environ["MEDIDD_HOME"]).mkdir(0o700)
                Path(os.environ["MEDIDD_HOME"], "key").write_text(KEY)
                Path(os.environ["MEDIDD_HOME"], "key").chmod(0o600)
        else:
            assert masked(text) - masked(shell.said) == set()
    assert not Path("second").exists()
    assert Path("report/report.html").exists()
    assert Path("run/report.html").exists()
    assert not (tmp_path / "elsewhere").exists()
