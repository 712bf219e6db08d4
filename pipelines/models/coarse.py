"""What of films and of distilled images can be compared: 8 x 8 cells.

Distilled images are no films. What survives in them is coarse: each cell is the mean of a part of
the image. Films are compared with mixtures of the classes' mean images, for nobody knows how often
each class occurs among them.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import Tensor
from torch.nn import functional as F

Floats = NDArray[np.float64]

CELLS = 8
"""Rows and columns to which images are averaged."""

GRAY = 0.5
"""Display value towards which images are drawn: the 0 of ``medidd.data.NORMALIZATION``."""

STEPS = 16
"""Contrasts that are tried where noise may have taken some."""

ROUGH = 0.4
"""Variance within cells over that of the cells above which images do not tell intensities."""

CLEAR = 7.0
"""Variance of the cells of the classes' means that tells a layout, in units of what noise gives."""


def measures(cells: Floats, means: Floats) -> dict[str, Floats]:
    """Returns what is measured of each film, before it is divided by a limit, (n,) each.

    Args:
        cells: of the films, (n, 8, 8).
        means: cells of the classes' mean images, (K, 8, 8).
    """
    fits = np.stack([fit(one, means) for one in turned(cells)])
    found = {"layout": 1 - fits[0], "turn": fits[1:].max(0) - fits[0]}
    return found | intensities(cells, means)


def intensities(cells: Floats, means: Floats) -> dict[str, Floats]:
    """Returns how bright each film is, and how much contrast it has, beside the means, (n,) each.

    Args:
        cells: of the films, (n, 8, 8).
        means: cells of the classes' mean images, (K, 8, 8).
    """
    level, levels = cells.mean((1, 2)), means.mean((1, 2))
    deviation, deviations = cells.std((1, 2)).clip(1e-6), means.std((1, 2)).clip(1e-6)
    nearest = deviation.clip(deviations.min(), deviations.max())
    return {
        "brightness": np.abs(level - level.clip(levels.min(), levels.max())),
        "contrast": np.log(deviation / nearest),
    }


def undrawn(means: Floats, most: float) -> Iterator[Floats]:
    """Yields class means (K, 8, 8) with up to ``most`` times their contrast about gray.

    The first are as given, and are all there is if ``most`` is 1.
    """
    for by in np.geomspace(1, most, STEPS if most > 1 else 1):
        yield GRAY + by * (means - GRAY)


def cells_of(images: Tensor) -> Floats:
    """Returns the means of 8 x 8 cells, (n, 8, 8), of the mean over channels."""
    gray = images.detach().cpu().double().mean(1, keepdim=True)
    return F.adaptive_avg_pool2d(gray, CELLS)[:, 0].numpy()


def class_means(released: Tensor, labels: Tensor) -> Floats:
    """Returns the cells of each class's mean image, weighted by the labels, (K, 8, 8)."""
    weights = labels.detach().cpu().double().clamp(min=0).numpy()
    weights = weights[:, weights.sum(0) > 0]
    found: Floats = np.tensordot((weights / weights.sum(0)).T, cells_of(released), axes=1)
    return found


def telling(released: Tensor, means: Floats) -> tuple[bool, bool]:
    """Returns whether the images tell a layout, and whether they tell intensities."""
    gray = released.detach().cpu().double().mean(1, keepdim=True)
    size = gray.shape[2:]
    coarse = F.adaptive_avg_pool2d(gray, CELLS)
    fine = float((gray - F.interpolate(coarse, size=size, mode="nearest")).square().mean())
    by_noise = fine * CELLS**2 / (size[0] * size[1]) * len(means) / len(released)
    clear = float(means.var((1, 2)).mean()) > CLEAR * by_noise
    return clear, clear and fine <= ROUGH * float(coarse.var((2, 3), unbiased=False).mean())


def _centred(cells: Floats) -> Floats:
    flat = cells.reshape(len(cells), -1)
    found: Floats = flat - flat.mean(1, keepdims=True)
    return found


def fit(cells: Floats, means: Floats) -> Floats:
    """Returns the largest correlation of each film with a mixture of the means, (n,).

    The film's projection on the cone of the means is the mixture; no mixture is nearer in angle.
    """
    basis = _centred(means)
    units = basis / np.maximum(np.linalg.norm(basis, axis=1, keepdims=True), 1e-12)
    found = np.zeros(len(cells))
    for i, film in enumerate(_centred(cells)):
        if (length := float(np.linalg.norm(film))) > 1e-12:
            weights, _ = nnls(units.T, film / length)
            inside = float(np.linalg.norm(weights @ units))
            found[i] = inside if inside > 0 else float((units @ film).max()) / length
    return found


def turned(cells: Floats) -> Iterator[Floats]:
    """Yields the films as they are, then in the seven other positions of a square."""
    for quarters in range(4):
        one = np.rot90(cells, quarters, (1, 2))
        yield one
        yield one[:, :, ::-1]
