"""A cohort's folder on disk: only its owner can read it, and it is never half written.

Rows are filled in ``rows.npy``, in any number of runs; ``done.npy`` says which rows are filled. A
row counts only after it has reached the disk. So a run that is killed may lose rows, but never
keeps a half-written one.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medidd.dicom.errors import REASONS, WARNINGS

COHORT, FILMS, IMAGES, TOKENS = "cohort.json", "films.jsonl", "images.npy", "tokens"
_ROWS, _DONE, _CLASSES, _PLAN = "rows.npy", "done.npy", "classes.npy", "plan.json"
_REFUSED = ("undone", *REASONS)
_FILLED = 2**31  # and a lower bit for each warning
_WARNED = {code: 1 << place for place, code in enumerate(WARNINGS)}


class Rows:
    """Rows that are filled one by one and survive the process.

    Attributes:
        images: one film per row, (n, size, size); 0 to 65535 stand for [0, 1]. Of films that are
            cut, their patches, (n, patches, size, size).
        classes: number of the class of each patch, (n, patches); -1 for a patch that is not used.
            Empty for whole films.
        done: state of each row, (n,), uint32: 0 for undone; the place of the reason if it is
            refused; from 2**31 on if it is filled, with a bit for each warning.
    """

    def __init__(
        self, folder: Path, count: int, size: int, fingerprint: str, patches: int | None = None
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._folder = folder
        each = () if patches is None else (patches,)
        names = (_ROWS, _DONE) if patches is None else (_ROWS, _DONE, _CLASSES)
        paths = [folder / name for name in names]
        resumable = read_json(folder / _PLAN).get("fingerprint") == fingerprint
        if not (resumable and all(path.exists() for path in paths)):
            for name in (COHORT, _PLAN):
                (folder / name).unlink(missing_ok=True)
            _new(paths[0], (count, *each, size, size), np.uint16)
            _new(paths[1], (count,), np.uint32)
            if patches is not None:
                _new(paths[2], (count, patches), np.int16)
            write(folder / _PLAN, json.dumps({"fingerprint": fingerprint}).encode())
        self.images, self.done, *others = (np.load(path, mmap_mode="r+") for path in paths)
        self.classes = others[0] if others else np.zeros((count, 0), np.int16)

    def settle(self, outcomes: Mapping[int, Sequence[str]]) -> None:
        """Marks rows, after they have reached the disk, as filled with warnings, or as refused.

        Args:
            outcomes: codes by row: one of ``REASONS`` if it was refused, else ``WARNINGS``.
        """
        self.images.flush()
        if isinstance(self.classes, np.memmap):
            self.classes.flush()
        for row, codes in outcomes.items():
            refused = [_REFUSED.index(code) for code in codes if code in REASONS]
            warned = sum(_WARNED[code] for code in codes if code in WARNINGS)
            self.done[row] = refused[0] if refused else _FILLED + warned
        self.done.flush()

    def filled(self) -> list[int]:
        """Returns the rows that are filled."""
        return [int(row) for row in np.flatnonzero(self.done >= _FILLED)]

    def refused(self) -> dict[int, str]:
        """Returns the rows that could not be filled, each with its reason code."""
        states = enumerate(self.done.tolist())
        return {row: _REFUSED[state] for row, state in states if 0 < state < _FILLED}

    def warned(self, rows: Iterable[int]) -> list[str]:
        """Returns the warnings about ``rows``, which are filled."""
        return [code for row in rows for code, bit in _WARNED.items() if int(self.done[row]) & bit]

    def publish(self, rows: Sequence[tuple[int, ...]]) -> None:
        """Writes the finished images: rows, or rows and their patches, in their order."""
        partial = self._folder / f"{IMAGES}.part"
        shape = (len(rows), *self.images.shape[-2:])
        _new(partial, shape, np.uint16)
        images = np.load(partial, mmap_mode="r+")
        for place, row in enumerate(rows):
            images[place] = self.images[row]
        images.flush()
        partial.replace(self._folder / IMAGES)

    def discard(self) -> None:
        """Deletes what only an unfinished cohort needs."""
        for name in (_ROWS, _DONE, _CLASSES, _PLAN):
            (self._folder / name).unlink(missing_ok=True)


def write(path: Path, data: bytes) -> None:
    """Writes a file that only its owner may read, whole or not at all."""
    partial = path.with_name(f".{path.name}.part")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Returns the object in a JSON file, or an empty one if there is no such file."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def _new(path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    np.lib.format.open_memmap(path, "w+", dtype, shape)
