"""Drawn films whose headers say what hospitals' headers say, one variant each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydicom import DataElement, Dataset, dcmread, uid
from pydicom.encaps import encapsulate

from medidd.dicom.header.numbers import WINDOW
from medidd.dicom.views import FIELDS

Film = Any
Pixels = npt.NDArray[Any]

SAMPLE = Path(__file__).parents[3] / "sample_data" / "studies"


def sample() -> Film:
    """Returns a drawn film of 96 x 70 pixels and 12 bits, without a window, not compressed."""
    film = dcmread(SAMPLE / "3" / "1" / "1.dcm")
    if film.file_meta.TransferSyntaxUID.is_compressed:
        film.decompress()
    stored = film.pixel_array[:, 9:79]
    film.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    film.PhotometricInterpretation = "MONOCHROME2"
    for keyword in (*WINDOW, *FIELDS, "VOILUTFunction", "PatientOrientation"):
        if keyword in film:
            del film[keyword]
    return stores(film, stored)


def stores(film: Film, stored: Pixels) -> Film:
    film.Rows, film.Columns = stored.shape[-2:]
    film.PixelData = np.ascontiguousarray(stored).tobytes()
    film["PixelData"].VR = "OW"
    return film


def having(**elements: Any) -> Film:
    film = sample()
    for keyword, value in elements.items():
        setattr(film, keyword, value)
    return film


def with_table(
    entries: Pixels, first: int, depth: int, *, keyword: str = "VOILUTSequence", before: Any = ()
) -> Film:
    """Returns a film with a look-up table, its descriptor's first value as the film's sign."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first % 2**16, depth])
    kind = "OW" if entries.itemsize == 1 else "US"
    item.add_new("LUTData", kind, entries.tobytes() if kind == "OW" else entries.tolist())
    return having(**{keyword: [*before, item]})


def short() -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [4096, 0, 12])
    item.add_new("LUTData", "US", [1, 2, 3])
    return item


def signed(**elements: Any) -> Film:
    film = having(PixelRepresentation=1, **elements)
    return stores(film, film.pixel_array.astype(np.int16) - 2000)


def padded(film: Film, value: int, limit: int | None = None) -> Film:
    stored = film.pixel_array.copy()
    stored[:, :7], stored[:5] = value, value if limit is None else limit
    stores(film, stored)
    kind = "SS" if film.PixelRepresentation else "US"
    film.add_new("PixelPaddingValue", kind, value)
    if limit is not None:
        film.add_new("PixelPaddingRangeLimit", kind, limit)
    return film


def shifted() -> Film:
    film = having(HighBit=15)
    words = film.pixel_array
    return stores(film, words << 4 | np.uint16(3))


def wide() -> Film:
    film = sample()
    stored = film.pixel_array.astype(np.uint32) * 99991
    film.BitsAllocated, film.BitsStored, film.HighBit = 32, 32, 31
    return stores(film, stored)


def frames() -> Film:
    film = sample()
    stored = film.pixel_array
    film.NumberOfFrames = 3
    return stores(film, np.stack([stored, stored[::-1], stored[:, ::-1]]))


def bordered() -> Film:
    film = sample()
    stored = film.pixel_array.copy()
    stored[:11] = stored[:, -8:] = stored.min()
    return stores(film, stored)


def comma(keyword: str, text: str) -> Film:
    film = having(WindowCenter=1800, WindowWidth=2500)
    film[keyword] = DataElement(film[keyword].tag, "LO", text)
    return film


def compressed(syntax: uid.UID) -> Film:
    film = sample()
    if syntax == uid.JPEGLosslessSV1:
        imagecodecs = pytest.importorskip("imagecodecs")
        frame = imagecodecs.ljpeg_encode(film.pixel_array, bitspersample=12)
        film.file_meta.TransferSyntaxUID, film.PixelData = syntax, encapsulate([frame])
        film["PixelData"].is_undefined_length, film["PixelData"].VR = True, "OB"
        return film
    film.compress(syntax, generate_instance_uid=False)
    return film


CURVE = (np.linspace(0, 1, 4096) ** 2 * 4095).astype(np.uint16)
RECTANGLE = {"UpperHorizontalEdge": 9, "LowerHorizontalEdge": 80, "LeftVerticalEdge": 6}
RECTANGLE |= {"RightVerticalEdge": 60}
CIRCLE = {"CenterOfCircular{}": [50, 30], "RadiusOfCircular{}": 33}


def shut(kind: str, shapes: Any, **elements: Any) -> Film:
    named = {
        name.format(kind) if "{}" in name else kind + name: of for name, of in elements.items()
    }
    return having(**{f"{kind}Shape": shapes}, **named)


