"""A folder of DICOM files: which of them are radiographs, and why the others are not."""

import os
from collections.abc import Iterator
from pathlib import Path

from medidd.dicom.errors import Refused
from medidd.dicom.header import Header, read_header


def scan(root: Path) -> Iterator[Header | Refused]:
    """Yields what becomes of each file under ``root``, reading headers only.

    Symbolic links are refused, not followed: they may lead out of the folder, or round in it.
    """
    closed: list[OSError] = []
    for folder, folders, files in os.walk(root, onerror=closed.append):
        folders.sort()
        # Unlike Path's, this never raises an error with the path in its text.
        links = [name for name in folders if os.path.islink(Path(folder) / name)]  # noqa: PTH114
        for name in sorted(files) + links:
            try:
                yield read_header(Path(folder) / name)
            except Refused as refusal:
                yield refusal
    for _ in closed:
        yield Refused("unreadable")
