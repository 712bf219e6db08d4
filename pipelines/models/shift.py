"""Whether a recipient's films look like the distilled ones.

A bundle has a few images and labels, and nothing else about the sender's films: more would leak, or
cost budget. So all is measured against these images. Distilled images are no films. What survives
in them is coarse: all images and films are averaged to 8 x 8 cells, and films are compared with
mixtures of the classes' mean images, for nobody knows how often each class occurs. Of each film,
and of the mean of all films, it is measured

- *layout*: one minus the correlation with the mixture that fits best. Brightness and contrast do
  not change it.
- *turn*: by how much this falls if the film is turned by right angles or mirrored.
- *brightness*: how far the mean intensity lies outside those of the classes' means.
- *contrast*: the logarithm of the deviation of the cells over that of the classes' means.

Each is divided by a limit, which falls with the number of films, and the distance is the largest
quotient. The limits were chosen once, on public films (benchmarks/shift.py): at most 2 % of single
films and 1 % of sets of films like the members' are to exceed 1.

Methods that begin with noise never learn how bright a film is, because their networks do not see
it. Such images are rough, and only layout and turn are judged by them. Images in which noise is all
there is cannot be compared with anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import Tensor
from torch.nn import functional as F

Floats = NDArray[np.float64]

CELLS = 8
"""Rows and columns to which images are averaged."""


@dataclass(frozen=True)
class Limit:
    """How large a measure may be, by the number n of films whose mean it is of.

    Attributes:
        measure: its name.
        always: what images and hospitals differ by, however many films there are.
        film: what a single film differs by on top of it.
        power: the latter falls with n to the minus this power.
        sign: -1 if the measure may not be far below 0.
    """

    measure: str
    always: float
    film: float
    power: float
    sign: int = 1

    def at(self, count: int) -> float:
        """Returns the limit for ``count`` films."""
        return float(self.always + self.film * count**-self.power)


LIMITS = (
    Limit("layout", 0.11, 0.358, 1),
    Limit("turn", 0.005, 0.087, 0.5),
    Limit("brightness", 0.05, 0.181, 0.5),
    Limit("contrast", 0.476, 0.576, 0.5),
    Limit("contrast", 0.1, 0.414, 0.5, sign=-1),
)
"""As chosen by ``python benchmarks/shift.py --part choose``."""

ROUGH = 0.4
"""Variance within cells over that of the cells above which images do not tell intensities."""

CLEAR = 7.0
"""Variance of the cells of the classes' means that tells a layout, in units of what noise gives."""

BLANK = 0.005
"""Deviation of the cells of a film, in display values, below which nothing is on it."""

LAYOUT_WORDS = "another body part, framing or group of patients"
TURN_WORDS = "turned, mirrored or another view"
INVERTED_WORDS = "inverted"
BLANK_WORDS = "blank"
INTENSITY_WORDS = "another intensity law (window, gamma or unprocessed pixels)"


@dataclass(frozen=True)
class Shift:
    """How unlike films are to the images of a release. 1 is the limit of every distance.

    Attributes:
        distance: of the films together; NaN if the images tell nothing.
        looks: what the films together look like, for people; empty up to the limit.
        films: distance of each film, (n,). Of a hundred films like the members', about two exceed
            the limit.
        film_looks: what each film looks like; empty up to the limit.
        layout: whether the images tell how a film is laid out.
        intensity: whether they tell how bright films are and how much contrast they have.
    """

    distance: float
    looks: tuple[str, ...]
    films: Floats
    film_looks: tuple[tuple[str, ...], ...]
    layout: bool
    intensity: bool

    @property
    def unlike(self) -> bool:
        """Whether the films together are unlike the images."""
        return self.distance > 1

    @property
    def odd(self) -> NDArray[np.bool_]:
        """Which films are unlike the images, (n,)."""
        return self.films > 1


def shift(released: Tensor, labels: Tensor, films: Tensor) -> Shift:
    """Compares films with the images of a release.

    Args:
        released: display values in [0, 1], (m, C, H, W).
        labels: their soft labels, (m, K).
        films: display values in [0, 1], (n, C, H, W), prepared as the release's films were.

    Raises:
        ValueError: shapes do not fit each other, or values are no display values.
    """
    _check(released, labels, films)
    means = class_means(released, labels)
    layout, intensity = telling(released, means)
    cells = cells_of(films)
    if not layout:
        nothing = np.full(len(cells), np.nan)
        return Shift(float("nan"), (), nothing, ((),) * len(cells), False, False)
    together = _Judged(cells.mean(0, keepdims=True), means, len(cells), intensity)
    each = _Judged(cells, means, 1, intensity)
    return Shift(
        float(together.distance[0]),
        next(together.looks()),
        each.distance,
        tuple(each.looks()),
        layout,
        intensity,
    )


