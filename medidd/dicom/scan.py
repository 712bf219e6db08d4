"""A folder of DICOM files: which of them are radiographs, and why the others are not."""

from collections.abc import Iterator
from pathlib import Path

from medidd.dicom.errors import Refused
from medidd.dicom.header import Header, read_header
from medidd.dicom.reading import DEFAULT, Reading
from medidd.dicom.source import sources


def scan(root: Path, reading: Reading = DEFAULT) -> Iterator[Header | Refused]:
    """Yields what becomes of each file under ``root`` and in its archives; reads headers only."""
    for found in sources(root):
        try:
            yield found if isinstance(found, Refused) else read_header(found, reading)
        except Refused as refusal:
            yield refusal
