"""Whether a recipient's films look like the distilled ones.

A bundle has a few images and labels, and nothing else about the sender's films: more would leak, or
cost budget. So all is measured against these images (``coarse.py``). Of each film, and of the mean
of all films, it is measured

- *layout*: one minus the correlation with the mixture of class means that fits best. Brightness and
  contrast do not change it.
- *turn*: by how much this falls if the film is turned by right angles or mirrored.
- *brightness*: how far the mean intensity lies outside those of the classes' means.
- *contrast*: the logarithm of the deviation of the cells over that of the classes' means.

Each is divided by a limit, which falls with the number of films, and the distance is the largest
quotient. The limits were chosen once, on films of Kermany (children), so that at most 2 % of single
films and 1 % of sets of films like the members' exceed 1. On films of NIH (adults) 6 to 8 % of the
single films did, and no set of 20 (benchmarks/README.md).

A guarantee adds noise to what a method learns. The fewer the patients, the nearer are images to
gray: noise takes up the range of display values, and one factor scales all there is. How many
patients there were cannot be known; the declared number may be far from it. So for releases with a
guarantee (``allowance``), brightness and contrast are compared with the class means as they are
and with up to ``NOISY`` times their contrast about gray. The least distance counts. This explains
no film with less contrast than the images, and no level on the other side of gray. It does explain
a narrow window, which is then missed.

Methods that begin with noise never learn how bright a film is, because their networks do not see
it. Such images are rough, and only layout and turn are judged by them. Images in which noise is all
there is cannot be compared with anything.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binom
from torch import Tensor

from pipelines.models.coarse import (
    CELLS,
    Floats,
    cells_of,
    class_means,
    fit,
    intensities,
    measures,
    telling,
    turned,
    undrawn,
)


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

NOISY = 1.5
"""How many times the contrast of the images right films may have if there is a guarantee: the
least of 1.5, 2 and 3 that keeps false alarms of sets below 1 % (benchmarks/README.md)."""

ODD, RARE = 0.15, 0.01
"""Largest share of right films beyond the limit in any group that was tried (NIH without a
finding), and how rarely chance may give more before it is no chance."""

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
        films: distance of each film, (n,). Of a hundred films like the members', up to
            fifteen exceed the limit.
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

    @property
    def many_odd(self) -> bool:
        """Whether more films are unlike than chance gives where it gives most."""
        count = int(self.odd.sum())
        return bool(binom.sf(count - 1, len(self.films), ODD) < RARE)

    def text(self) -> str:
        """Returns the warning, up to two lines; empty if all films are like the images."""
        if not self.layout:
            return (
                "the distilled images are too noisy to tell whether these films look like those "
                "they were made of; compare how both were read"
            )
        lines = []
        if self.unlike:
            beyond = ceil(100 * self.distance) / 100  # rounded up, so never equal to the limit
            lines.append(
                f"these films do not look like the distilled ones: {'; '.join(self.looks)} "
                f"(distance {beyond:.2f}, limit 1); results on them mean little"
            )
        if count := int(self.odd.sum()):
            usual = "of the right films up to 15 in 100 do not"
            lines.append(
                f"{count} of {len(self.films)} films, each by itself, do not look like the "
                f"distilled ones; {'more than chance gives' if self.many_odd else usual}"
            )
        return "\n".join(lines)


def allowance(guarantees: Iterable[object]) -> float:
    """Returns how many times the contrast of the images right films may have.

    Args:
        guarantees: of all bundles that the images are from; None for those without.
    """
    return 1.0 if all(one is None for one in guarantees) else NOISY


def shift(released: Tensor, labels: Tensor, films: Tensor, most: float = 1.0) -> Shift:
    """Compares films with the images of a release.

    Args:
        released: display values in [0, 1], (m, C, H, W).
        labels: their soft labels, (m, K).
        films: display values in [0, 1], (n, C, H, W), prepared as the release's films were.
        most: see ``allowance``; 1 for images without a guarantee.

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
    together = _Judged(cells.mean(0, keepdims=True), means, len(cells), intensity, most)
    each = _Judged(cells, means, 1, intensity, most)
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

    def __init__(
        self, cells: Floats, means: Floats, count: int, intensity: bool, most: float
    ) -> None:
        self._cells, self._means, self._count = cells, means, count
        found = measures(cells, means)
        of = {kind: _quotient({kind: found[kind]}, count) for kind in ("layout", "turn")}
        if intensity:
            each = [_quotient(intensities(cells, one), count) for one in undrawn(means, most)]
            of["intensity"] = np.min(each, axis=0)
        self._of = of
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
        fits = "turn" in beyond and any(map(self._is_laid_out, turned(film)))
        if "layout" in beyond and not fits:
            yield LAYOUT_WORDS
        if "intensity" in beyond:
            yield INTENSITY_WORDS

    def _is_laid_out(self, film: Floats) -> bool:
        return bool(1 - fit(film, self._means)[0] <= LIMITS[0].at(self._count))


def distances(
    cells: Floats, means: Floats, count: int, intensity: bool, most: float = 1.0
) -> Floats:
    """Returns the distances of means of ``count`` films, (n,); see ``measures`` and ``shift``."""
    return _Judged(cells, means, count, intensity, most).distance


def _quotient(found: dict[str, Floats], count: int) -> Floats:
    """Returns the largest quotient of measures and limits, (n,)."""
    parts = [
        limit.sign * found[limit.measure] / limit.at(count)
        for limit in LIMITS
        if limit.measure in found
    ]
    largest: Floats = np.max(parts, axis=0)
    return largest


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
