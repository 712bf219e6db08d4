"""How long a film takes from its file to a square, by transfer syntax.

Beside each stands what reading and decoding alone take: the rest is medidd's own. Films are drawn,
2048 x 2048 with 12 bits, a smooth body under noise. Times are process time, the smallest of a few.

    python benchmarks/decoding.py
"""

import argparse
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from pydicom import dcmread, uid
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder

from medidd.dicom.pixels import burned_in
from medidd.dicom.pixels.pixels import RadiographReader
from medidd.dicom.reading import Reading
from medidd.dicom.stored.decoding import stored_values
from medidd.machine.allocator import keep_memory

SIDE = 2048
SYNTAXES = (
    uid.ExplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.RLELossless,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.HTJ2KLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGExtended12Bit,
)


def drawn() -> np.ndarray:
    """Returns the stored values of a film, (SIDE, SIDE)."""
    rng = np.random.default_rng(0)
    down, across = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    body = 2500 * np.exp(-2 * (down**2 + 2 * across**2)) + 300 * np.sin(30 * down) + 500
    return np.clip(body + rng.normal(0, 8, body.shape), 0, 4095).astype(np.uint16)


def film(stored: np.ndarray, *, window: bool = True) -> FileDataset:
    """Returns a film of nobody."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = uid.ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    made = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    made.SOPClassUID, made.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3.4"
    made.StudyInstanceUID, made.PatientID = "1.2.3", "nobody"
    made.Modality, made.PhotometricInterpretation = "CR", "MONOCHROME2"
    made.Rows, made.Columns = stored.shape
    made.SamplesPerPixel, made.PixelRepresentation = 1, 0
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    if window:
        made.WindowCenter, made.WindowWidth = 1800, 3400
    made.PixelData = stored.tobytes()
    return made


def encoded(made: FileDataset, stored: np.ndarray, syntax: uid.UID) -> None:
    """Changes the film to a transfer syntax."""
    if syntax in (uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless):
        made.compress(syntax, generate_instance_uid=False)
        return
    made.file_meta.TransferSyntaxUID = syntax
    if not syntax.is_encapsulated:
        return
    import imagecodecs

    if syntax == uid.JPEGLosslessSV1:
        frame = imagecodecs.ljpeg_encode(stored, bitspersample=12)
    elif syntax == uid.JPEGExtended12Bit:
        frame = imagecodecs.jpeg8_encode(stored, level=90, bitspersample=12)
    else:
        frame = imagecodecs.htj2k_encode(stored, reversible=True)
    made.PixelData = encapsulate([frame])
    made["PixelData"].is_undefined_length = True
    made["PixelData"].VR = "OB"


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """Returns the least process time of some runs."""
    times = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return 1000 * min(times)


def rows(folder: Path, size: int, repeats: int) -> Iterator[str]:
    """Yields the table, a line at a time."""
    stored = drawn()
    yield "| transfer syntax | decoder | read and decode | whole | own | films per second |"
    yield "|---|---|---|---|---|---|"
    for syntax in SYNTAXES:
        made = film(stored)
        encoded(made, stored, syntax)
        path = folder / f"{syntax.keyword}.dcm"
        made.save_as(path, enforce_file_format=True)
        for plugin in sorted(get_decoder(syntax).available_plugins) or [""]:
            with suppress(Exception):
                bare = milliseconds(lambda p=path, n=plugin: _bare(p, n), repeats)
                yield f"| {syntax.keyword} | {plugin or 'pydicom'} | {bare:.1f} | | | |"
        bare = milliseconds(lambda p=path: stored_values(dcmread(p)), repeats)
        for reading in (Reading(), Reading(burned_in="keep"), Reading(fast_j2k=True)):
            if reading.fast_j2k and syntax != uid.JPEG2000Lossless:
                continue
            reader = RadiographReader(size, reading)
            whole = milliseconds(lambda p=path, r=reader: r.get_data(r.read(p)), repeats)
            name = ", fast" if reading.fast_j2k else ", text kept"
            yield (
                f"| {syntax.keyword}{'' if reading == Reading() else name} | chosen | {bare:.1f} | "
                f"{whole:.1f} | {whole - bare:.1f} | {1000 / whole:.0f} |"
            )
    path = folder / "percentiles.dcm"
    film(stored, window=False).save_as(path, enforce_file_format=True)
    reader = RadiographReader(size)
    whole = milliseconds(lambda: reader.get_data(reader.read(path)), repeats)
    yield f"| {SYNTAXES[0].keyword}, no window | chosen | | {whole:.1f} | | {1000 / whole:.0f} |"
    text = milliseconds(lambda: burned_in.text(stored), repeats)
    yield f"| the look for text alone | | | {text:.1f} | | |"


def _bare(path: Path, plugin: str) -> object:
    found = dcmread(path)
    decoder = get_decoder(found.file_meta.TransferSyntaxUID)
    return decoder.as_array(found, index=0, decoding_plugin=plugin)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    logging.disable()
    keep_memory()
    with tempfile.TemporaryDirectory() as folder:
        for line in rows(Path(folder), options.size, options.repeats):
            print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
