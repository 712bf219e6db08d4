"""Several rows about one film: a row per finding, or per person who read it, become one class.

RSNA's table has a row per opacity, all with the same target. VinDr-CXR's has three readers per
film, and in its table of boxes several rows per reader. What one reader marked in any row, this
reader saw; ``readers`` says how readers are joined.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, get_args

Readers = Literal["majority", "any", "all"]
"""How many of a film's readers must see the target."""

READERS: tuple[Readers, ...] = get_args(Readers)

_ENOUGH: dict[Readers, Callable[[int, int], bool]] = {
    "majority": lambda saw, asked: 2 * saw > asked,
    "any": lambda saw, _: saw > 0,
    "all": lambda saw, asked: saw == asked,
}


def joined(
    rows: Mapping[str, Iterable[str]], target: str, readers: Readers, *, tie: str = ""
) -> str:
    """Returns the class that a film's readers give it.

    Args:
        rows: the classes of each reader's rows, the target or "not" the target.
        target: the target.
        readers: how the readers are joined.
        tie: the class where as many readers saw the target as did not.
    """
    saw = sum(target in of_reader for of_reader in rows.values())
    if readers == "majority" and 2 * saw == len(rows):
        return tie
    return target if _ENOUGH[readers](saw, len(rows)) else f"not {target}"