class _Judged:
    """Distances of single films, or of means of ``count`` films, cells (n, 8, 8)."""

    def __init__(self, cells: Floats, means: Floats, count: int, intensity: bool) -> None:
        self._cells, self._means, self._count = cells, means, count
        found = measures(cells, means)
        of: dict[str, list[Floats]] = {"layout": [], "turn": [], "intensity": []}
        for limit in LIMITS:
            kind = limit.measure if limit.measure in of else "intensity"
            if intensity or kind != "intensity":
                of[kind].append(limit.sign * found[limit.measure] / limit.at(count))
        self._of = {kind: np.max(parts, axis=0) for kind, parts in of.items() if parts}
        self.distance: Floats = np.max([*self._of.values()], axis=0)

    def looks(self) -> Iterator[tuple[str, ...]]:
        """Yields what each looks like."""
        for i, cells in enumerate(self._cells):
            beyond = {kind for kind, distance in self._of.items() if distance[i] > 1}
            blank = beyond and cells.std() < BLANK
            yield (BLANK_WORDS,) if blank else tuple(self._words(cells[None], beyond))

    def _words(self, film: Floats, beyond: set[str]) -> Iterator[str]:
        if "layout" in beyond and self._is_laid_out(1 - film):
            yield INVERTED_WORDS
            return
        if "turn" in beyond:
            yield TURN_WORDS
        turned = "turn" in beyond and any(map(self._is_laid_out, _turned(film)))
        if "layout" in beyond and not turned:
            yield LAYOUT_WORDS
        if "intensity" in beyond:
            yield INTENSITY_WORDS

    def _is_laid_out(self, film: Floats) -> bool:
        return bool(1 - _fit(film, self._means)[0] <= LIMITS[0].at(self._count))


def distances(cells: Floats, means: Floats, count: int, intensity: bool) -> Floats:
    """Returns the distances of means of ``count`` films, (n,); see ``measures``."""
    return _Judged(cells, means, count, intensity).distance


def measures(cells: Floats, means: Floats) -> dict[str, Floats]:
    """Returns what is measured of each film, before it is divided by a limit, (n,) each.

    Args:
        cells: of the films, (n, 8, 8).
        means: cells of the classes' mean images, (K, 8, 8).
    """
    fits = np.stack([_fit(turned, means) for turned in _turned(cells)])
    level, levels = cells.mean((1, 2)), means.mean((1, 2))
    deviation, deviations = cells.std((1, 2)).clip(1e-6), means.std((1, 2)).clip(1e-6)
    nearest = deviation.clip(deviations.min(), deviations.max())
    return {
        "layout": 1 - fits[0],
        "turn": fits[1:].max(0) - fits[0],
        "brightness": np.abs(level - level.clip(levels.min(), levels.max())),
        "contrast": np.log(deviation / nearest),
    }


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


def _fit(cells: Floats, means: Floats) -> Floats:
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


def _turned(cells: Floats) -> Iterator[Floats]:
    """Yields the films as they are, then in the seven other positions of a square."""
    for quarters in range(4):
        turned = np.rot90(cells, quarters, (1, 2))
        yield turned
        yield turned[:, :, ::-1]


def _check(released: Tensor, labels: Tensor, films: Tensor) -> None:
    for name, images in (("the release", released), ("the films", films)):
        if images.ndim != 4 or not len(images) or min(images.shape[2:]) < 2 * CELLS:
            raise ValueError(
                f"{name}: expected (n, C, H, W) of at least {2 * CELLS} px, got shape "
                f"{tuple(images.shape)}"
            )
        if not bool(((images >= 0) & (images <= 1)).all()):
            raise ValueError(f"{name}: expected display values in [0, 1]; undo the normalisation")
    if released.shape[1:] != films.shape[1:]:
        raise ValueError(
            f"the films have shape {tuple(films.shape[1:])} and the release "
            f"{tuple(released.shape[1:])}; read the films with the release's size"
        )
    if labels.ndim != 2 or len(labels) != len(released) or not bool((labels > 0).any()):
        raise ValueError(
            f"the labels: expected (m, K) for {len(released)} images, got shape "
            f"{tuple(labels.shape)}"
        )
    if not torch.isfinite(labels).all():
        raise ValueError("the labels: not finite; read the release again")
