"""The page of methods says what the code says, and its figures are those that were measured."""

import re
from pathlib import Path

import pytest

from medidd.methods import METHODS
from medidd.starts import STARTS
from pipelines.commands.methods import markdown

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "methods.md").read_text()
MEASURED = (ROOT / "benchmarks" / "README.md").read_text().splitlines()


def test_the_table_of_methods_is_what_the_command_prints() -> None:
    assert markdown() in PAGE, "paste what `medidd methods --markdown` prints"


def test_every_method_has_a_section_and_every_start_is_named() -> None:
    sections = re.findall(r"^### (\S+)$", PAGE, re.MULTILINE)
    assert sections == list(METHODS)
    assert [name for name in STARTS if f"`{name}`" not in PAGE] == []


def rows(section: str) -> dict[str, set[str]]:
    """The AUCs in the rows of a section, by method."""
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    found: dict[str, set[str]] = {}
    for line in re.findall(r"^\| `.*$", text, re.MULTILINE):
        name = line.split("`")[1]
        found[name] = found.get(name, set()) | set(re.findall(r"\.\d{3}", line))
    return found


@pytest.mark.parametrize(("name", "figures"), rows("What they were worth").items())
def test_every_figure_stands_in_the_benchmarks_beside_its_method(
    name: str, figures: set[str]
) -> None:
    measured = [line for line in MEASURED if re.match(rf"\| `{name}[,`]", line)]
    assert figures <= set(re.findall(r"\.\d{3}", "\n".join(measured)))
