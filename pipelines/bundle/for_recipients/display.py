"""From a film's stored values to display values, as DICOM defines them, and to a square.

prepare.py uses this file. A film is its stored values (rows, columns) and a header: pydicom's, or
for a picture a dict with next to nothing in it. Needs only numpy.
"""

import math

import numpy as np

PROPORTIONS = (
    *("PixelAspectRatio", "ImagerPixelSpacing"),
    *("PixelSpacing", "NominalScannedPixelSpacing"),
)
BINARY = ("US", "SS", "UL", "SL", "FL", "FD")


class Refused(ValueError):  # noqa: N818 - what happens to a film is no error of the program
    """A film cannot be used; the text says why."""


def texts(header, keyword):
    """Returns what an element says, as it is in the file: pydicom refuses a decimal comma."""
    element = getattr(header, "get_item", header.get)(keyword)
    value = None if element is None else element.value
    if isinstance(value, bytes) and element.VR in BINARY:
        value = header[keyword].value
    if isinstance(value, bytes):
        value = value.decode("latin-1").split("\\")
    several = hasattr(value, "__iter__") and not isinstance(value, str)
    found = [str(one).strip(" \0") for one in (value if several else [value])]
    while found and found[-1] in ("", "None"):
        found.pop()
    return found


def numbers(header, keyword):
    """Returns an element's numbers, none if one of them is no number; some devices write 0,5."""
    try:
        found = [float(one.replace(",", ".")) for one in texts(header, keyword)]
    except ValueError:
        return []
    return found if all(map(math.isfinite, found)) else []


def number(header, keyword, otherwise):
    """Returns an element's first number, or ``otherwise``; ValueError if it is no number."""
    found = texts(header, keyword)
    return float(found[0].replace(",", ".")) if found and found[0] else otherwise


def sixteen(value, signed):
    """Returns a 16-bit number that may have been written with the other sign."""
    if signed:
        return value - 2**16 if value >= 2**15 else value
    return value % 2**16 if value < 0 else value


def display(stored, header, how, hidden=None):
    """Returns display values from 0, black, to 1 (rows, columns), by the pipeline of PS3.4 N.2.

    The pipeline runs on each possible value once; the pixels are looked up at its end.
    ``how`` names the sources of the display values, and the percentiles. ``hidden`` are pixels
    behind a shutter, or None: they are black and do not count.
    """
    if stored.dtype.itemsize <= 2:
        each = np.arange(int(stored.min()), int(stored.max()) + 1).astype(stored.dtype)
        places = stored.astype(np.int32) - int(stored.min())
    else:
        each, places = np.unique(stored, return_inverse=True)
        places = places.reshape(stored.shape)
    used = ~_padding(each, header)
    seen = places if hidden is None else places[~hidden]
    counts = np.where(used, np.bincount(seen.ravel(), minlength=len(each)), 0)
    with np.errstate(all="ignore"):
        values = _modality(each, used, header)
        _require_contrast(values[counts > 0])
        shown = _voi(values, used, counts, header, how)
    _require_contrast(shown[counts > 0])
    if header.get("PhotometricInterpretation") == "MONOCHROME1":
        shown = 1 - shown
    shown = np.where(used, shown, np.float32(0))[places]
    if hidden is not None:
        shown[hidden] = 0
    return shown


def _require_contrast(shown):
    if not np.isfinite(shown).all():
        raise Refused("pixel values overflow or are not numbers")
    if shown.size == 0 or shown.min() == shown.max():
        raise Refused("every pixel has the same value")


def _padding(each, header):
    """Returns which values only fill the frame (PS3.3 C.7.5.1.1.2)."""
    first = header.get("PixelPaddingValue")
    if first is None:
        return np.zeros(each.shape, bool)
    limit = header.get("PixelPaddingRangeLimit")
    signed = header.PixelRepresentation == 1
    ends = [sixteen(int(end), signed) for end in (first, first if limit is None else limit)]
    return (each >= min(ends)) & (each <= max(ends))


def _modality(each, used, header):
    """Returns the manufacturer's values: a table, else slope and intercept (PS3.3 C.11.1)."""
    values = each.astype(np.float32)
    if header.get("ModalityLUTSequence"):
        signed = header.PixelRepresentation == 1
        table = _table(header.ModalityLUTSequence[0], signed, values[used], header)
        if table is None:
            raise Refused("a look-up table is shorter than its descriptor says")
        return _looked_up(values, *table)
    values *= np.float32(number(header, "RescaleSlope", 1.0) or 1.0)
    return values + np.float32(number(header, "RescaleIntercept", 0.0))


def _voi(values, used, counts, header, how):
    """Returns values from 0 to 1 (PS3.3 C.11.2).

    The first table that shows something decides, else the first such window, else percentiles.
    """
    short = False
    if "lut" in how["sources"]:
        for item in header.get("VOILUTSequence") or ():
            try:
                table = _table(item, _can_be_negative(header), values[used], header)
            except Refused:
                short = True
                continue
            if table is not None:
                # By the largest entry, not by the depth: some say 16 bits and use 12.
                shown = _looked_up(values, *table) / np.maximum(table[0].max(), np.float32(1))
                if _told_apart(shown, used, counts):
                    return shown
    if "window" in how["sources"]:
        function = str(header.get("VOILUTFunction"))
        centers, widths = (numbers(header, word) for word in ("WindowCenter", "WindowWidth"))
        for center, width in zip(centers, widths, strict=False):
            if width >= (1e-6 if function in ("LINEAR_EXACT", "SIGMOID") else 1):
                shown = _window(values, center, width, function)
                if _told_apart(shown, used, counts):
                    return shown
    if short:
        raise Refused("a look-up table is shorter than its descriptor says")
    pixels = np.repeat(values, counts).astype(float)
    low, high = np.percentile(pixels, (0, 100) if "range" in how["sources"] else how["percentiles"])
    if low == high:
        low, high = pixels.min(), pixels.max()
    return _window(values, (low + high) / 2, high - low, "LINEAR_EXACT")


