"""What the README says is so."""

import re
import shlex
from collections.abc import Iterator

import pytest
import rich_click as click
from invented_cohort import ROOT

from medidd.methods import METHODS
from pipelines.cli.main import medidd
from pipelines.run.errors import Exit

README = (ROOT / "README.md").read_text()


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 130


@pytest.mark.parametrize(
    "line",
    [
        "    pip install -e . && medidd distill --dicom-dir sample_data/studies --ipc 3",
        "    pip install -e '.[test]' && pytest",
    ],
)
def test_the_two_lines_to_begin_with_stand_there(line: str) -> None:
    assert line in README.splitlines()


def test_every_exit_code_stands_in_the_table() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert codes == {0, 1, *map(int, Exit)}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_named(name: str) -> None:
    assert f"`{name}`" in README


def every_command(group: click.Group) -> Iterator[click.Command]:
    """The commands of a group and of the groups in it."""
    for one in group.commands.values():
        yield from every_command(one) if isinstance(one, click.Group) else [one]


def test_every_command_and_option_of_the_readme_exists() -> None:
    lines = [line.strip() for line in README.splitlines() if line.startswith("    ")]
    commands = re.findall(r"medidd (.*)", "\n".join(lines))
    assert {shlex.split(line)[0] for line in commands} >= {"distill", "audit", "export", "evaluate"}
    known = {option for one in every_command(medidd) for p in one.params for option in p.opts}
    for line in commands:
        name, *words = shlex.split(line, comments=True)
        if name == "--help":
            continue
        command = medidd.commands[name]
        if isinstance(command, click.Group):
            command = command.commands[words[0]]
        options = {option for param in command.params for option in param.opts}
        assert {word for word in words if word.startswith("--")} <= options, line
    named = set(re.findall(r"`(--[a-z-]+)", README)) - {"--help"}
    assert named
    assert named <= known


def test_every_command_stands_in_the_readme() -> None:
    for name in medidd.commands:
        assert f"medidd {name}" in README


def test_every_file_the_readme_points_to_is_there() -> None:
    for path in re.findall(r"\]\(([^)#:]+)\)", README):
        if path != "docs/synthetic.png":  # drawn for a release
            assert (ROOT / path).exists(), path
