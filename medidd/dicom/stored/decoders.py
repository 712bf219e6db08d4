"""Which transfer syntaxes can be decoded here, by which plug-in, and what is missing."""

from dataclasses import dataclass

from pydicom import uid
from pydicom.pixels.decoders.base import get_decoder

from medidd.dicom import codecs

SYNTAXES = (
    *(uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian),
    *(uid.ExplicitVRBigEndian, uid.RLELossless, uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit),
    *(uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEGLSNearLossless),
    *(uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K),
)
"""Transfer syntaxes (PS3.6 annex A) of single images for which there is a decoder."""

_ONLY_8_BITS = frozenset({"gdcm", "pillow"})
"""Plug-ins for JPEG Extended (Process 2 and 4) that decode only its 8-bit films."""


@dataclass(frozen=True)
class Decodable:
    """Whether one transfer syntax can be decoded.

    Attributes:
        name: its name in the standard.
        plugins: installed plug-ins that decode it; uncompressed films need none.
        available: whether films with it can be read.
    """

    name: str
    plugins: tuple[str, ...]
    available: bool

    @property
    def only_8_bits(self) -> bool:
        """Whether its 12-bit films are refused although a plug-in accepts it: JPEG Extended."""
        return self.name == uid.JPEGExtended12Bit.name and {*self.plugins} <= _ONLY_8_BITS


def decodable() -> list[Decodable]:
    """Returns what can be decoded, one entry per syntax in ``SYNTAXES``."""
    codecs.register()
    found = []
    for syntax in SYNTAXES:
        decoder = get_decoder(syntax)
        plugins = tuple(sorted(decoder.available_plugins))
        found.append(Decodable(syntax.name, plugins, decoder.is_available))
    return found
