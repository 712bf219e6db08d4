"""Decoders of compressed pixels: the fastest first, and one that pydicom does not know.

pydicom uses its plug-ins in the order of their names. imagecodecs, an optional extra, decodes JPEG
Extended with 12 bits, which no other decoder here can, and JPEG Lossless several times as fast.
"""

from importlib.util import find_spec

from pydicom import uid
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder

_NAME = "imagecodecs"

DECODER_DEPENDENCIES = dict.fromkeys(
    (uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1), (_NAME,)
)
"""What the decoders here need, by transfer syntax; pydicom expects this name."""

_FASTEST = {
    uid.JPEGBaseline8Bit: "pillow",
    uid.JPEGExtended12Bit: _NAME,
    uid.JPEGLossless: _NAME,
    uid.JPEGLosslessSV1: _NAME,
    uid.JPEGLSLossless: "pyjpegls",
    uid.JPEGLSNearLossless: "pyjpegls",
    uid.JPEG2000Lossless: "pylibjpeg",
    uid.JPEG2000: "pylibjpeg",
    uid.RLELossless: "pylibjpeg",
}


def is_available(syntax: str) -> bool:
    """Whether the decoder here can be used; pydicom expects this name."""
    return syntax in DECODER_DEPENDENCIES and find_spec(_NAME) is not None


def register() -> None:
    """Adds the decoder here to pydicom; further calls do nothing."""
    for syntax in DECODER_DEPENDENCIES:
        decoder = get_decoder(syntax)
        if _NAME not in decoder.available_plugins and is_available(syntax):
            decoder.add_plugin(_NAME, (__name__, "decode"))


def fastest(syntax: str) -> str:
    """Returns the plug-in to try first, or '' if pydicom's order is as good."""
    name = _FASTEST.get(uid.UID(syntax), "")
    return name if name and name in get_decoder(syntax).available_plugins else ""


def decode(source: bytes, runner: DecodeRunner) -> bytes:
    """Returns the decoded frame in ``source``; pydicom calls this as a plug-in."""
    import imagecodecs

    frame = imagecodecs.jpeg_decode(source)
    runner.set_option("bits_allocated", 8 * frame.itemsize)
    found: bytes = frame.tobytes()
    return found
