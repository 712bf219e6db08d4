"""The pages build into a site that needs no network, and what they point to is there."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import rich_click as click

from medidd.methods import METHODS
from pipelines.cli.main import medidd

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)
READ = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md", *PAGES]
NAMES = [path.relative_to(ROOT).as_posix() for path in READ]


def built(docs: Path, to: Path) -> "subprocess.CompletedProcess[str]":
    command = ["-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", docs, to]
    return subprocess.run(
        [sys.executable, *command],
        env=os.environ | {"PYTHONPATH": str(ROOT), "no_proxy": "", "https_proxy": "127.0.0.1:9"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with warnings as errors: each link and its anchor are found."""
    to = tmp_path_factory.mktemp("site")
    made = built(ROOT / "docs", to)
    assert made.returncode == 0, made.stderr
    return to


@pytest.mark.slow
def test_every_page_is_on_the_site_and_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in PAGES:
        html = (site / page.relative_to(ROOT / "docs")).with_suffix(".html").read_text()
        loaded = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="([^"]+)"', html)
        assert [one for one in loaded if "//" in one] == []


@pytest.mark.slow
def test_the_names_of_the_library_have_their_docstrings(site: Path) -> None:
    library = (site / "site" / "library.html").read_text()
    for name in ("distill.distill", "data.Source", "starts.begin", "evaluate.train"):
        assert f'id="medidd.{name}"' in library
    methods = (site / "site" / "methods.html").read_text()
    for kind in METHODS.values():
        assert f'id="{kind.__module__}.{kind.__name__}"' in methods


@pytest.mark.slow
def test_a_page_that_a_text_names_is_a_link(site: Path) -> None:
    assert 'href="ingest.html"' in (site / "usage.html").read_text().partition("<article")[2]
    contributing = (site / "site" / "contributing.html").read_text()
    assert 'href="../architecture.html"' in contributing.partition("<article")[2]


@pytest.mark.parametrize("name", NAMES)
def test_what_a_page_names_is_there(name: str) -> None:
    """Links to files, and paths of the repository in code."""
    text = (ROOT / name).read_text()
    linked = re.findall(r"\]\(((?!https?:)[^)#\s]+)", text)
    lost = [link for link in linked if not (ROOT / name).parent.joinpath(link).exists()]
    named = re.findall(r"`((?:medidd|privacy|pipelines|tests|docs|benchmarks)/[\w/.-]+)`", text)
    lost += [path for path in named if not (ROOT / path).exists()]
    assert lost == []


def every_command(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    """The commands of a group and of the groups in it, by what one types."""
    for name, one in group.commands.items():
        if isinstance(one, click.Group):
            yield from ((f"{name} {more}", command) for more, command in every_command(one))
        else:
            yield name, one


COMMANDS = dict(every_command(medidd))


@pytest.mark.parametrize("name", NAMES)
def test_every_command_of_a_page_has_its_options(name: str) -> None:
    text = re.sub(r" *\\\n *", " ", (ROOT / name).read_text())
    shell = "".join(re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    typed = [*re.findall(r"^ {4}(?! )(.*)$", text, re.MULTILINE), *shell.splitlines()]
    for line in (line.rpartition("&& ")[2] for line in typed):
        if not line.startswith("medidd ") or line.startswith("medidd   "):  # a room's line
            continue
        _, *words = shlex.split(line, comments=True)
        command = COMMANDS.get(" ".join(words[:2])) or COMMANDS.get(words[0], medidd)
        own = {"--help"} | {option for param in command.params for option in param.opts}
        assert {word for word in words if word.startswith("--")} <= own, line


@pytest.mark.slow
def test_a_link_to_nothing_stops_the_build(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    (docs / "site" / "static").mkdir(parents=True)
    for name in ("conf.py", "site/static/medidd.css"):
        (docs / name).write_text((ROOT / "docs" / name).read_text())
    (docs / "other.md").write_text("# Other\n")
    links = "[a](lost.md) [b](other.md#nowhere) docs/gone.md\n\n```{toctree}\nother\n```\n"
    (docs / "index.md").write_text(f"# Index\n\n{links}")
    made = built(docs, tmp_path / "site")
    assert made.returncode
    for lost in ("lost.md", "nowhere", "gone"):
        assert lost in made.stderr
