"""Several findings in one cell: A|B, A; B, A, B, or a list such as PadChest's ['a', 'b'].

``|`` and the brackets of a list always part findings. A semicolon or a comma may belong to a name
("pneumonia, viral"), so in a column of classes they part findings only if the column's other cells
show that they do.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

_SIGNS = (";", ",")
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")


def findings_of(cell: str) -> list[str]:
    """Returns the findings of a cell, parted by ``|`` or in a list."""
    parts = _listed(cell) if cell[:1] == "[" and cell[-1:] == "]" else cell.split("|")
    return [found for part in parts if (found := part.strip())]


def written_with_bars(cells: Iterable[str]) -> Callable[[str], str]:
    """Returns how cells of this column become A|B; a cell with one finding stays as it is."""
    distinct = set(cells)
    signs = [sign for sign in _SIGNS if _parts_findings(sign, distinct)]

    def barred(cell: str) -> str:
        found = findings_of(cell)
        for sign in signs:
            found = [part for one in found for part in _parted(one, sign)]
        return "|".join(dict.fromkeys(found))

    return barred


def is_named(target: str, cell: str) -> bool:
    """Tells whether a cell contains the target, whichever sign parts its findings.

    Here a comma costs nothing: who asks for pneumonia also means "pneumonia, viral".
    """
    wanted = target.casefold()
    found = findings_of(cell)
    ways = (found, *([p for one in found for p in _parted(one, sign)] for sign in _SIGNS))
    return any(wanted == one.casefold() for way in ways for one in way)


def _listed(cell: str) -> list[str]:
    inside = cell[1:-1]
    quoted = [one or other for one, other in _QUOTED.findall(inside)]
    return quoted or inside.split(",")


def _parted(cell: str, sign: str) -> list[str]:
    return [part for found in cell.split(sign) if (part := found.strip())]


def _parts_findings(sign: str, cells: set[str]) -> bool:
    """Tells whether a column shows that a sign parts findings.

    In one of its cells each part must also be in another cell, and some part must be the whole of a
    cell, or in another place of another cell: "Mass, Effusion" next to "Effusion, Mass". So
    "pneumonia, viral" and "pneumonia, bacterial" stay two classes.
    """
    parted = [_parted(cell.casefold().replace(";", ","), ",") for cell in cells]
    of = dict(zip(cells, parted, strict=True))
    times = Counter(part for parts in parted for part in set(parts))
    places: dict[str, set[int]] = defaultdict(set)
    for parts in parted:
        for at, part in enumerate(parts):
            places[part].add(at)
        if len(parts) == 1:
            places[parts[0]].add(-1)
    return any(
        sign in cell
        and len(of[cell]) > 1
        and all(times[part] > 1 for part in of[cell])
        and any(len(places[part]) > 1 for part in of[cell])
        for cell in cells
    )
