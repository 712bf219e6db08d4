"""From a framed film to its patches, and from regions to the patches' classes."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image

from medidd.dicom.errors import Refused
from medidd.dicom.header.header import refusing
from medidd.dicom.patches import Box, Patches, Region
from medidd.dicom.pixels.framing import averaged
from medidd.dicom.pixels.lut import Floats
from medidd.dicom.pixels.picture import Mask

_FORMATS = ("PNG", "TIFF", "BMP")


def cut(framed: Floats, patches: Patches, size: int) -> Floats:
    """Returns the patches of a film, by row and then by column, each resampled by area.

    Args:
        framed: the film, (frame, frame).
        patches: how it is cut.
        size: height and width of the result in pixels.

    Returns:
        (patches, size, size).
    """
    parts = [
        framed[top : top + patches.size, left : left + patches.size]
        for top in patches.starts
        for left in patches.starts
    ]
    return np.stack([averaged(part, size, size) for part in parts])


def classes(framed: Mapping[str, Floats], patches: Patches) -> tuple[str, ...]:
    """Returns the class of each patch, '' where nobody can say it.

    Args:
        framed: by class, which share of each pixel of the framed film is in a region of it,
            (frame, frame).
        patches: how the film is cut.
    """
    shares = {label: _shares(inside, patches) for label, inside in framed.items()}

    def said(of: Mapping[str, float]) -> str:
        inside = [label for label, share in of.items() if share >= patches.inside]
        if len(inside) == 1:
            return inside[0]
        return patches.background if sum(of.values()) <= patches.outside else ""

    each = range(patches.per_film)
    return tuple(said({label: of[one] for label, of in shares.items()}) for one in each)


def _shares(inside: Floats, patches: Patches) -> list[float]:
    return [
        float(inside[top : top + patches.size, left : left + patches.size].mean())
        for top in patches.starts
        for left in patches.starts
    ]


def drawn(region: Region, shape: tuple[int, int], own: str) -> dict[str, Mask]:
    """Returns which pixels of a stored film are in a region, by class.

    Args:
        region: where it shows what.
        shape: rows and columns of the film.
        own: the film's class.

    Raises:
        Refused: the mask cannot be read or has another shape than the film, or a box is outside it.
    """
    found: dict[str, Mask] = {}
    for box in region.boxes:
        rows, columns = _pixels(box, shape)
        found.setdefault(box.label or own, np.zeros(shape, bool))[rows, columns] = True
    if region.mask is not None:
        found[own] = _mask(region, shape)
    return found


def _pixels(box: Box, shape: tuple[int, int]) -> tuple[slice, slice]:
    ends = [
        (max(round(start), 0), min(round(start + length), limit))
        for start, length, limit in (
            (box.top, box.height, shape[0]),
            (box.left, box.width, shape[1]),
        )
    ]
    if any(start >= end for start, end in ends):
        raise Refused("region_invalid")
    rows, columns = (slice(start, end) for start, end in ends)
    return rows, columns


def _mask(region: Region, shape: tuple[int, int]) -> Mask:
    with refusing("region_invalid"):
        try:
            with Image.open(region.mask or "", formats=_FORMATS) as image:
                if (image.height, image.width) != shape:
                    raise Refused("region_invalid")
                without_alpha = {"LA": "L", "RGBA": "RGB", "PA": "P"}.get(image.mode)
                shown = image.convert(without_alpha) if without_alpha else image
                pixels: npt.NDArray[np.generic] = np.asarray(shown)
        except (OSError, Image.DecompressionBombError):
            raise Refused("region_invalid") from None
    inside: Mask = pixels != 0
    return inside if inside.ndim == 2 else np.any(inside, axis=2)
