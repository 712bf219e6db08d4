"""What the README and the page on own films say is so."""

import re
from collections.abc import Iterator

import pytest
import rich_click as click
from invented_cohort import ROOT

from medidd.methods import METHODS
from pipelines.cli.main import medidd
from pipelines.run.errors import Exit

README = (ROOT / "README.md").read_text()
USAGE = (ROOT / "docs" / "usage.md").read_text()


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 70


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
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", USAGE, re.MULTILINE)}
    assert codes == {0, 1, *map(int, Exit)}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_named(name: str) -> None:
    assert f"`{name}`" in README


def every_command(group: click.Group) -> Iterator[click.Command]:
    """The commands of a group and of the groups in it."""
    for one in group.commands.values():
        yield from every_command(one) if isinstance(one, click.Group) else [one]


def test_every_option_of_the_readme_exists() -> None:
    known = {option for one in every_command(medidd) for p in one.params for option in p.opts}
    named = set(re.findall(r"`(--[a-z-]+)", README + USAGE)) - {"--help"}
    assert named
    assert named <= known


@pytest.mark.parametrize("page", [README, USAGE], ids=["README", "usage"])
def test_every_command_stands_there(page: str) -> None:
    for name in medidd.commands:
        assert f"medidd {name}" in page
