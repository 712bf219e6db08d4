"""Whether the pictures of a bundle are its tensors, to the last level.

A recipient looks at the pictures and trains on the tensors, so they must be the same. Nothing heavy
is imported here: the few bytes of a safetensors header are read by hand.
"""

import io
import json
import struct
from collections.abc import Callable, Iterator

from PIL import Image


def strange(release: bytes, read: Callable[[str], bytes | None]) -> int:
    """Returns how many images have no preview that shows exactly them.

    Args:
        release: the release file.
        read: returns the bytes of a file of the bundle; None if there is none.

    Raises:
        ValueError: the release file holds no gray images.
    """
    size, images = _images(release)
    return sum(_samples(read(name), size) != levels for name, levels in images)


def _images(data: bytes) -> tuple[tuple[int, int], Iterator[tuple[str, bytes]]]:
    """Returns width and height, and the name of the preview and the levels of each image."""
    try:
        (head,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8 : 8 + head])
        (count, channels, height, width), kind = (
            header["images"]["shape"],
            header["images"]["dtype"],
        )
        begin = 8 + head + header["images"]["data_offsets"][0]
        (_, classes) = header["labels"]["shape"]
        ipc, length = count // classes, height * width
        if kind != "U8" or channels != 1 or not ipc or begin + count * length > len(data):
            raise ValueError
    except (struct.error, ValueError, KeyError, TypeError, ZeroDivisionError, RecursionError):
        raise ValueError("holds no gray images with labels") from None

    def each() -> Iterator[tuple[str, bytes]]:
        for row in range(count):
            at = begin + row * length
            yield f"previews/class{row // ipc}_{row % ipc}.png", data[at : at + length]

    return (width, height), each()


def _samples(data: bytes | None, size: tuple[int, int]) -> bytes | None:
    try:
        with Image.open(io.BytesIO(data or b""), formats=["PNG"]) as image:
            if image.size != size or image.mode != "L":
                return None
            return image.tobytes()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
