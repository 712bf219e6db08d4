"""medidd's own policy with changes, as a user would write it."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any


def own_policy(required: Mapping[str, Sequence[str]] | None = None, **changes: Any) -> str:
    """TOML of the policy with other values; ``required`` are lists of audits by level."""
    own = tomllib.loads(files("privacy").joinpath("policy.toml").read_text())
    lists = own.pop("required") | dict(required or {})
    lines = [f"{name} = {json.dumps(value)}" for name, value in (own | changes).items()]
    return "\n".join([*lines, "[required]", *(f"{n} = {json.dumps(v)}" for n, v in lists.items())])
