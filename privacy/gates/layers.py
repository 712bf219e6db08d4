"""All places where a file can hide text: archives, compressed streams, base64, headers.

Little is parsed. A compressed stream is found by its first bytes, wherever it is, which covers PNG
text chunks and PDF streams alike. A file can be two things at once, such as a picture with an
archive behind it, so every file is searched for every kind.
"""

import base64
import binascii
import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from lzma import LZMAError
from zipfile import BadZipFile, ZipFile, is_zipfile

DEEPEST = 4
LARGEST = 256 * 2**20
PNG = b"\x89PNG\r\n\x1a\n"

# Two such bytes may overlap with two others. A check sum tells which pair is right.
_ZLIB = re.compile(rb"(?=([\x08\x18\x28\x38\x48\x58\x68\x78][\x00-\xff]))", re.DOTALL)
_GZIP = re.compile(rb"\x1f\x8b\x08[\x00-\x1f]")
_DICTIONARY = 0x20  # a stream with its own dictionary cannot be read without it
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{40,}(?:\r?\n[A-Za-z0-9+/]+)*={0,2}")


class UnreadableError(ValueError):
    """A layer cannot be read: it is encrypted, damaged, too deep or too large."""


def layers(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """Yields ``data`` and whatever is packed in it, at any depth.

    Raises:
        UnreadableError: a layer in it cannot be read.
    """
    if depth > DEEPEST:
        raise UnreadableError("packed too deep")
    if len(data) > LARGEST:
        raise UnreadableError("too large")
    yield data
    for unpack in _kinds(data):
        for one in unpack(data):
            yield from layers(one, depth + 1)


def _kinds(data: bytes) -> Iterator[Callable[[bytes], Iterator[bytes]]]:
    if is_zipfile(BytesIO(data)):
        yield _zipped
    if data.startswith(PNG):
        yield _chunks
    elif data.startswith(b"\x1f\x8b"):
        yield _gunzipped
    else:
        yield _streams


def _zipped(data: bytes) -> Iterator[bytes]:
    try:
        with ZipFile(BytesIO(data)) as archive:
            for entry in archive.infolist():
                if entry.file_size > LARGEST:
                    raise UnreadableError("too large")
                yield entry.filename.encode()
                yield archive.read(entry)
    except (BadZipFile, RuntimeError, NotImplementedError, OSError, zlib.error, LZMAError) as error:
        raise UnreadableError("an archive that cannot be opened") from error


def _gunzipped(data: bytes) -> Iterator[bytes]:
    try:
        with gzip.open(BytesIO(data)) as stream:
            yield stream.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableError("an archive that cannot be opened") from error


def _chunks(data: bytes) -> Iterator[bytes]:
    """Yields the chunks of a PNG without the checksum after each, which would join its text.

    Bytes after the end of the picture are yielded as they are.
    """
    at, pixels, kind = len(PNG), b"", b""
    while at + 8 <= len(data) and kind != b"IEND":
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        content = data[at + 8 : at + 8 + length]
        if kind == b"IDAT":
            pixels += content
        else:
            yield content
        at += length + 12
    yield pixels
    yield data[at:]


def _streams(data: bytes) -> Iterator[bytes]:
    view = memoryview(data)
    for found in _ZLIB.finditer(data):
        head = int.from_bytes(found.group(1))
        if head % 31 == 0 and not head & _DICTIONARY:
            yield from _inflated(view[found.start() :])
    for found in _GZIP.finditer(data):
        yield from _inflated(view[found.start() :])
    for found in _BASE64.finditer(data):
        try:
            decoded = base64.b64decode(found.group() + b"==")
        except binascii.Error:
            continue
        # A SHA-256 in hex is valid base64, too; decoded, it is noise and holds no text.
        yield decoded


def _inflated(data: memoryview) -> Iterator[bytes]:
    """Yields what inflates, up to the first damage, because PNG cuts its stream into chunks."""
    machine, whole = zlib.decompressobj(zlib.MAX_WBITS | 32), b""  # 32: or gzip
    try:
        for at in range(0, len(data), 4096):
            whole += machine.decompress(data[at : at + 4096], LARGEST)
            if len(whole) >= LARGEST:
                raise UnreadableError("too large")
            if machine.eof:
                break
    except zlib.error:
        pass
    if len(whole) >= 4:
        yield whole
