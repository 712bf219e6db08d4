"""Reads a DICOM film: is it a radiograph of the contract, and which values does it store?

prepare.py uses this file. Needs pydicom 3, and for some compressed films a package of ``HELP``.
"""

from contextlib import suppress

import numpy as np
from display import Refused, numbers, texts
from pydicom import dcmread, uid
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import get_j2k_parameters

try:
    import imagecodecs
except ImportError:
    imagecodecs = None

MOST_PIXELS = 2**26
RADIOGRAPHS = (uid.ComputedRadiographyImageStorage, uid.DigitalXRayImageStorageForPresentation)
RAW = uid.DigitalXRayImageStorageForProcessing
OTHERS = frozenset(
    {"AR", "AU", "BDUS", "BI", "BMD", "CT", "DG", "DMS", "DOC", "ECG", "EPS", "ES", "GM", "HC"}
    | {"HD", "IO", "IVOCT", "IVUS", "KER", "KO", "LEN", "LS", "M3D", "MG", "MR", "NM", "OAM"}
    | {"OCT", "OP", "OPM", "OPT", "OPV", "OSS", "PLAN", "PR", "PT", "PX", "REG", "RESP", "RTDOSE"}
    | {"RTIMAGE", "RTPLAN", "RTRECORD", "RTSTRUCT", "RWV", "SEG", "SM", "SMR", "SR", "SRF"}
    | {"STAIN", "TG", "US", "VA", "XA", "XC"}
)
"""Modality of other images (PS3.3 C.7.3.1.1.1)."""

TERMS = ("AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO", "LATERAL", "FRONTAL")
SIDES = {"LATERAL": {"LL", "RL"}, "FRONTAL": {"AP", "PA"}}
CODES = {
    **dict.fromkeys(("399348003", "R-10206"), "AP"),
    **dict.fromkeys(("272479007", "R-40888", "R-10214"), "PA"),
    **dict.fromkeys(("399173006", "R-10236"), "LL"),
    **dict.fromkeys(("399198007", "R-10232"), "RL"),
    **dict.fromkeys(("399067008", "R-102CD"), "LATERAL"),
    "399033003": "FRONTAL",
}
"""Views by their codes (PS3.16 CID 4010)."""

