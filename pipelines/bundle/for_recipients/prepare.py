"""Prepares films of your own as the films behind the images were; preparation.json says how.

    python prepare.py FOLDER --to films.safetensors

from prepare import films
tensor, names = films("folder")  # (n, 1, H, W), standardised as loader.py standardises

If preparation.json says that films are cut, the tensor holds all patches of each film in turn, and
names has the name of the film for each patch.

Reads DICOM, PNG, JPEG and TIFF. Needs numpy, pillow, torch and safetensors; for DICOM also pydicom,
and for compressed films what a refusal names. Text in the pixels is left as it is.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

import numpy as np
from display import Refused, averaged, display, square, trimmed
from PIL import Image, ImageOps

CONTRACT = Path(__file__).with_name("preparation.json")
PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MOST_PIXELS = 2**26


def contract(path=CONTRACT):
    """Returns preparation.json."""
    try:
        how = json.loads(Path(path).read_text())
    except (OSError, ValueError):
        raise Refused(f"{path}: missing or not JSON; take it from the bundle again") from None
    if how.get("version") != (2 if "patches" in how else 1):
        raise Refused(f"{path}: not of version 1 or 2; use the prepare.py that came with it")
    return how


def display_values(path, how):
    """Returns a film's display values from 0, black, to 1; Refused if it cannot be used.

    They are (H, W), or of a film that is cut its patches (patches, H, W).
    """
    if not Path(path).is_file():
        raise Refused("no file")
    with Path(path).open("rb") as file:
        start = file.read(132)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if start[128:] == b"DICM" or start[:2] in (b"\x02\x00", b"\x08\x00"):
            stored, header, hidden = _dicom(path, how)
        elif start.startswith(PICTURES):
            stored, header, hidden = *_picture(path, how), None
        else:
            raise Refused("neither DICOM nor PNG, JPEG or TIFF; unpack what is packed")
        picture = display(stored, header, how["display"], hidden)
        picture = trimmed(picture) if how["crop"] == "auto" else picture
        cut = how.get("patches")
        if cut is None:
            return square(picture, header, how["size"])
        return _patches(square(picture, header, cut["frame"]), cut, how["size"])


def prepared(path, how=None):
    """Returns a film as a standardised tensor (1, H, W), float32; Refused if it cannot be used.

    Of a film that is cut, it has the patches (patches, 1, H, W).
    """
    import torch

    return torch.from_numpy(standardized(path, contract() if how is None else how))


def standardized(path, how):
    """Returns what ``prepared`` does, as an array; Refused, with its name, if it cannot be used.

    Args:
        path: the film.
        how: preparation.json, as ``contract`` reads it.
    """
    try:
        pixels = display_values(path, how)
    except Refused as why:
        raise Refused(f"{path}: {why}") from None
    except Exception as fault:  # pydicom and decoders raise nearly every type
        raise Refused(f"{path}: cannot be read ({type(fault).__name__})") from None
    scale = how["normalization"]
    return ((pixels[..., None, :, :] - scale["mean"]) / scale["std"]).astype(np.float32)


def films(where, how=None):
    """Returns films, or their patches, (n, 1, H, W), each with the film's name.

    They are those of a folder or of a list of paths.

    What cannot be used is said on stderr, a line each. Refused if nothing can be used.
    """
    how = contract() if how is None else how
    root = Path(where) if isinstance(where, str | Path) else None
    if root and not root.exists():
        raise Refused(f"{root}: no such folder")
    inside = sorted(root.rglob("*")) if root and root.is_dir() else [root] if root else where
    found, names = [], []
    for path in (Path(one) for one in inside if not Path(one).is_dir()):
        try:
            one = standardized(path, how)
            found.append(one[None] if one.ndim == 3 else one)
            name = (path.relative_to(root) if root and path != root else path).as_posix()
            names += [name] * len(found[-1])
        except Refused as why:
            print(f"left out: {why}", file=sys.stderr)  # noqa: T201
    if not found:
        raise Refused(f"{root or 'the list'}: no film that can be used")
    import torch

    return torch.from_numpy(np.concatenate(found)), names


def _patches(framed, cut, size):
    """Returns the patches of a film that is framed, by row and then by column."""
    starts = range(0, cut["frame"] - cut["size"] + 1, cut["stride"])
    parts = (framed[top:, left:][: cut["size"], : cut["size"]] for top in starts for left in starts)
    return np.stack([averaged(part, size, size) for part in parts])


def _dicom(path, how):
    """Returns the open part of a DICOM film, its header, and what is hidden in it, or None."""
    try:
        import radiograph
    except ImportError:
        raise Refused("a DICOM file; pip install 'pydicom>=3'") from None
    stored, film = radiograph.read(path, how)
    rows, columns, hidden = slice(None), slice(None), None
    if how["crop"] == "shutter":
        rows, columns, hidden = radiograph.opening(film, stored.shape)
    return stored[rows, columns], film, hidden


def _picture(path, how):
    """Returns gray values (rows, columns), upright, and a header that may say MONOCHROME1."""
    if how["views"]:
        raise Refused(f"a picture names no view, and only {', '.join(how['views'])} may be used")
    try:
        # Opened by its name, a TIFF on its side is read with rows and columns exchanged.
        with (
            Path(path).open("rb") as file,
            Image.open(file, formats=("PNG", "JPEG", "TIFF")) as image,
        ):
            count = getattr(image, "n_frames", 1)
            if count > 1 and how["frames"] == "reject":
                raise Refused("more than one frame")
            if count > 1 and how["frames"] == "middle":
                image.seek(count // 2)
            if image.width * image.height > MOST_PIXELS:
                raise Refused("more than 2**26 pixels")
            several = image.mode in ("LA", "PA", "RGB", "RGBA", "RGBX", "RGBa", "La")
            cut = several and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
            if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
                raise Refused("a color picture")
            if cut or not (several or image.mode in ("L", "P") or image.mode.startswith("I;16")):
                raise Refused("not gray with 8 or 16 bits; save it so")
            # Pillow inverts a TIFF of 8 bits whose least value is white, but none of 16.
            white = image.mode.startswith("I;16") and getattr(image, "tag_v2", {}).get(0x0106) == 0
            image.load()
            upright = ImageOps.exif_transpose(image)
            pixels = np.asarray(upright.convert("RGB") if image.mode in ("P", "PA") else upright)
    except (Image.DecompressionBombError, OSError):
        raise Refused("the pixels cannot be decoded; fetch the file again") from None
    if pixels.ndim == 3:
        pixels = pixels[..., : 1 if pixels.shape[2] == 2 else 3]  # without transparency
        if (pixels != pixels[..., :1]).any():
            raise Refused("a color picture")
        pixels = pixels[..., 0]
    return pixels, {"PhotometricInterpretation": "MONOCHROME1"} if white else {}


def main():
    """Writes the films of a folder and their names into one file."""
    options = argparse.ArgumentParser(description="Prepare films for networks of train.py.")
    options.add_argument("folder", help="films: DICOM, PNG, JPEG, TIFF")
    options.add_argument("--to", default="films.safetensors", help="file for the tensor")
    given = options.parse_args()
    try:
        how = contract()
        tensor, names = films(given.folder, how)
        from safetensors.torch import save_file
        from torch import from_numpy

        tensors = {"films": tensor}
        if "patches" in how:  # the place among the names of the film of each patch
            names, of = np.unique(names, return_inverse=True)
            tensors["film"], names = from_numpy(of), names.tolist()
        save_file(tensors, given.to, {"names": json.dumps(names)})
    except (Refused, OSError) as why:
        sys.exit(str(why))


if __name__ == "__main__":
    main()
