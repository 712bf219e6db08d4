"""The table of methods, read from the code."""

import dataclasses
import inspect
from typing import Any

from medidd.methods import METHODS
from medidd.starts import STARTS
from pipelines.recipe import settable


def table() -> str:
    """Returns methods with their fields and defaults, then starts, for a terminal."""
    lines = ["methods"]
    for name, kind in METHODS.items():
        title = inspect.getdoc(inspect.getmodule(kind)) or ""
        lines.append(f"  {name}: {title.splitlines()[0].rstrip('.')}")
        texts = attributes(kind)
        lines += [
            f"    {field.name} = {field.default!r}: {texts[field.name]}"
            for field in dataclasses.fields(kind)
            if field.name in settable(kind)
        ]
    lines.append("starts, each also a baseline of its own")
    lines += [f"  {name}: {start.text}" for name, start in STARTS.items()]
    return "\n".join(lines)


def attributes(kind: type[Any]) -> dict[str, str]:
    """Returns what the class's docstring says of each field."""
    found: dict[str, str] = {}
    name = ""
    section = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2]
    for line in section.splitlines():
        text = line.strip()
        if line.startswith("    ") and not line.startswith("     "):
            name, _, text = text.partition(": ")
        found[name] = f"{found.get(name, '')} {text}".strip()
    return found