def _told_apart(shown, used, counts):
    levels = np.rint(shown * np.float32(65535))
    there = levels[counts > 0]
    return bool(np.isfinite(levels[used]).all() and there.size and there.min() < there.max())


def _window(values, center, width, function):
    """Returns a window's values from 0 to 1 (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    if function == "SIGMOID":
        return (np.tanh((values - np.float32(center)) * np.float32(2 / width)) + 1) / np.float32(2)
    if function != "LINEAR_EXACT":
        if width == 1:
            return (values > center - 0.5).astype(np.float32)
        center, width = center - 0.5, width - 1
    return np.clip((values - np.float32(center)) / np.float32(width) + np.float32(0.5), 0, 1)


def _can_be_negative(header):
    """Returns whether the first value of a VOI LUT is signed (PS3.3 C.11.2.1.1)."""
    if header.get("ModalityLUTSequence"):
        return False
    count = 2 ** int(header.BitsStored)
    ends = (-count // 2, count // 2 - 1) if header.PixelRepresentation == 1 else (0, count - 1)
    slope = number(header, "RescaleSlope", 1.0) or 1.0
    return min(end * slope + number(header, "RescaleIntercept", 0.0) for end in ends) < 0


def _looked_up(values, entries, first):
    return entries[np.clip(np.rint(values) - first, 0, len(entries) - 1).astype(np.intp)]


def _table(item, signed, values, header):
    """Returns a look-up table's entries and the first value mapped, None if it has no data.

    Entries are bytes or words, as many as the data show; the words' bytes may be exchanged, and
    the first value may have the wrong sign.
    """
    data, descriptor = item.get("LUTData"), item.get("LUTDescriptor")
    if data is None or len(data) == 0 or np.size(descriptor) != 3:
        return None
    length, first, depth = (int(one) for one in descriptor)
    length = (length & 0xFFFF) or 2**16
    if not isinstance(data, bytes):
        data = (np.atleast_1d(data).astype(np.int64) & 0xFFFF).astype("<u2").tobytes()
    elif header.original_encoding[1] is False and item["LUTData"].VR != "OB":
        data = np.frombuffer(data + bytes(len(data) % 2), ">u2").astype("<u2").tobytes()
    if len(data) in (length, length + 1):
        entries = np.frombuffer(data, np.uint8, length)
    elif len(data) >= 2 * length:
        entries = np.frombuffer(data, "<u2", length)
        other = entries.byteswap()
        if 8 < depth < 16 and entries.max() >> depth and not other.max() >> depth:
            entries = other
    else:
        raise Refused("a look-up table is shorter than its descriptor says")
    first = sixteen(first, signed)
    other = sixteen(first, first >= 0)
    if values.size and not _reaches(first, length, values) and _reaches(other, length, values):
        first = other
    return entries.astype(np.float32), first


def _reaches(first, length, values):
    return values.min() < first + length and values.max() >= first


def trimmed(picture):
    """Returns the picture without rows and columns at its edges that show almost nothing."""
    for axis in (0, 1):
        low, high = np.percentile(picture, (5, 95), axis=1 - axis)
        lively = np.flatnonzero(high - low >= 0.02)
        if lively.size:
            picture = picture.take(range(lively[0], lively[-1] + 1), axis)
    return picture


def square(picture, header, size):
    """Returns the picture averaged by area into (size, size), centered on black.

    It is in reading orientation (PS3.3 C.7.6.1.1.1), and in true proportions.
    """
    aspect = _aspect(header)
    said = header.get("PatientOrientation") or ""
    known = not isinstance(said, str) and len(said) == 2
    right, down = (str(one)[:1] for one in said) if known else ("", "")
    if right in ("H", "F") and down in ("L", "R", "A", "P"):
        picture, aspect, right, down = picture.T, 1 / aspect, down, right
    if right == "R":
        picture = picture[:, ::-1]
    if down == "H":
        picture = picture[::-1]
    rows, columns = picture.shape
    longest = max(rows * aspect, columns)
    height, width = (max(1, round(size * side / longest)) for side in (rows * aspect, columns))
    small = averaged(picture, height, width)
    top, left = (size - height) // 2, (size - width) // 2
    framed = np.zeros((size, size), np.float32)
    framed[top : top + height, left : left + width] = small
    return framed


def averaged(picture, height, width):
    """Returns the picture, (rows, columns), averaged by area into (height, width)."""
    rows, columns = picture.shape
    small = _shares(rows, height) @ picture @ _shares(columns, width).T
    return np.clip(small, 0, 1)


def _aspect(header):
    """Returns a pixel's height over its width, 1 if unknown (PS3.3 C.7.6.3.1.7, 10.7.1)."""
    for keyword in PROPORTIONS:
        found = numbers(header, keyword)
        if len(found) == 2 and min(found) > 0:
            return found[0] / found[1]
    return 1.0


def _shares(source, target):
    """Returns the share of each of ``source`` pixels in each of ``target``, (target, source)."""
    edges, pixel = np.linspace(0, source, target + 1), np.arange(source)
    before, after = edges[:-1, None], edges[1:, None]
    overlap = np.minimum(after, pixel + 1) - np.maximum(before, pixel)
    return (np.clip(overlap, 0, None) / (after - before)).astype(np.float32)
