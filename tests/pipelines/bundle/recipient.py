"""A recipient: a folder with what a bundle holds to prepare films, and nothing of medidd."""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import pipelines.bundle
from medidd.data import NORMALIZATION
from medidd.dicom.pixels.film import Shown, decoded
from medidd.dicom.reading import Reading
from medidd.dicom.source import Source
from pipelines.bundle.preparation import contract, preparation

PROGRAMS = Path(pipelines.bundle.__file__).parent / "for_recipients"
CODE = ("prepare.py", "radiograph.py", "display.py")
LEVEL = 1 / 4095
"""To which display values must agree; they do to a tenth of it, half a step of the cohort's."""
SCALE = {"mean": NORMALIZATION.mean, "std": NORMALIZATION.std, "levels": 255}

ALONE = """
import runpy, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError("not installed here: " + name, name=name)

sys.meta_path.insert(0, Missing())
sys.path.insert(0, {folder!r})
sys.argv = ["prepare.py", *sys.argv[1:]]
runpy.run_path({folder!r} + "/prepare.py", run_name="__main__")
"""
"""Runs prepare.py where some packages are not installed."""

OWN = ("medidd", "pipelines", "privacy")


def facts(reading: Reading) -> dict[str, Any]:
    """What a release says of itself, as far as it matters here."""
    said = {"reading": reading.to_json(), "normalization": SCALE}
    return said | ({"film classes": ["ill", "well"]} if reading.patches else {})


def how(reading: Reading, size: int) -> Any:
    """The contract, as a recipient reads it."""
    return json.loads(json.dumps(contract(facts(reading), (2, 1, size, size))))


def unpacked(folder: Path, reading: Reading, size: int) -> Path:
    """Puts the files of a bundle into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in CODE:
        shutil.copy(PROGRAMS / name, folder)
    (folder / "preparation.json").write_bytes(preparation(facts(reading), (2, 1, size, size)))
    return folder


def command(folder: Path, *arguments: object, missing: tuple[str, ...] = ()) -> list[str]:
    """The command line that runs prepare.py alone, in an interpreter that ignores ours."""
    code = ALONE.format(missing=(*OWN, *missing), folder=str(folder))
    return [sys.executable, "-I", "-c", code, *map(str, arguments)]


@contextmanager
def imported() -> Iterator[Any]:
    """Yields prepare.py, imported as a recipient imports it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PROGRAMS)
        import prepare

        yield prepare
    for name in CODE:
        sys.modules.pop(name.removesuffix(".py"), None)


def theirs(prepare: Any, path: Path, reading: Reading, size: int) -> npt.NDArray[Any]:
    """Returns the display values that a recipient gets."""
    found: torch.Tensor = prepare.prepared(path, how(reading, size))
    cut = () if reading.patches is None else (reading.patches.per_film,)
    assert (found.shape, found.dtype) == ((*cut, 1, size, size), torch.float32)
    return found.numpy()[..., 0, :, :] * SCALE["std"] + SCALE["mean"]


def require_equal(prepare: Any, path: Path, reading: Reading, size: int) -> None:
    """Checks that a recipient gets what medidd makes of a film, or that both refuse it."""
    own = decoded(Source(path), size, reading)
    if not isinstance(own, Shown) and reading != Reading():
        with pytest.raises(prepare.Refused):
            theirs(prepare, path, reading, size)
        return
    assert isinstance(own, Shown), own
    different = np.abs(own.levels / 65535 - theirs(prepare, path, reading, size))
    assert different.max() < LEVEL / 10, (reading, size, different.max() / LEVEL)
