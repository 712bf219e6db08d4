"""How the pages of docs become a site: python -m sphinx -W -b html docs docs/_build.

A page is read on a forge as well as here. So pages link to each other as files do, and name files
of the repository in words; what follows turns both into links that a build checks.
"""

import os
import re
from importlib import metadata
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

ROOT = Path(__file__).resolve().parents[1]

project = "medidd"
author = "The medidd authors"
release = version = metadata.version("medidd")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"medidd {release}"
html_static_path = ["site/static"]
html_css_files = ["medidd.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
smartquotes = False  # would make a dash of the two hyphens of an option

myst_heading_anchors = 4
highlight_language = "none"  # indented blocks are commands, figures and formulas alike
napoleon_use_ivar = True  # attributes that a docstring lists are often properties, too
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
autodoc_default_options = {"exclude-members": "__init__, __new__"}
python_use_unqualified_type_names = True

ELSEWHERE = {
    "README.md": "index",
    "CONTRIBUTING.md": "site/contributing",
    "CHANGELOG.md": "site/changelog",
    "benchmarks/README.md": "site/benchmarks",
}
"""Files outside docs that are pages of the site."""

NAMED = re.compile(r"\b(?:docs/[\w/-]+|README|CONTRIBUTING|CHANGELOG|benchmarks/README)\.md\b")
"""A page that a text names."""


def page_of(file: str) -> str:
    """Returns the page that a file of the repository is."""
    return ELSEWHERE.get(file) or file.removeprefix("docs/").removesuffix(".md")


def _read(_: Sphinx, page: str, content: list[str]) -> None:
    """Reads files outside docs in place of their stubs, and points links between files at pages."""
    source = f"docs/{page}.md"
    for file, here in ELSEWHERE.items():
        if here == page != "index":
            source, content[0] = file, (ROOT / file).read_text()

    def pointed(link: re.Match[str]) -> str:
        target = os.path.normpath(Path(source).parent / link[1])
        if target.endswith(".md") and (ROOT / target).is_file():
            target = f"docs/{page_of(target)}.md"
        return f"]({os.path.relpath(target, Path('docs', page).parent)}{link[2]})"

    content[0] = re.sub(r"\]\(([\w./-]+)((?:#[\w-]+)?)\)", pointed, content[0])


class Named(SphinxTransform):
    """Links pages that a text names, such as docs/labels.md; draws dashes of field lists."""

    default_priority = 10

    def apply(self, **_: Any) -> None:
        """Replaces names in running text, but not in code, links and titles."""
        still = (nodes.literal, nodes.literal_block, nodes.reference, pending_xref, nodes.title)
        for text in list(self.document.findall(nodes.Text)):
            if text.astext() == " -- ":
                text.parent.replace(text, nodes.Text(" – "))  # noqa: RUF001
                continue
            found = [name for name in NAMED.finditer(text) if self._expected(name[0])]
            around = text.parent
            while around is not None and not isinstance(around, still):
                around = around.parent
            if not found or around is not None:
                continue
            pieces: list[nodes.Node] = []
            end = 0
            for name in found:
                pieces += [nodes.Text(text[end : name.start()]), self._link(name[0])]
                end = name.end()
            text.parent.replace(text, [*pieces, nodes.Text(text[end:])])

    def _expected(self, file: str) -> bool:
        """Says whether there must be such a page; the changelog may name one that is gone."""
        return self.env.docname != "site/changelog" or (ROOT / file).exists()

    def _link(self, file: str) -> nodes.Node:
        link = pending_xref(
            "",
            nodes.inline("", file),
            refdoc=self.env.docname,
            refdomain="std",
            reftype="doc",
            refexplicit=True,
            refwarn=True,
            reftarget=f"/{page_of(file)}",
        )
        link.source, link.line = self.document.get("source"), None
        return link


def _plain(_: Sphinx, _what: str, _name: str, _of: Any, _options: Any, lines: list[str]) -> None:
    """Lets docstrings say theta* and |x| without meaning markup; sets formulas apart."""
    sections = any(re.match(r"(Args|Attributes|Returns|Raises|Yields):$", line) for line in lines)
    done: list[str] = []
    for number, line in enumerate(lines):
        before = lines[number - 1] if number else ""
        formula = not sections and line.startswith("    ")
        if formula and not before.strip():
            done += ["::", ""]
        parts = re.split(r"(``.*?``)", line)
        parts[::2] = [
            re.sub(r"([*|\\]|(?<=\w)_(?=\W|$)|(?<!`)`(?!`))", r"\\\1", p) for p in parts[::2]
        ]
        done.append(line if formula else "".join(parts))
    lines[:] = done


def setup(app: Sphinx) -> None:
    """Adds what is above to a build."""
    app.connect("source-read", _read)
    app.connect("autodoc-process-docstring", _plain, priority=400)  # before napoleon
    app.add_transform(Named)
