"""Which row of a table is about a film."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from medidd.dicom.header.header import Header
from medidd.dicom.labels.places import SEVERAL, Places

BY_FILE = ("path", "file")
"""Keys that are names of files."""

_STUDY = re.compile(r"s\d{8}")


@dataclass(frozen=True)
class Match:
    """The row about a film.

    Attributes:
        row: the key in the table; '' if the table does not know the film.
        sure: whether no other film can have this key.
        several: whether several rows could mean the film, so none of them counts.
    """

    row: str = ""
    sure: bool = True
    several: bool = False


@dataclass(frozen=True, repr=False)
class Finder:
    """The keys of a table; without a repr, because keys identify people.

    Attributes:
        key: one of ``keys.KEYS``.
        bases: folders to which paths in the table may be relative, the folder of the films first.
        rows: the keys; paths as ``places.posix`` gives them.
    """

    key: str
    bases: tuple[Path, ...]
    rows: frozenset[str]

    def match(self, header: Header) -> Match:
        """Returns the row about a film."""
        if self.key not in BY_FILE:
            value = header.links.get(self.key, "")
            if self.key == "StudyID" and not value:
                value = _study_of_folder(header.path)
            # A StudyID (PS3.3 C.7.2.1) is any number that a department gives, often just 1.
            return Match(value, self.key != "StudyID") if value in self.rows else Match()
        row, sure = self._row_at(header.path)
        # SIIM's names of files are the films' UIDs, whatever the files are called here.
        if not row and header.links.get("SOPInstanceUID", "") in self.rows:
            return Match(header.links["SOPInstanceUID"])
        return Match(several=True) if row == SEVERAL else Match(row, sure)

    @cached_property
    def _row_at(self) -> Callable[[Path], tuple[str, bool]]:
        """Returns the row about a file. A film is asked for several times, and the disk is slow."""
        places = Places(self.rows, self.bases)

        def found(path: Path) -> tuple[str, bool]:
            # If a film is a link, the table may name the link, or the film that it leads to.
            rows = [places.row_of(one) for one in dict.fromkeys((path.resolve(), path.absolute()))]
            known = sorted({row for row in rows if row[0]}, key=lambda row: not row[1])
            if len(known) > 1 and not known[0][1]:
                return SEVERAL, False
            return known[0] if known else rows[0]

        return lru_cache(maxsize=1)(found)


def _study_of_folder(path: Path) -> str:
    """Returns the study that a folder of MIMIC-CXR is named after, as s50414267; '' if none is."""
    named = (part[1:] for part in reversed(path.parts) if _STUDY.fullmatch(part))
    return next(named, "")


class Sharing:
    """Films that were found by a key which need not be theirs alone: the name of a file, a StudyID.

    Only when all films were seen is it known whether a key found one film, or one patient.
    """

    def __init__(self) -> None:
        """Starts empty."""
        # Most films are alone with their row, so theirs must be small.
        self._sure: dict[str, dict[str, str]] = {}
        self._found: dict[str, dict[str, list[tuple[int, str]]]] = {}

    def add(self, table: str, match: Match, film: int, whose: str) -> None:
        """Adds a film that a row is about.

        Args:
            table: which table the row is in.
            match: the row.
            film: number of the film.
            whose: what a key may find one of only: the film's own UID, or its patient.
        """
        if match.sure:
            self._sure.setdefault(table, {})[match.row] = whose
        else:
            self._found.setdefault(table, {}).setdefault(match.row, []).append((film, whose))

    def doubtful(self) -> set[int]:
        """Returns the films whose key found other films as well; a sure film keeps its row."""
        lost: set[int] = set()
        for table, rows in self._found.items():
            sure = self._sure.get(table, {})
            for row, films in rows.items():
                if len({whose for _, whose in films} | {sure.get(row, films[0][1])}) > 1:
                    lost.update(film for film, _ in films)
        return lost
