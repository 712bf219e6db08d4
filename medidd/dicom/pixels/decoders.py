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
"""Plug-ins for JPEG Extended (Process 2 and 4) that decode its 8-bit films alone."""


@dataclass(frozen=True)
class Decodable:
    """What can be done with one transfer syntax.

    Attributes:
        name: as the standard has it.
        plugins: installed plug-ins that decode it; none are needed for what is not compressed.
        available: whether films of it can be read.
    """

    name: str
    plugins: tuple[str, ...]
    available: bool

    @property
    def only_8_bits(self) -> bool:
        """Whether 12-bit films of it are refused though a plug-in takes it: JPEG Extended."""
        return self.name == uid.JPEGExtended12Bit.name and {*self.plugins} <= _ONLY_8_BITS


def decodable() -> list[Decodable]:
    """Returns what can be decoded, one entry for each of ``SYNTAXES``."""
    codecs.register()
    found = []
    for syntax in SYNTAXES:
        decoder = get_decoder(syntax)
        plugins = tuple(sorted(decoder.available_plugins))
        found.append(Decodable(syntax.name, plugins, decoder.is_available))
    return found
