"""A folder of DICOM files: which of them are radiographs, and why the others are not."""

from collections.abc import Iterator
from pathlib import Path

from medidd.dicom.errors import Refused
from medidd.dicom.header import Header, read_header
from medidd.dicom.reading import DEFAULT, Reading
from medidd.dicom.refusals import Refusal
from medidd.dicom.source import Source, sources


def scan(root: Path, reading: Reading = DEFAULT) -> Iterator[Header | Refusal]:
    """Yields what becomes of each file under ``root`` and in its archives; reads headers only."""
    for found in sources(root):
        yield found if isinstance(found, Refusal) else _read(found, reading)


def _read(source: Source, reading: Reading) -> Header | Refusal:
    try:
        return read_header(source, reading)
    except Refused as refused:
        return Refusal(source.place, refused.code)