FILMS: dict[str, Callable[[], Film]] = {
    "percentiles": sample,
    "white is least": lambda: having(PhotometricInterpretation="MONOCHROME1"),
    "window": lambda: having(WindowCenter=1800, WindowWidth=2500),
    "sigmoid": lambda: having(WindowCenter=1800, WindowWidth=900, VOILUTFunction="SIGMOID"),
    "exact": lambda: having(WindowCenter=1800, WindowWidth=900, VOILUTFunction="LINEAR_EXACT"),
    "narrowest window": lambda: having(WindowCenter=1800, WindowWidth=1),
    "second window": lambda: having(WindowCenter=[9e6, 1800], WindowWidth=[1, 2500]),
    "no window shows": lambda: having(WindowCenter=9e6, WindowWidth=1),
    "white is least in a window": lambda: having(
        WindowCenter=1800, WindowWidth=2500, PhotometricInterpretation="MONOCHROME1"
    ),
    "comma in a window": lambda: comma("WindowCenter", "1800,5"),
    "word in a window": lambda: comma("WindowWidth", "wide"),
    "rescaled": lambda: having(
        RescaleSlope="-0.5", RescaleIntercept="-100", WindowCenter=-900, WindowWidth=900
    ),
    "slope of nothing": lambda: having(RescaleSlope="0", RescaleIntercept="7"),
    "table": lambda: with_table(CURVE, 0, 12),
    "table of bytes": lambda: with_table((CURVE[::16] >> 4).astype(np.uint8), 900, 8),
    "table says 16 bits": lambda: with_table(CURVE, 0, 16),
    "table with bytes exchanged": lambda: with_table(CURVE.byteswap(), 0, 12),
    "table of the other sign": lambda: with_table(CURVE, -100, 12),
    "table after another that is short": lambda: with_table(CURVE, 0, 12, before=[short()]),
    "short table and window": lambda: having(
        VOILUTSequence=[short()], WindowCenter=1800, WindowWidth=2500
    ),
    "manufacturer's table": lambda: with_table(CURVE, 0, 16, keyword="ModalityLUTSequence"),
    "table of negative values": lambda: having(
        RescaleIntercept="-2000", VOILUTSequence=with_table(CURVE, -2000, 12).VOILUTSequence
    ),
    "signed": signed,
    "signed in a window": lambda: signed(WindowCenter=-100, WindowWidth=1500),
    "padding": lambda: padded(sample(), 4095),
    "range of padding": lambda: padded(sample(), 4000, 4095),
    "padding where white is least": lambda: padded(
        having(PhotometricInterpretation="MONOCHROME1"), 0
    ),
    "signed padding": lambda: padded(signed(), -2000),
    "values in the upper bits": shifted,
    "32 bits": wide,
    "dark border": bordered,
    "shutter": lambda: shut("Shutter", "RECTANGULAR", **RECTANGLE),
    "round shutter": lambda: shut("Shutter", "CIRCULAR", **CIRCLE),
    "shutter with corners": lambda: shut(
        "Shutter", "POLYGONAL", **{"VerticesOfThePolygonal{}": [5, 9, 15, 60, 88, 44, 70, 4]}
    ),
    "shutters of two shapes": lambda: shut(
        "Shutter", ["RECTANGULAR", "CIRCULAR"], **RECTANGLE, **CIRCLE
    ),
    "shut shutter": lambda: shut(
        "Shutter", "RECTANGULAR", **(RECTANGLE | {"LowerHorizontalEdge": 3})
    ),
    "shutter without edges": lambda: having(ShutterShape="RECTANGULAR"),
    "collimator": lambda: shut("Collimator", "RECTANGULAR", **RECTANGLE),
    "collimator in millimeters": lambda: shut(
        "Collimator", "RECTANGULAR", **(RECTANGLE | {"LeftVerticalEdge": -180})
    ),
    "round collimator": lambda: shut("Collimator", "CIRCULAR", **CIRCLE),
    "high pixels": lambda: having(PixelAspectRatio=[3, 2]),
    "spacing": lambda: having(ImagerPixelSpacing=[0.1, 0.25]),
    "flat spacing": lambda: having(PixelSpacing=[0.0, 0.25]),
    "on its side": lambda: having(PatientOrientation=["F", "L"]),
    "on its other side": lambda: having(PatientOrientation=["H", "R"], PixelAspectRatio=[3, 2]),
    "from behind": lambda: having(PatientOrientation=["R", "F"]),
    "upside down": lambda: having(PatientOrientation=["L", "H"]),
    "one direction": lambda: having(PatientOrientation="R"),
    "run lengths": lambda: compressed(uid.RLELossless),
    "JPEG 2000": lambda: compressed(uid.JPEG2000Lossless),
    "JPEG-LS": lambda: compressed(uid.JPEGLSLossless),
    "JPEG Lossless": lambda: compressed(uid.JPEGLosslessSV1),
}


def written(film: Film, path: Path) -> Path:
    film.save_as(path, enforce_file_format=True)
    return path


DEEP: Pixels = np.random.default_rng(0).integers(0, 2**16, (40, 30)).astype(np.uint16)
DEEP[:6] = DEEP[:, 25:] = 0
FLAT: Pixels = (DEEP >> 8).astype(np.uint8)


def saved(pixels: Pixels, name: str, **options: Any) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        Image.fromarray(pixels).save(folder / name, **options)
        return folder / name

    return save
