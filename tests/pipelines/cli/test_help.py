"""Help is there at once, without what takes seconds to load."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions

import pytest
import rich_click as click
from invented_cohort import ROOT, called

from pipelines.cli.main import medidd
from pipelines.cli.options.groups import GROUPS
from pipelines.cli.reference import page
from pipelines.cli.show import fitted

LIGHT = {"click", "rich", "rich-click", "pyyaml", "platformdirs"}
"""The dependencies that help needs. Every other one is heavy, also one that is new."""

PROGRAM = """
import sys
from pipelines.cli import main
for arguments in {commands!r}:
    main.main(arguments)
print("heavy:", sorted({heavy!r} & {{name.partition(".")[0] for name in sys.modules}}))
"""


def heavy() -> set[str]:
    """The packages of the dependencies that no help may load."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[^\w-]", name)[0] for name in wanted} - LIGHT
    of = packages_distributions()
    return {package for package, by in of.items() if names & {name.lower() for name in by}}


def called_by() -> Iterator[list[str]]:
    """The words that call each command and each group of commands."""
    named: list[tuple[list[str], click.Command]] = [([], medidd)]
    for words, command in named:
        yield words
        if isinstance(command, click.Group):
            named += [([*words, name], one) for name, one in command.commands.items()]


def test_no_help_loads_what_is_heavy() -> None:
    commands = [["--version"], *([*words, "--help"] for words in called_by())]
    assert ["dp", "plan", "--help"] in commands
    assert {"torch", "numpy", "pydicom", "sklearn", "PIL"} <= heavy()
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(commands=commands, heavy=heavy())],
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


def options() -> Iterator[tuple[str, click.RichOption]]:
    """Every option of every command, with the command's name."""
    groups = [medidd]
    for group in groups:
        for name, command in group.commands.items():
            if isinstance(command, click.Group):
                groups.append(command)
            for option in command.params:
                if isinstance(option, click.RichOption):
                    yield name, option


def test_every_option_has_a_group_and_says_what_it_does() -> None:
    found = list(options())
    assert len(found) > 80
    for name, option in found:
        assert option.panel in GROUPS, (name, option.opts)
        assert (option.help or "").endswith("."), (name, option.opts)


def test_the_page_of_options_in_the_docs_is_what_the_commands_say() -> None:
    assert (ROOT / "docs" / "options.md").read_text() == page()


def test_every_command_is_in_a_panel_that_says_what_it_is_for() -> None:
    shown = called("--help").out
    assert "─ Studies of several runs ─" in shown
    assert "─ Commands ─" not in shown  # where those stand that no panel names


def test_answers_are_broken_between_words_on_a_terminal_and_nowhere_else() -> None:
    text = "A1  PASS          Shown one member and one control.\n\nlast/path-with-hyphens is long"
    assert fitted(text, 0) == text
    assert fitted(text, 80) == text
    assert fitted(text, 30).split("\n") == [
        "A1  PASS          Shown one",
        "    member and one control.",
        "",
        "last/path-with-hyphens is long",
    ]


def test_help_fits_80_columns_and_shows_the_groups_in_their_order() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "pipelines.cli.main", "distill", "--help"],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert max(map(len, ended.stdout.splitlines())) <= 80
    titles = [line.split()[1] for line in ended.stdout.splitlines() if line.startswith("╭─")]
    of_runs = ["Films", "Labels", "Patches", "Method", "Guarantee", "Run", "Machine"]
    assert titles == [*of_runs, "Help"]
