"""What makes films unlike the distilled ones, for ``shift.py``."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from medidd.dicom.pixels.pixels import RadiographReader

ZOO = {
    "NM_Kakadu44_SOTmarkerincons.dcm": "a hand",
    "RG2_J2KR.dcm": "a hip",
    "RG3_J2KR.dcm": "a leg",
    "CR-ModalitySequenceLUT.dcm": "teeth",
    "dx_dog.dcm": "a dog's chest",
    "RG1_UNCR.dcm": "an adult's chest (RG1)",
    "966_fixed.dcm": "an adult's chest (966)",
    "CR-MONO1-10-chest": "an adult's chest (CR-MONO1)",
}
"""Real radiographs of other hospitals by file of ``dicom-zoo/radiograph``."""


def zoomed(films: Tensor, by: float) -> Tensor:
    """Returns films enlarged about their centre, or reduced, with black around."""
    size = films.shape[-1]
    if by > 1:
        edge = round(size * (1 - 1 / by) / 2)
        inside = films[..., edge : size - edge, edge : size - edge]
        return F.interpolate(inside, size=(size, size), mode="bilinear", antialias=True)
    small = round(size * by)
    edge = (size - small) // 2
    reduced = F.interpolate(films, size=(small, small), mode="bilinear", antialias=True)
    return F.pad(reduced, (edge, size - small - edge) * 2)


def moved(films: Tensor) -> Tensor:
    """Returns films moved by 3 % of their side down and to the right."""
    by = max(round(films.shape[-1] / 32), 1)
    return F.pad(films, (by, 0, by, 0), mode="replicate")[..., :-by, :-by]


def equalised(films: Tensor) -> Tensor:
    """Returns each film with every intensity equally often."""
    flat = films.flatten(1)
    return (flat.argsort(1).argsort(1) / (flat.shape[1] - 1)).float().view_as(films)


Change = Callable[[Tensor], Tensor]

MILD: dict[str, Change] = {
    "held out": lambda x: x,
    "5 % brighter": lambda x: (1.05 * x).clamp(0, 1),
    "5 % darker": lambda x: 0.95 * x,
    "10 % more contrast": lambda x: (0.5 + 1.1 * (x - 0.5)).clamp(0, 1),
    "10 % less contrast": lambda x: 0.5 + 0.9 * (x - 0.5),
    "moved by 3 %, both ways": moved,
}

CHANGES: dict[str, Change] = {
    "inverted": lambda x: 1 - x,
    "gamma 0.5": lambda x: x**0.5,
    "gamma 0.67": lambda x: x**0.67,
    "gamma 1.5": lambda x: x**1.5,
    "gamma 2": lambda x: x**2,
    "window of half the width": lambda x: ((x - 0.25) / 0.5).clamp(0, 1),
    "window too high": lambda x: (x - 0.3).clamp(0, 1),
    "window of twice the width": lambda x: 0.25 + 0.5 * x,
    "unprocessed (exposure)": lambda x: torch.exp(-3 * x),
    "logarithm": lambda x: torch.log1p(20 * x) / math.log(21),
    "histogram equalised": equalised,
    "quarter turn": lambda x: x.rot90(1, (-2, -1)),
    "half turn": lambda x: x.rot90(2, (-2, -1)),
    "upside down": lambda x: x.flip(-2),
    "mirrored": lambda x: x.flip(-1),
    "enlarged by 1.5": lambda x: zoomed(x, 1.5),
    "reduced to 0.75": lambda x: zoomed(x, 0.75),
}


def pictures(shared: Path, size: int) -> dict[str, Tensor]:
    """Returns 500 digits and 500 pieces of clothing, blank films and noise."""
    found = {}
    for name in ("mnist", "fashion_mnist"):
        with np.load(shared / "bench" / f"{name}.npz") as held:
            pixels = torch.from_numpy(held["test_images"][:500]).float()[:, None] / 255
        found[name] = F.interpolate(pixels, size=(size, size), mode="bilinear", antialias=True)
    rng = torch.Generator().manual_seed(0)
    found["blank"] = torch.linspace(0.05, 0.95, 100)[:, None, None, None].expand(-1, 1, size, size)
    found["noise"] = torch.rand(100, 1, size, size, generator=rng)
    return found


def zoo(shared: Path, size: int) -> Iterator[tuple[str, Tensor]]:
    """Yields real radiographs of other hospitals by what they show, (1, 1, H, W)."""
    reader = RadiographReader(size)
    for name, shows in ZOO.items():
        pixels, _ = reader.get_data(reader.read(shared / "dicom-zoo/radiograph" / name))
        yield shows, torch.from_numpy(pixels)[None, None]