HTJ2K = (uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)
BY_IMAGECODECS = (uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
FIRST = {
    uid.JPEGBaseline8Bit: "pillow",
    **dict.fromkeys((uid.JPEGLSLossless, uid.JPEGLSNearLossless), "pyjpegls"),
    **dict.fromkeys((uid.JPEG2000Lossless, uid.JPEG2000), "pylibjpeg"),
}
"""Which of pydicom's decoders is asked first: lossy films differ a little between them."""

HELP = {
    **dict.fromkeys(BY_IMAGECODECS, "imagecodecs"),
    **dict.fromkeys((uid.JPEGLSLossless, uid.JPEGLSNearLossless), "pyjpegls"),
    **dict.fromkeys((uid.JPEG2000Lossless, uid.JPEG2000), "pylibjpeg pylibjpeg-openjpeg"),
    **dict.fromkeys(HTJ2K, "pylibjpeg pylibjpeg-openjpeg"),
}
"""Which packages decode what pydicom alone does not."""

LOSSLESS = (
    *(uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEG2000Lossless),
    *(uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL),
)


def read(path, how):
    """Returns stored values (rows, columns) and the header; Refused if the film cannot be used."""
    film = dcmread(path, force=True)
    if not len(film.file_meta):
        implicit, little = film.original_encoding
        native = uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian
        film.file_meta.TransferSyntaxUID = native if little else uid.ExplicitVRBigEndian
    _require_radiograph(film, how)
    _require_gray(film, how)
    _require_view(film, how["views"])
    return _stored(film, how), film


def _text(film, keyword):
    """Returns an element as text, several values joined by a backslash, or ''."""
    value = film.get(keyword)
    if hasattr(value, "__iter__") and not isinstance(value, str):
        return "\\".join(map(str, value))
    return "" if value is None else str(value).strip(" \0")


def _require_radiograph(film, how):
    """The SOP class says what an object is (PS3.4 B.5), then Modality."""
    written = uid.UID(_text(film.file_meta, "MediaStorageSOPClassUID"))
    known = not written.is_private and written.name != written
    kind = _text(film, "SOPClassUID") or (written if known else "")
    modality = _text(film, "Modality").upper()
    _, made, *notes = (*_text(film, "ImageType").upper().split("\\"), "")
    captured = "Secondary Capture" in uid.UID(kind).name
    if kind and not captured and kind not in (*RADIOGRAPHS, RAW):
        raise Refused(f"no radiograph but {uid.UID(kind).name}")
    if modality in OTHERS or (captured and modality not in ("", "CR", "DX", "RG")):
        raise Refused(f"no radiograph: Modality is {modality}")
    if not kind and "no-uid" not in how["accept"]:
        raise Refused("no SOP class, so it does not say that it is a radiograph")
    if kind == RAW or _text(film, "PresentationIntentType") == "FOR PROCESSING":
        raise Refused("raw detector data; use the FOR PRESENTATION object")
    converted = _text(film, "ConversionType").upper()
    screen = converted or any("SCREEN" in note for note in notes)
    captured |= made.strip() == "SECONDARY" and bool(screen)
    if captured and ("secondary-capture" not in how["accept"] or converted in ("SD", "DRW", "SYN")):
        raise Refused("a screenshot or scanned film, and preparation.json accepts none")
    if how["burned_in"] == "reject" and _text(film, "BurnedInAnnotation") == "YES":
        raise Refused("its header says that text is burned into the pixels")


def _require_gray(film, how):
    needed = ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation")
    needed += ("BitsAllocated", "BitsStored", "PixelRepresentation")
    missing = [keyword for keyword in needed if not _text(film, keyword)]
    if missing:
        raise Refused(f"the header lacks {missing[0]}")
    if _count(film) > 1 and how["frames"] == "reject":
        raise Refused("more than one frame")
    photometric = film.PhotometricInterpretation
    if film.SamplesPerPixel != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise Refused(f"not gray: Photometric Interpretation is {photometric}")
    if film.Rows * film.Columns > MOST_PIXELS:
        raise Refused("more than 2**26 pixels")


def _require_view(film, wanted):
    if not wanted:
        return
    only = f"only {', '.join(wanted)} may be used"
    view = _text(film, "ViewPosition").upper().replace(".", "")
    codes = (_text(item, "CodeValue") for item in film.get("ViewCodeSequence") or ())
    if view not in TERMS:
        view = next((CODES[code] for code in codes if code in CODES), "")
    if not view:
        raise Refused(f"its View Position does not say its view, and {only}; write it there")
    if not SIDES.get(view, {view}) <= {*wanted}.union(*(SIDES.get(one, ()) for one in wanted)):
        raise Refused(f"its view is {view}, and {only}")


def _count(film):
    return max(int(film.get("NumberOfFrames") or 1), 1)


def _stored(film, how):
    """Returns the stored values of the frame that is used."""
    data, syntax = film.get("PixelData"), film.file_meta.get("TransferSyntaxUID")
    expected = film.Rows * film.Columns * film.BitsAllocated // 8 * _count(film)
    if not data or syntax is None or not (syntax.is_compressed or len(data) >= expected):
        raise Refused("fewer pixels than the header says; fetch the file again")
    index = _count(film) // 2 if how["frames"] == "middle" else 0
    stored = _values(film, syntax, index)
    if stored.shape != (film.Rows, film.Columns) or stored.dtype.kind not in "iu":
        raise Refused("the pixels are not those that the header says")
    return stored.astype(stored.dtype.newbyteorder("="), copy=False)


def _values(film, syntax, index):
    """Returns the values of a frame: of each cell the bits that are one (PS3.5 8.1.1)."""
    stored, cell, signed = film.BitsStored, film.BitsAllocated, film.PixelRepresentation == 1
    precision, said = _codestream(film, syntax, index)
    high = film.get("HighBit")
    if not isinstance(high, int) or not stored - 1 <= high < cell:
        high = stored - 1
    options, bits = {"number_of_frames": _count(film)}, None
    if high >= stored and (precision is None or precision > high):
        bits = high - stored + 1, stored, signed  # old films keep 12 bits in the upper part of 16
    elif precision and said is None and syntax not in LOSSLESS and precision > stored:
        bits = None if signed else (0, precision, False)  # lossy: white may end above the bits
    if precision and precision > cell:
        options["bits_allocated"] = 16
    if syntax == uid.JPEGBaseline8Bit:
        options |= {"bits_allocated": 8, "bits_stored": min(stored, 8)}
    if bits:
        options["bits_stored"] = precision or cell
        options |= {"correct_unused_bits": False, "apply_jls_sign_correction": False}
    found = _decoded(film, syntax, index, options)
    found = _bits(found, *bits) if bits else found
    deeper = signed and precision and precision > stored
    if deeper and found.min() >= 0 and 2 ** (stored - 1) <= found.max() < 2**stored:
        # A negative value that was compressed as it is in its bits seems positive.
        found = _bits(found, 0, stored, signed)
    return found


def _bits(cells, low, width, signed):
    """Returns the values in ``width`` bits from bit ``low``, the highest perhaps a sign."""
    size = 8 * cells.itemsize
    cells = cells.astype(cells.dtype.newbyteorder("="), copy=False)
    kind = f"{'i' if signed else 'u'}{cells.itemsize}"
    return (cells << (size - low - width)).view(kind) >> (size - width)


def _codestream(film, syntax, index):
    """Returns a compressed frame's bits and whether they are signed; None for what is not said."""
    if not syntax.is_encapsulated or syntax == uid.RLELossless:
        return None, None
    frame = get_frame(film.PixelData, index, number_of_frames=_count(film))
    if syntax in uid.JPEG2000TransferSyntaxes:
        about = get_j2k_parameters(frame)
        return (about["precision"], bool(about["is_signed"])) if about else (None, None)
    at = 2
    while frame[at : at + 1] == b"\xff" and at + 4 < len(frame):
        marker = frame[at + 1]  # of a frame: ITU-T T.81, table B.1; T.87, C.1.1
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            return frame[at + 4] or None, None
        at += 1 if marker == 0xFF else 2 + int.from_bytes(frame[at + 2 : at + 4])
    return None, None


def _decoded(film, syntax, index, options):
    """Returns a frame as pydicom decodes it, or imagecodecs where that is better."""
    if syntax in BY_IMAGECODECS and imagecodecs:
        with suppress(Exception):  # decoders raise nearly every type, and another may succeed
            frame = get_frame(film.PixelData, index, number_of_frames=_count(film))
            cells, signed = imagecodecs.jpeg_decode(frame), film.PixelRepresentation == 1
            kept = "correct_unused_bits" in options
            width = 8 * cells.itemsize if kept else min(film.BitsStored, 8 * cells.itemsize)
            return _bits(cells, 0, width, signed)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise Refused(f"no decoder exists for {syntax.name}") from None
    for plugin in (FIRST.get(syntax, ""), ""):
        with suppress(Exception):
            chosen = plugin if plugin in decoder.available_plugins else ""
            return decoder.as_array(film, index=index, decoding_plugin=chosen, **options)[0]
    if (syntax in BY_IMAGECODECS and not imagecodecs) or not decoder.is_available:
        raise Refused(f"{syntax.name} is not decoded here; pip install {HELP[syntax]}")
    raise Refused(f"the pixels cannot be decoded ({syntax.name}); fetch the file again")


def opening(header, shape):
    """Returns open rows and columns, as slices, and which pixels in them are hidden, or None.

    Shutters (PS3.3 C.7.6.11) and collimators (C.8.7.3) cut nothing if they leave nothing open, or
    if a shape is not described, or not in pixels of the film.
    """
    whole = slice(0, shape[0]), slice(0, shape[1])
    shut = np.zeros(shape, bool)
    try:
        for kind in ("Shutter", "Collimator"):
            for name in texts(header, f"{kind}Shape"):
                shut |= ~_SHAPES[name](header, kind, shape) if name in _SHAPES else False
    except ValueError:
        return *whole, None
    rows, columns = (np.flatnonzero(~shut.all(axis)) for axis in (1, 0))
    if not rows.size:
        return *whole, None
    box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    return *box, shut[box] if shut[box].any() else None


def _whole_numbers(header, keyword, least):
    found = [round(one) for one in numbers(header, keyword)]
    if len(found) < least:
        raise ValueError(keyword)
    return found


def _rectangle(header, kind, shape):
    """Edges count from 1 and are outside; a collimator may give them in other units."""
    names = ("UpperHorizontalEdge", "LowerHorizontalEdge", "LeftVerticalEdge", "RightVerticalEdge")
    top, bottom, left, right = (_whole_numbers(header, kind + name, 1)[0] for name in names)
    bottom, right = bottom - 1, right - 1
    within = min(top, left) >= 0 and bottom <= shape[0] and right <= shape[1]
    large = (bottom - top) * (right - left) >= 0.1 * shape[0] * shape[1]
    if kind == "Collimator" and not (within and large):
        raise ValueError(kind)
    inside = np.zeros(shape, bool)
    inside[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    return inside


def _circle(header, kind, shape):
    row, column = _whole_numbers(header, f"CenterOfCircular{kind}", 2)[:2]
    radius = _whole_numbers(header, f"RadiusOfCircular{kind}", 1)[0]
    down, across = np.ogrid[1 : shape[0] + 1, 1 : shape[1] + 1]
    return (down - row) ** 2 + (across - column) ** 2 <= radius**2


def _polygon(header, kind, shape):
    """A pixel is inside if a ray from it to the right crosses an odd number of sides."""
    numbers = _whole_numbers(header, f"VerticesOfThePolygonal{kind}", 6)
    corners = list(zip(numbers[::2], numbers[1::2], strict=True))
    down, across = np.ogrid[1 : shape[0] + 1, 1 : shape[1] + 1]
    inside = np.zeros(shape, bool)
    for (row, column), (end, last) in zip(corners, corners[1:] + corners[:1], strict=True):
        if row != end:
            meets = column + (down - row) * ((last - column) / (end - row))
            inside ^= ((down < row) != (down < end)) & (across < meets)
    return inside


_SHAPES = {"RECTANGULAR": _rectangle, "CIRCULAR": _circle, "POLYGONAL": _polygon}
