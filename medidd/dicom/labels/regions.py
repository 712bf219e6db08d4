"""Regions of films, from which patches get their classes: a table of boxes, or a folder of masks.

A table has a column that finds one film (path, file or SOPInstanceUID), and x, y, width and height
in pixels of the stored film, counted from 0. Its column ``label`` is optional: without it, or where
it is empty, what is in the box has the class of the film. Without width and height, a row is about
one patch.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from medidd.dicom.errors import CohortError, Refused
from medidd.dicom.header.header import Header
from medidd.dicom.labels.columns import key_column
from medidd.dicom.labels.finder import BY_FILE, Finder, Match
from medidd.dicom.labels.label_table import LabelTable, read_csv
from medidd.dicom.labels.places import posix
from medidd.dicom.labels.rows import written
from medidd.dicom.patches import Box, Patches, Region
from medidd.dicom.source import Source

_MASKS = (".png", ".tif", ".tiff", ".bmp")
"""Formats without loss: a JPEG of a mask has other values than were drawn."""

_SIDES = {"x": "left", "y": "top", "width": "width", "height": "height"}
_SPELLINGS = {"x": ("x", "xmin", "left"), "y": ("y", "ymin", "top"), "width": ("width", "w")}
_SPELLINGS["height"] = ("height", "h")


@dataclass(frozen=True, repr=False)
class Regions:
    """Regions by film; without a repr, because keys identify people.

    Attributes:
        key: one of ``keys.KEYS``.
        bases: folders to which paths may be relative, the root of the films first.
        rows: the region by the key's value.
        background: class of films that need no region.
    """

    key: str
    bases: tuple[Path, ...]
    rows: Mapping[str, Region]
    background: str

    def of(self, header: Header, label: str) -> Region:
        """Returns a film's region.

        Args:
            header: the film's.
            label: the film's class.

        Raises:
            Refused: none is there and the film's class is not the background, or several could be
                the film's.
        """
        match = self.match(header)
        if match.several:
            raise Refused("region_ambiguous")
        if match.row:
            return self.rows[match.row]
        if label == self.background:
            return Region()
        raise Refused("region_missing")

    def match(self, header: Header) -> Match:
        """Returns the row about a film; a name of a file may turn out to be other films', too."""
        return self._finder.match(header)

    @cached_property
    def _finder(self) -> Finder:
        return Finder(self.key, self.bases, frozenset(self.rows))


def read_regions(root: Path, place: Path, patches: Patches) -> Regions:
    """Returns the regions of the films under ``root``.

    Args:
        root: folder of the films.
        place: a CSV table of boxes, or a folder of masks named after the films' files or
            SOPInstanceUIDs.
        patches: how films are cut.

    Raises:
        CohortError: the table or the folder has no region, or a row has no box.
    """
    bases = root.resolve(), root.absolute(), place.resolve().parent
    if place.is_dir():
        return Regions("path", (*bases[:2], place.resolve()), _masks(place), patches.background)
    try:
        table = read_csv(place)
        key, column = key_column(table)
    except CohortError as error:
        raise CohortError(f"--regions: {error}".replace("of labels", "of regions")) from None
    if key not in (*BY_FILE, "SOPInstanceUID"):
        raise CohortError(
            f"--regions: the key {key} can find several films, and a region is of one; give the "
            "table a column path, file or SOPInstanceUID"
        )
    return Regions(key, bases, _boxes(table, key, column, patches.size), patches.background)


def _masks(folder: Path) -> dict[str, Region]:
    found: dict[str, Region] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _MASKS and path.is_file():
            name = posix(path.relative_to(folder).with_suffix("").as_posix())
            if name in found:
                raise CohortError("--regions: two masks have one name; keep one of each")
            found[name] = Region(mask=path, state=Source(path).state())
    if not found:
        raise CohortError(f"--regions: {folder} has no mask; masks are PNG, TIFF or BMP files")
    return found


def _boxes(table: LabelTable, key: str, column: int, patch: int) -> dict[str, Region]:
    places = {side: _column(table, side) for side in _SIDES}
    if places["x"] is None or places["y"] is None:
        raise CohortError("the table of regions has no columns x and y; name them so")
    if (places["width"] is None) != (places["height"] is None):
        raise CohortError("the table of regions has one of width and height; give both or none")
    at_label = next(iter(table.named("label")), None)
    boxes: dict[str, list[Box]] = {}
    wrong = 0
    for row in table.rows:
        if not (value := written(key, row[column])):
            continue
        given = {side: row[at] if at is not None else str(patch) for side, at in places.items()}
        if not any(given[side] for side in _SIDES if places[side] is not None):
            boxes.setdefault(value, [])  # a film that was looked at, with nothing in it
            continue
        numbers = {_SIDES[side]: _number(cell) for side, cell in given.items()}
        if math.isnan(sum(numbers.values())) or min(numbers["width"], numbers["height"]) <= 0:
            wrong += 1
            continue
        label = row[at_label] if at_label is not None else ""
        boxes.setdefault(value, []).append(Box(**numbers, label=label))
    if wrong:
        raise CohortError(
            f"{wrong} rows of the table of regions have no box; x and y must be numbers, and width "
            "and height numbers above 0"
        )
    if not boxes:
        raise CohortError("the table of regions names no film; check its first column")
    return {value: Region(tuple(found)) for value, found in boxes.items()}


def _column(table: LabelTable, side: str) -> int | None:
    return next((at for name in _SPELLINGS[side] for at in table.named(name)), None)


def _number(cell: str) -> float:
    try:
        found = float(cell)
    except ValueError:
        return math.nan
    return found if math.isfinite(found) else math.nan
