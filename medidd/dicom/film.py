"""One file to the levels that a cohort keeps: what a process of its own does with each film."""

from dataclasses import dataclass

import gdcm  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset

from medidd.dicom.errors import Refused
from medidd.dicom.header import read, read_header, refusing
from medidd.dicom.preparation import prepared
from medidd.dicom.reading import Reading
from medidd.dicom.refusals import Refusal
from medidd.dicom.source import Source

gdcm.Trace.WarningOff()  # its C++ code writes to the terminal past any filter of ours
gdcm.Trace.ErrorOff()


@dataclass(frozen=True, repr=False)
class Shown:
    """A film as it is kept.

    Attributes:
        levels: (size, size), uint16; 0 to 65535 stand for display values [0, 1].
        warnings: what is odd about it, keys of ``errors.WARNINGS``.
    """

    levels: npt.NDArray[np.uint16]
    warnings: tuple[str, ...]


def opened(source: Source, reading: Reading) -> FileDataset:
    """Returns the object in a file, its header checked, its pixels not decoded.

    Raises:
        Refused: it is no radiograph that can be used.
    """
    read_header(source, reading)
    with refusing("unreadable"), source.open() as file, refusing("header_error"):
        return read(file, pixels=True)


def decoded(source: Source, size: int, reading: Reading) -> Shown | Refusal:
    """Returns a film as a square of ``size`` pixels a side, or why it cannot be had."""
    try:
        picture, about = prepared(opened(source, reading), size, reading)
    except Refused as refused:
        return Refusal(source.place, refused.code)
    return Shown(np.rint(picture * 65535).astype(np.uint16), about["warnings"])
