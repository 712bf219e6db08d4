"""The fields of a method by their names, wherever they lie.

A method whose paper builds on another one holds that one: DSA has a field ``dc``, TESLA a field
``mtt``. People set every field by its own name (``--set inner_steps=20``) and need not know that.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, get_type_hints


def fields(kind: type[Any]) -> dict[str, dataclasses.Field[Any]]:
    """Returns the fields of a method, those of the method that it holds in that one's place."""
    found: dict[str, dataclasses.Field[Any]] = {}
    held = _held(kind)
    for field in dataclasses.fields(kind):
        found |= fields(held[field.name]) if field.name in held else {field.name: field}
    return found


def types(kind: type[Any]) -> dict[str, Any]:
    """Returns the types of ``fields``."""
    found = get_type_hints(kind)
    for held in _held(kind).values():
        found |= types(held)
    return {name: found[name] for name in fields(kind)}


def kinds(kind: type[Any]) -> tuple[type[Any], ...]:
    """Returns the class of a method and that of the method it holds, if any: where fields lie."""
    return (kind, *(lower for held in _held(kind).values() for lower in kinds(held)))


def make(kind: type[Any], values: Mapping[str, Any]) -> Any:
    """Returns a method with its fields set by name.

    Raises:
        TypeError: a field is unknown, or is missing and has no default.
        ValueError: the method refuses a value.
    """
    rest, held = dict(values), {}
    for name, lower in _held(kind).items():
        held[name] = make(lower, {of: rest.pop(of) for of in fields(lower) if of in rest})
    return kind(**held, **rest)


def values(method: Any) -> dict[str, Any]:
    """Returns the values of ``fields``."""
    found: dict[str, Any] = {}
    held = _held(type(method))
    for field in dataclasses.fields(method):
        value = getattr(method, field.name)
        found |= values(value) if field.name in held else {field.name: value}
    return found


def _held(kind: type[Any]) -> dict[str, type[Any]]:
    """Returns the fields of a class that are methods themselves, with their classes."""
    hints = get_type_hints(kind)
    named = {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    return {name: held for name, held in named.items() if hasattr(held, "losses")}
