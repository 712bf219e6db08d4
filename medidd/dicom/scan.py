"""A folder of DICOM files: which of them are radiographs, and why the others are not."""

from functools import partial
from pathlib import Path

from medidd.dicom.errors import Refused
from medidd.dicom.header import Header, read_header
from medidd.dicom.isolation import Lost, isolated
from medidd.dicom.reading import DEFAULT, Reading
from medidd.dicom.refusals import Refusal
from medidd.dicom.source import Source, sources


def scan(root: Path, reading: Reading = DEFAULT) -> list[Header | Refusal]:
    """Returns what becomes of each file under ``root`` and in its archives, by name.

    Headers alone are read, but by processes that may die of them: a deflated file is inflated as a
    whole before its header is known.
    """
    listed = list(sources(root))
    files = [one for one in listed if isinstance(one, Source)]
    found = dict(isolated(partial(examined, reading=reading), files))
    return [one if isinstance(one, Refusal) else _known(one, found[one]) for one in listed]


def examined(source: Source, reading: Reading = DEFAULT) -> Header | Refusal:
    """Returns the header of a radiograph, or why the file is none that can be used."""
    try:
        return read_header(source, reading)
    except Refused as refused:
        return Refusal(source.place, refused.code)


def _known(source: Source, found: Header | Refusal | Lost) -> Header | Refusal:
    return Refusal(source.place, found.code) if isinstance(found, Lost) else found
