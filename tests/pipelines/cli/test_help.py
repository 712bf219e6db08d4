"""Help is there at once, without what takes seconds to load."""

import subprocess
import sys

import pytest
from invented_cohort import ROOT, called

from pipelines.cli.main import medidd

PROGRAM = """
import sys
from pipelines.cli import main
for arguments in {commands!r}:
    main.main(arguments)
heavy = sorted({{"torch", "monai", "numpy", "matplotlib", "pydicom", "sklearn"}} & set(sys.modules))
print("heavy:", heavy)
"""


def test_no_help_loads_what_is_heavy() -> None:
    commands = [["--help"], ["--version"], *([name, "--help"] for name in medidd.commands)]
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(commands=commands)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.endswith("heavy: []\n"), ended.stdout[-300:]


@pytest.mark.parametrize("name", sorted(medidd.commands))
def test_every_option_is_explained(name: str) -> None:
    ended = called(name, "--help")
    assert ended.code == 0
    for param in medidd.commands[name].params:
        if param.opts[0].startswith("--"):
            assert max(param.opts, key=len) in ended.out
