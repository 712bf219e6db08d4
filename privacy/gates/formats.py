"""Files read to their last byte: a safetensors file or a PNG must hold nothing else.

Ordinary readers skip what they do not know, and a file can hide anything there. Here everything
that is not an image or a label is an error.
"""

import json
import math
import zlib
from collections.abc import Iterator
from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from safetensors.torch import load
from torch import Tensor

from privacy.gates.layers import PNG, UnreadableError

LARGEST_PICTURE = 2**24
"""Pixels. No learned image is this large, but a small file can unpack to any size."""
SUFFIX = ".safetensors"
TENSORS = {"images", "labels"}

_ENTRY = {"dtype", "shape", "data_offsets"}
# Gray, or red, green and blue; a picture with a palette or transparency can hide something.
_COLOURS = {(8, 0), (16, 0), (8, 2)}


class HiddenError(ValueError):
    """A file holds something that is not an image or a label; names it, never its value."""


def tensors(data: bytes) -> dict[str, Tensor]:
    """Returns the images and the labels of a safetensors file.

    Raises:
        HiddenError: it holds something else.
    """
    try:
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size].decode(), object_pairs_hook=once)
        entries = {name: one for name, one in header.items() if name != "__metadata__"}
        if entries.keys() != TENSORS:
            raise HiddenError("a tensor that is neither images nor labels, or one of them missing")
        if any(one.keys() != _ENTRY for one in entries.values()):
            raise HiddenError("a header with more than names and shapes")
        # The library refuses gaps between tensors, and bytes before or after them.
        found: dict[str, Tensor] = load(data)
    except HiddenError:
        raise
    except Exception as error:  # a damaged header can raise any error
        raise HiddenError("a damaged header, or bytes that belong to no tensor") from error
    return found


def description(data: bytes) -> str:
    """Returns the text that a safetensors file holds besides its tensors.

    Raises:
        HiddenError: there is more than that one text, or the header is not written as usual, which
            could hide something.
    """
    size = int.from_bytes(data[:8], "little")
    written = data[8 : 8 + size].decode()
    header = json.loads(written)
    usual = json.dumps(header, separators=(",", ":"), ensure_ascii=False)
    padding = " " * (-len(usual.encode()) % 8)
    if written != usual + padding or list(header.get("__metadata__", ())) != ["medidd"]:
        raise HiddenError("a header with more than names, shapes and one description")
    return str(header["__metadata__"]["medidd"])


def picture(data: bytes) -> NDArray[np.uint16]:
    """Returns the samples of a PNG, (H, W) or (H, W, 3), if it holds nothing else.

    Raises:
        HiddenError: it holds something else.
    """
    kinds: list[bytes] = []
    content, at = b"", len(PNG)
    while at < len(data) and kinds[-1:] != [b"IEND"]:
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        inside, check = data[at + 8 : at + 8 + length], data[at + 8 + length : at + 12 + length]
        if int.from_bytes(check) != zlib.crc32(kind + inside) or len(check) < 4:
            raise HiddenError("a damaged picture")
        if kind == b"IHDR":
            width, height = int.from_bytes(inside[:4]), int.from_bytes(inside[4:8])
            depth, colour = inside[8], inside[9]
            plain = (depth, colour) in _COLOURS and inside[10:] == bytes(3)
        content += inside if kind == b"IDAT" else b""
        if not kinds or kind != b"IDAT" or kinds[-1] != b"IDAT":
            kinds.append(kind)
        at += 12 + length
    if not data.startswith(PNG) or kinds != [b"IHDR", b"IDAT", b"IEND"] or inside:
        raise HiddenError("a picture with more than its pixels")
    if at < len(data):
        raise HiddenError("bytes after the end of a picture")
    if not plain or width * height > LARGEST_PICTURE:
        raise HiddenError("a picture of an unusual kind")
    samples = 3 if colour == 2 else 1
    machine = zlib.decompressobj()
    size = height * (1 + width * samples * depth // 8)
    try:
        pixels = machine.decompress(content, size + 1)
    except zlib.error as error:
        raise HiddenError("a damaged picture") from error
    if len(pixels) != size or not machine.eof or machine.unused_data:
        raise HiddenError("a picture with more than its pixels")
    with Image.open(BytesIO(data), formats=["PNG"]) as image:
        return np.asarray(image).astype(np.uint16)


def frames(data: bytes) -> Iterator[Tensor]:
    """Yields every plane of a PNG or JPEG, (H, W) float32, transparency included.

    Raises:
        UnreadableError: it is damaged or too large.
    """
    try:
        with Image.open(BytesIO(data), formats=["PNG", "JPEG"]) as image:
            if math.prod(image.size) > LARGEST_PICTURE:
                raise UnreadableError("too large")
            for number in range(getattr(image, "n_frames", 1)):
                image.seek(number)
                shown = image.convert("RGBA") if image.mode == "P" else image
                planes = torch.from_numpy(np.asarray(shown).astype(np.float32))
                yield from planes.unsqueeze(-1).flatten(2).unbind(-1)
    except UnidentifiedImageError as error:
        raise UnreadableError("no picture") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadableError("a damaged picture") from error


def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Returns the object; if it had a name twice, readers would see only the last value.

    Raises:
        HiddenError: it has a name twice.
    """
    if len(dict(pairs)) < len(pairs):
        raise HiddenError("a header that says something twice")
    return dict(pairs)
