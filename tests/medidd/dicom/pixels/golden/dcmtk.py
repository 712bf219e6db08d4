"""Renders drawn films by DCMTK's dcmj2pnm, as golden pictures: python dcmtk.py

DCMTK is an implementation of its own; what it shows is stored here, as PGM of 16 bits, so that the
tests need it no more. Debian's package is dcmtk.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, uid
from pydicom.dataset import FileDataset, FileMetaDataset

HERE = Path(__file__).parent
ROWS, COLUMNS = 48, 64

Array = npt.NDArray[Any]

UNSIGNED = np.linspace(0, 4095, ROWS * COLUMNS).round().astype(np.uint16).reshape(ROWS, COLUMNS)
SIGNED = (UNSIGNED.astype(np.int32) - 2000).astype(np.int16)
CURVE = np.rint(np.linspace(0, 1, 4096) ** 1.7 * 4095).astype(int)


def lut(entries: Any, first: int, depth: int, vr: str = "US") -> list[Dataset]:
    """Returns a sequence of one table."""
    item = Dataset()
    item.add_new("LUTDescriptor", vr, [len(entries) % 2**16, first, depth])
    item.add_new("LUTData", "OW", np.asarray(entries, "<u2").tobytes())
    item.ModalityLUTType = "US"
    return [item]


def film(stored: Array, **elements: Any) -> FileDataset:
    """Returns a film of nobody; keyword arguments set its elements."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = uid.ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    made = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    made.SOPClassUID, made.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3.4"
    made.Modality, made.PhotometricInterpretation = "CR", "MONOCHROME2"
    made.Rows, made.Columns = stored.shape
    made.SamplesPerPixel, made.PixelRepresentation = 1, int(stored.dtype.kind == "i")
    made.BitsAllocated = 16
    made.BitsStored = 16 if stored.dtype.kind == "i" else 12
    made.HighBit = made.BitsStored - 1
    made.PixelData = stored.tobytes()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def window(center: float, width: float, function: str = "LINEAR") -> dict[str, Any]:
    """Returns the elements of a window."""
    return {"WindowCenter": center, "WindowWidth": width, "VOILUTFunction": function}


CASES: dict[str, FileDataset] = {
    "linear": film(UNSIGNED, **window(2000, 3000)),
    "sigmoid": film(UNSIGNED, **window(2000, 1500, "SIGMOID")),
    "monochrome1": film(UNSIGNED, PhotometricInterpretation="MONOCHROME1", **window(2000, 3000)),
    "rescale": film(UNSIGNED, RescaleSlope="2", RescaleIntercept="-300", **window(3600, 6000)),
    "signed": film(SIGNED, **window(-200, 2500)),
    "voi_8_bit": film(UNSIGNED, VOILUTSequence=lut(CURVE // 16, 0, 8)),
    "voi_12_bit": film(UNSIGNED, VOILUTSequence=lut(CURVE, 0, 12)),
    "voi_16_bit": film(UNSIGNED, VOILUTSequence=lut(CURVE * 16 + CURVE // 256, 0, 16)),
    "voi_first_500": film(UNSIGNED, VOILUTSequence=lut(CURVE[1::2], 500, 12)),
    "modality_lut": film(
        UNSIGNED, ModalityLUTSequence=lut(CURVE * 4, 0, 16), **window(8000, 14000)
    ),
    "voi_signed": film(SIGNED, VOILUTSequence=lut(CURVE, -2000, 12, "SS")),
    # The pixels are signed, and what the table maps is not.
    "voi_unsigned": film(
        SIGNED,
        RescaleSlope="1",
        RescaleIntercept="32768",
        VOILUTSequence=lut(CURVE, 32768 - 2000, 12),
    ),
    "high_bit": film(UNSIGNED << 4, HighBit=15, **window(2000, 3000)),
    "high_bit_signed": film(SIGNED << 3, BitsStored=12, HighBit=14, **window(-200, 2500)),
}


def rendered(made: FileDataset, folder: Path) -> Array:
    """Returns what DCMTK shows, 0 to 65535, (rows, columns)."""
    path, out = folder / "film.dcm", folder / "film.pgm"
    made.save_as(path, enforce_file_format=True)
    choice = "+Wl" if "VOILUTSequence" in made else "+Wi"
    subprocess.run(["dcmj2pnm", "+opn", "16", choice, "1", path, out], check=True)
    magic, *lines = out.read_text().splitlines()
    assert magic == "P2"
    words = " ".join(line for line in lines if not line.startswith("#")).split()
    columns, rows, top, *levels = map(int, words)
    assert (columns, rows, top) == (made.Columns, made.Rows, 65535)
    return np.array(levels, np.uint16).reshape(rows, columns)


def stored(name: str) -> Array:
    """Returns a golden picture, 0 to 65535, (rows, columns)."""
    data = (HERE / f"{name}.pgm").read_bytes()
    header = _header(ROWS, COLUMNS)
    assert data.startswith(header)
    return np.frombuffer(data[len(header) :], ">u2").reshape(ROWS, COLUMNS)


def _header(rows: int, columns: int) -> bytes:
    return f"P5\n{columns} {rows}\n65535\n".encode()


def main() -> None:
    """Writes every picture anew."""
    if shutil.which("dcmj2pnm") is None:
        raise SystemExit("dcmj2pnm is not here; install DCMTK")
    with tempfile.TemporaryDirectory() as folder:
        for name, made in CASES.items():
            shown = rendered(made, Path(folder))
            data = _header(*shown.shape) + shown.astype(">u2").tobytes()
            (HERE / f"{name}.pgm").write_bytes(data)


if __name__ == "__main__":
    main()
