"""The policy of a command: medidd's own, or the user's file instead."""

import tomllib
from pathlib import Path

from pydantic import ValidationError

from pipelines.run.errors import Exit, Stop
from privacy.policy import Policy, load_policy
from privacy.suite import AUDITS

_PLAIN = {"extra_forbidden": "there is no such key", "missing": "is missing"}
_REMEDY = "fix it, or start from a copy of medidd's privacy/policy.toml"


def read_policy(path: Path | None) -> Policy:
    """Returns the policy.

    Raises:
        Stop: the file is not a policy; the message names the wrong key.
    """
    if path is None:
        return load_policy()
    try:
        policy = load_policy(path)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        why = _PLAIN.get(first["type"], first["msg"].removeprefix("Value error, "))
        raise Stop(f"{path}: {f'{key}: ' if key else ''}{why}; {_REMEDY}", Exit.USAGE) from None
    except OSError as error:
        raise Stop(f"{path}: {error.strerror}; {_REMEDY}", Exit.USAGE) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Stop(f"{path}: not TOML in UTF-8: {error}; {_REMEDY}", Exit.USAGE) from None
    for level, names in policy.required.items():
        for name in names:
            if name not in AUDITS:
                raise Stop(
                    f"{path}: required.{level.value}: there is no audit {name}, only "
                    f"{', '.join(AUDITS)}; {_REMEDY}",
                    Exit.USAGE,
                )
    return policy
