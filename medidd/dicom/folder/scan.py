"""A folder of DICOM files or pictures: which are radiographs, and why the others are not."""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from medidd.dicom.errors import Refused
from medidd.dicom.header.header import Header, read_exposure, read_header
from medidd.dicom.header.picture_file import read_picture_header
from medidd.dicom.isolation import Lost, isolated
from medidd.dicom.reading import DEFAULT, Reading
from medidd.dicom.refusals import Refusal
from medidd.dicom.source import Source, sources


def scan(root: Path, reading: Reading = DEFAULT) -> Iterator[Header | Refusal]:
    """Yields each file's header or refusal, under ``root`` and in its archives, in any order.

    Only headers are read, but in processes that may crash: a deflated file must be inflated as a
    whole before its header is known.
    """
    refused: list[Refusal] = []
    for source, found in isolated(
        partial(examined, reading=reading), files(root, refused, reading)
    ):
        yield Refusal(source.place, found.code) if isinstance(found, Lost) else found
    yield from refused


def files(root: Path, refused: list[Refusal], reading: Reading = DEFAULT) -> Iterator[Source]:
    """Yields the files under ``root`` that may be read; the others go to ``refused``."""
    for one in sources(root, follow="symlinks" in reading.accept):
        if isinstance(one, Source):
            yield one
        else:
            refused.append(one)


def examined(source: Source, reading: Reading = DEFAULT) -> Header | Refusal:
    """Returns the header of a radiograph, or why the file cannot be used."""
    try:
        if reading.files == "pictures":
            return read_picture_header(source, reading)
        return read_header(source, reading)
    except Refused as refused:
        code = refused.code
    exposure = None
    if code == "for_processing":
        with suppress(Refused):
            exposure = read_exposure(source)
    return Refusal(source.place, code, exposure)
