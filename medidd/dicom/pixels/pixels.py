"""From one DICOM file to display values in [0, 1]: a MONAI reader and a MONAI transform.

MONAI's own readers ignore the window, the polarity and the padding of a radiograph. If a reader
fails, ``LoadImage`` uses another one without a message. ``LoadRadiographd`` calls its reader
directly, and passes on no metadata, because MONAI's metadata contain names and file names.
"""

from collections.abc import Hashable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import ImageReader
from monai.transforms import MapTransform
from pydicom.dataset import FileDataset

from medidd.dicom.header.header import read_film
from medidd.dicom.pixels.lut import Floats
from medidd.dicom.pixels.preparation import prepared
from medidd.dicom.reading import DEFAULT, Reading
from medidd.dicom.source import Source


class RadiographReader(ImageReader):
    """Reads radiographs as squares.

    Attributes:
        size: height and width of what ``get_data`` returns, pixels.
        reading: how films are read.
    """

    def __init__(self, size: int, reading: Reading = DEFAULT) -> None:
        self.size = size
        self.reading = reading

    def verify_suffix(self, filename: object) -> bool:  # noqa: ARG002 - MONAI's signature
        """Returns True, because hospitals' files have any suffix or none; ``read`` looks inside."""
        return True

    def read(self, data: PathLike[str] | str, **_: object) -> FileDataset:
        """Returns the object in the file ``data``, its header checked, its pixels not decoded.

        Raises:
            Refused: it is no radiograph that can be used.
        """
        return read_film(Source(Path(data)), self.reading)

    def get_data(self, img: FileDataset) -> tuple[Floats, dict[str, Any]]:
        """Returns display values in [0, 1], (size, size), and under "warnings" what is odd.

        Raises:
            Refused: the pixels cannot be decoded or shown.
        """
        found = prepared(img, self.size, self.reading)
        return found.picture, {"warnings": found.warnings}


class LoadRadiographd(MapTransform):
    """Replaces the paths under ``keys`` by display values in [0, 1], float32 (1, size, size)."""

    def __init__(
        self,
        keys: KeysCollection,
        size: int,
        allow_missing_keys: bool = False,
        reading: Reading = DEFAULT,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.reader = RadiographReader(size, reading)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Returns ``data`` with images in place of paths; ``Refused`` names what cannot be read."""
        loaded = dict(data)
        for key in self.key_iterator(loaded):
            pixels, _ = self.reader.get_data(self.reader.read(loaded[key]))
            loaded[key] = torch.from_numpy(pixels)[None]
        return loaded
