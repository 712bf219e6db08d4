"""Does ``prepare.py`` of a bundle see a film as medidd does?

Every film that medidd reads in a folder: with every choice of display values and crop at the first
size, as medidd reads by default at the others, and copies of it as pictures. The difference is of
display values, in levels of 4095. If only one of the two refuses a film, it is infinite, and the
script ends with 1.

    python benchmarks/preparation.py --films FOLDER
"""

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from medidd.dicom.header.header import read_film
from medidd.dicom.pixels.film import Shown, decoded
from medidd.dicom.reading import CROPS, VOIS, Reading
from medidd.dicom.source import Source
from medidd.dicom.stored.decoding import stored_values
from pipelines.bundle.preparation import contract

LEVELS = 4095
TEMPLATES = Path(__file__).parents[1] / "pipelines" / "reports" / "templates"
SCALE = {"mean": 0.5, "std": 0.25, "levels": 255}


def loaded() -> Any:
    """Returns ``prepare.py``, loaded from its own folder as a recipient loads it."""
    sys.path.insert(0, str(TEMPLATES))
    import prepare

    return prepare


def seen(prepare: Any, path: Path, size: int, reading: Reading) -> np.ndarray | None:
    """Returns the display values that a recipient gets, None if the film is refused."""
    how = contract({"reading": reading.to_json(), "normalization": SCALE}, (1, 1, size, size))
    try:
        tensor = prepare.prepared(path, json.loads(json.dumps(how)))[0]
        return tensor.numpy() * SCALE["std"] + SCALE["mean"]
    except prepare.Refused:
        return None


def differences(
    prepare: Any, path: Path, ways: Iterable[tuple[int, Reading]]
) -> Iterator[np.ndarray]:
    """Yields the differences of a film, (size, size); infinite if only one side refuses it."""
    for size, reading in ways:
        own, theirs = decoded(Source(path), size, reading), seen(prepare, path, size, reading)
        if isinstance(own, Shown) and theirs is not None:
            yield LEVELS * np.abs(own.levels / 65535 - theirs)
        elif isinstance(own, Shown) or theirs is not None:
            yield np.full((1, 1), np.inf)
        else:
            return


def copies(path: Path, folder: Path) -> Iterator[Path]:
    """Yields copies of a film's stored values as pictures of 16 and 8 bits."""
    stored = stored_values(read_film(Source(path)))
    spread = (stored - float(stored.min())) / (float(stored.max()) - float(stored.min()))
    deep = np.round(65535 * spread).astype(np.uint16)
    flat = np.round(255 * spread).astype(np.uint8)
    for name, pixels in (("16.png", deep), ("8.png", flat), ("16.tif", deep), ("8.jpg", flat)):
        Image.fromarray(pixels).save(folder / name)
        yield folder / name


def row(name: str, found: list[np.ndarray]) -> str:
    """Returns a row of the table."""
    every = np.concatenate([one.ravel() for one in found])
    return f"| {name} | {len(found)} | {every.max():.3f} | {every.mean():.3f} |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 17, 224, 512])
    options = parser.parse_args()
    logging.disable()
    prepare = loaded()
    first, *others = options.sizes
    plain = Reading(burned_in="keep")
    ways = [(first, replace(plain, voi=voi, crop=crop)) for voi, crop in product(VOIS, CROPS)]
    ways += [(size, plain) for size in others]
    # A picture has neither window nor shutter.
    pictures = [
        (first, replace(plain, files="pictures", voi=voi, crop=crop))
        for voi, crop in (("percentile", "auto"), ("none", "none"))
    ]
    of_copies: dict[str, list[np.ndarray]] = {}
    every: list[np.ndarray] = []
    print("| film | ways | greatest | mean |\n|---|---|---|---|")  # noqa: T201
    for path in sorted(one for one in options.films.rglob("*") if one.is_file()):
        if path.suffix == ".png":
            continue  # a recipient's picture is read, one in the sender's folder of DICOM is not
        found = list(differences(prepare, path, ways))
        if not found:
            continue
        every += found
        print(row(path.relative_to(options.films).as_posix(), found), flush=True)  # noqa: T201
        with tempfile.TemporaryDirectory() as folder:
            for copy in copies(path, Path(folder)):
                of_copies.setdefault(copy.name, []).extend(differences(prepare, copy, pictures))
    print(row("all films", every))  # noqa: T201
    for name, found in of_copies.items():
        print(row(f"copies as {name}", found), flush=True)  # noqa: T201
    if not all(np.isfinite(one).all() for found in (every, *of_copies.values()) for one in found):
        sys.exit("one of the two refuses a film that the other reads")


if __name__ == "__main__":
    main()
