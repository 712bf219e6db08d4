"""The table of methods, read from the code: for a terminal, and for docs/methods.md."""

import dataclasses
import inspect
import re
import textwrap
from typing import Any

from medidd.fields import fields, kinds
from medidd.methods import METHODS
from medidd.starts import STARTS
from pipelines.learning.settings import CHOICES, INGREDIENTS, settable


@dataclasses.dataclass(frozen=True)
class Entry:
    """A method as its module introduces it.

    Attributes:
        name: on the command line.
        title: of the paper.
        source: authors, venue, algorithm, arXiv number.
        learns: which tensors.
        costs: what a step takes.
    """

    name: str
    title: str
    source: str
    learns: str
    costs: str


def entry(name: str) -> Entry:
    """Returns what the module of a method says in its first three paragraphs."""
    title, source, facts, *_ = (inspect.getdoc(inspect.getmodule(METHODS[name])) or "").split(
        "\n\n"
    )
    learns, costs = " ".join(facts.split()).removeprefix("Learns: ").split(" Costs: ")
    texts = (title, " ".join(source.split()), learns, costs)
    return Entry(name, *(text.rstrip(".").replace("``", "`") for text in texts))


def table() -> str:
    """Returns methods with their fields and defaults, then starts, for a terminal."""
    lines = ["methods (S is the synthetic set; a step is one update of S)"]
    for name, kind in METHODS.items():
        about = entry(name)
        lines += [
            f"  {name}: {about.title}",
            f"    {about.source}",
            f"    learns: {about.learns}",
            f"    costs: {about.costs}",
        ]
        texts = attributes(kind)
        lines += [
            f"    {field} = {value}: {texts[field]}{_paper(kind, field)}"
            for field, value in defaults(kind).items()
        ]
    lines.append("starts, each of which is also a baseline")
    lines += [f"  {name}: {start.text}" for name, start in STARTS.items()]
    return "\n".join(_wrapped(line) for line in lines)


def _wrapped(line: str) -> str:
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.fill(line, 80, subsequent_indent=indent, break_on_hyphens=False)


def markdown() -> str:
    """Returns the table of methods for docs/methods.md."""
    lines = ["| name | paper | learns | costs |", "|---|---|---|---|"]
    for name in METHODS:
        about = entry(name)
        title = about.title.partition(": ")[2] or about.title
        cells = (f"`{name}`", f"{title}. {_linked(about.source)}", about.learns, about.costs)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def defaults(kind: type[Any]) -> dict[str, Any]:
    """Returns the default of each field that a user can set; of an ingredient, its name."""
    found = {}
    types = settable(kind)
    for field in fields(kind).values():
        if field.name in INGREDIENTS:
            names = " | ".join(CHOICES[field.name])
            found[field.name] = f"{INGREDIENTS[field.name]} ({names})"
        elif field.name in types:
            found[field.name] = _shown(field.default)
    return found


def attributes(kind: type[Any]) -> dict[str, str]:
    """Returns what the docstring of its class says of each field."""
    found: dict[str, str] = {}
    for lower in reversed(kinds(kind)):
        found |= _explained(lower)
    return {name: found[name] for name in fields(kind)}


def _explained(kind: type[Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    name = ""
    section = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2]
    for line in section.splitlines():
        text = line.strip()
        if line.startswith("    ") and not line.startswith("     "):
            name, _, text = text.partition(": ")
        found[name] = f"{found.get(name, '')} {text}".strip()
    return found


def _paper(kind: type[Any], field: str) -> str:
    """Returns the authors' values of a field by images per class, where they name any."""
    values = [(ipc, preset[field]) for ipc, preset in kind.paper.items() if field in preset]
    changes = [
        (ipc, value)
        for number, (ipc, value) in enumerate(values)
        if not number or value != values[number - 1][1]
    ]
    if not changes:
        return ""
    if len(changes) == 1:
        return f" Paper: {_shown(changes[0][1])}."
    listed = ", ".join(f"{_shown(value)} from ipc {ipc}" for ipc, value in changes)
    return f" Paper: {listed}."


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "[" + ", ".join(value) + "]" if isinstance(value, tuple) else str(value)


def _linked(source: str) -> str:
    return re.sub(r"arXiv:(\d{4}\.\d{5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", source)
