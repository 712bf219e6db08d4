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
_ROWS, _DONE, _PLAN = "rows.npy", "done.npy", "plan.json"
_REFUSED = ("undone", *REASONS)
_FILLED = 2**31  # and a lower bit for each warning
_WARNED = {code: 1 << place for place, code in enumerate(WARNINGS)}


class Rows:
    """Rows that are filled one by one and survive the process.

    Attributes:
        images: one film per row, (n, size, size); 0 to 65535 stand for [0, 1].
        done: state of each row, (n,), uint32: 0 for undone; the place of the reason if it is
            refused; from 2**31 on if it is filled, with a bit for each warning.
    """

    def __init__(self, folder: Path, count: int, size: int, fingerprint: str) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._folder = folder
        paths = [folder / _ROWS, folder / _DONE]
        resumable = read_json(folder / _PLAN).get("fingerprint") == fingerprint
        if not (resumable and all(path.exists() for path in paths)):
            for name in (COHORT, _PLAN):
                (folder / name).unlink(missing_ok=True)
            _new(paths[0], (count, size, size), np.uint16)
            _new(paths[1], (count,), np.uint32)
            write(folder / _PLAN, json.dumps({"fingerprint": fingerprint}).encode())
        self.images, self.done = (np.load(path, mmap_mode="r+") for path in paths)

    def settle(self, outcomes: Mapping[int, Sequence[str]]) -> None:
        """Marks rows, after they have reached the disk, as filled with warnings, or as refused.

        Args:
            outcomes: codes by row: one of ``REASONS`` if it was refused, else ``WARNINGS``.
        """
        self.images.flush()
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

    def publish(self, rows: Sequence[int]) -> None:
        """Writes the finished images: ``rows``, in their order."""
        partial = self._folder / f"{IMAGES}.part"
        shape = (len(rows), *self.images.shape[1:])
        _new(partial, shape, np.uint16)
        images = np.load(partial, mmap_mode="r+")
        for place, row in enumerate(rows):
            images[place] = self.images[row]
        images.flush()
        partial.replace(self._folder / IMAGES)

    def discard(self) -> None:
        """Deletes what only an unfinished cohort needs."""
        for name in (_ROWS, _DONE, _PLAN):
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
