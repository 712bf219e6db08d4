"""How clearly does an image name a person?

Everybody is a candidate, members and controls alike. An image that shows nobody is about as like
the most similar person as it is to the next one. An image made of a person's film is far more like
that person than anybody else. If two or three films were mixed, the step comes after the second or
third person. The images are looked at in three ways: as a whole, moved (see ``registration``), and
in parts.

How large a step is by chance is measured on strangers: films of the same people, each compared with
everybody but its own patient, who is also left out of the coordinates. The steps of the largest of
many values fall off exponentially (Renyi 1953), so the tail beyond the strangers is that of an
exponential, whose scale is estimated from their upper fifth. Its end hardly counts: two people of
a cohort may be one person, under two names.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from privacy.evidence import Evidence
from privacy.likeness.registration import Registered
from privacy.likeness.residual import Residual
from privacy.release import Films

STRANGERS = 200
"""Films that show what chance does. More make the tail surer, and take time."""
UPPER, MOST = 0.20, 0.02
"""The tail is fitted between these upper shares of the strangers."""
WHOLE = ((16, 2e-4), (12, 3e-3))
"""Pixels a side and ridge. A small ridge takes mixtures apart; few pixels see through noise."""
MIXED = 4
"""Films of a mixture that are looked for."""
PART, STEP, RIDGE = 1 / 4, 1 / 8, 1e-3
"""Side of a part and distance to the next, as shares of the image's side; their ridge."""
LARGEST_SIDE = 64


class Look(Protocol):
    """One way to compare images with films.

    Attributes:
        gaps: how many of the most similar people a step may follow.
    """

    gaps: int

    def likeness(self, images: Tensor, without: Tensor | None = None) -> Tensor:
        """Returns the likeness of images (m, C, H, W) to films, (m, n), from 0 to 1."""
        ...


class Part:
    """Looks at a square of the image; the whole image is one, too."""

    def __init__(
        self,
        films: Tensor,
        labels: Tensor,
        side: int,
        ridge: float,
        *,
        corner: tuple[int, int] = (0, 0),
        width: int | None = None,
        gaps: int = 1,
    ) -> None:
        """Learns films (n, C, H, W), shrunk to ``side``, in a square of ``width`` pixels."""
        self.gaps, self._side, self._corner, self._width = gaps, side, corner, width or side
        self._residual = Residual(self._cut(films), labels, ridge)

    def likeness(self, images: Tensor, without: Tensor | None = None) -> Tensor:
        """As in ``Look``."""
        return self._residual.likeness(self._cut(images), without)

    def _cut(self, images: Tensor) -> Tensor:
        (top, left), width = self._corner, self._width
        small = _shrunk(images, self._side)
        return small[..., top : top + width, left : left + width].flatten(1)


@dataclass(frozen=True, eq=False)
class Named:
    """Whom images name.

    Attributes:
        p: how often a stranger's film names somebody as clearly, (m,).
        who: the people named, as indices in ``everybody.ids``, a list for each image: one, or all
            of a mixture.
        look: the way of looking that named them, by image.
        strangers: films that the tail was fitted to.
    """

    p: Tensor
    who: list[list[int]]
    look: list[str]
    strangers: int


def wholes(films: Films) -> list[Look]:
    """Returns the ways of looking at an image as a whole."""
    x, labels = films.images, films.labels
    return [Part(x, labels, side, ridge, gaps=MIXED) for side, ridge in WHOLE]


def looks(films: Films) -> dict[str, list[Look]]:
    """Returns the ways of looking, by name."""
    x, labels = films.images, films.labels
    side = max(min(x.shape[-1], LARGEST_SIDE), 16)
    width, step = round(PART * side), round(STEP * side)
    corners, small = range(0, side - width + 1, step), _shrunk(x, side)
    return {
        "whole": wholes(films),
        "moved": [Registered(x, labels)],
        "parts": [
            Part(small, labels, side, RIDGE, corner=corner, width=width)
            for corner in product(corners, corners)
        ],
    }


def _shrunk(images: Tensor, side: int) -> Tensor:
    """Returns images (n, C, H, W) averaged to ``side`` pixels a side."""
    if images.shape[-2:] == (side, side):
        return images.float()
    return F.adaptive_avg_pool2d(images.float(), side)


@lru_cache(maxsize=1)
def named(evidence: Evidence) -> Named:
    """Returns whom the released images name; kept, because several audits ask."""
    return names(evidence.release.images, evidence.members, evidence.controls)


@lru_cache(maxsize=1)
def apart(evidence: Evidence) -> Tensor:
    """Returns how far released images lie from everybody, as a whole, (m, looks, P).

    The distance is that of vectors of length 1 in whitened coordinates.
    """
    everybody = evidence.everybody
    found = [
        _of_patients(look.likeness(evidence.release.images), everybody)
        for look in wholes(everybody)
    ]
    return (2 - 2 * torch.stack(found, 1)).clamp_min(0).sqrt()


def names(images: Tensor, members: Films, controls: Films) -> Named:
    """Returns whom images (m, C, H, W) name among members and controls."""
    known = chance(members, controls)
    p = torch.ones(len(images), dtype=torch.float64)
    who: list[list[int]] = [[] for _ in images]
    way = [""] * len(images)
    for name, several in known.looks.items():
        clear, whom = _clearest(several, images, known.everybody)
        for i, one in enumerate(rarity(known.largest[name], clear).tolist()):
            corrected = min(1.0, len(known.looks) * one)
            if corrected < p[i] or not who[i]:
                p[i], who[i], way[i] = corrected, whom[i], name
    return Named(p, who, way, known.strangers)


@dataclass(frozen=True, eq=False)
class Usual:
    """One way of looking, and how large the steps of strangers are in it.

    Attributes:
        look: the way of looking.
        start: where the tail of the steps begins, (gaps,).
        scale: how slowly it falls off, (gaps,).
    """

    look: Look
    start: Tensor
    scale: Tensor


@dataclass(frozen=True, eq=False)
class Chance:
    """What chance does among these people.

    Attributes:
        everybody: films of members and controls.
        looks: ways of looking, by name.
        largest: the largest step of each stranger over these ways, by name, (n,).
        strangers: how many there are.
    """

    everybody: Films
    looks: dict[str, list[Usual]]
    largest: dict[str, Tensor]
    strangers: int


@lru_cache(maxsize=1)
def chance(members: Films, controls: Films) -> Chance:
    """Returns what chance does; kept, because it does not depend on the release.

    Steps are in units of the strangers' own, look by look: what is the same in many films, such as
    the black border of a part, makes large steps by chance.
    """
    everybody = members.beside(controls)
    chosen = strangers(everybody)
    films, own = everybody.images[everybody.first[chosen]], films_of(everybody, chosen)
    ways: dict[str, list[Usual]] = {}
    largest: dict[str, Tensor] = {}
    for name, several in looks(everybody).items():
        found = [_ranked(look.likeness(films, own), look.gaps, everybody)[0] for look in several]
        starts, scales = zip(*(_fit(steps.T) for steps in found), strict=True)
        # Of many ways of looking, some have a small scale only by chance.
        usual = torch.stack(scales).median(0).values
        ways[name] = [
            Usual(look, start, scale.maximum(usual))
            for look, start, scale in zip(several, starts, scales, strict=True)
        ]
        largest[name] = torch.stack(
            [
                ((steps - one.start) / one.scale).amax(1)
                for steps, one in zip(found, ways[name], strict=True)
            ]
        ).amax(0)
    return Chance(everybody, ways, largest, len(chosen))


def strangers(everybody: Films) -> Tensor:
    """Returns the people whose film shows what chance does, without regard to membership."""
    rng = torch.Generator().manual_seed(0)  # the same for every release of these people
    return torch.randperm(len(everybody.ids), generator=rng)[:STRANGERS]


def films_of(everybody: Films, chosen: Tensor) -> Tensor:
    """Returns the rows of all films of each chosen person, (m, k), filled up with -1."""
    rows = [(everybody.patient == person).nonzero().flatten() for person in chosen]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)


def rarity(by_chance: Tensor, values: Tensor) -> Tensor:
    """Returns how often chance gives as large a value, (m,), from strangers' values (n,)."""
    start, scale = (one.squeeze(0) for one in _fit(by_chance.unsqueeze(0)))
    # One more value of an exponential whose scale was estimated from k values follows Lomax's law.
    k = UPPER * len(by_chance)
    far = UPPER * (1 + (values - start).clamp_min(0) / scale / k) ** -k
    inside = (by_chance.unsqueeze(0) >= values.unsqueeze(1)).double().mean(1)
    return torch.where(values > start, far, inside).clamp(max=1.0)


def _clearest(
    several: Sequence[Usual], images: Tensor, everybody: Films
) -> tuple[Tensor, list[list[int]]]:
    """Returns the largest step of each image over ways of looking, and whom it names."""
    clear = torch.full((len(images),), -math.inf, dtype=torch.float64)
    whom: list[list[int]] = [[] for _ in images]
    for usual in several:
        steps, order = _ranked(usual.look.likeness(images), usual.look.gaps, everybody)
        largest, at = ((steps - usual.start) / usual.scale).max(1)
        for i in (largest > clear).nonzero().flatten().tolist():
            whom[i] = order[i, : int(at[i]) + 1].tolist()
        clear = clear.maximum(largest)
    return clear, whom


def _ranked(likeness: Tensor, gaps: int, everybody: Films) -> tuple[Tensor, Tensor]:
    """Returns the steps after the most similar people, (m, gaps), and these people, in order."""
    of_patient = _of_patients(likeness, everybody)
    top = of_patient.topk(min(gaps + 1, of_patient.shape[1]))
    return (top.values[:, :-1] - top.values[:, 1:]).double(), top.indices


def _of_patients(likeness: Tensor, everybody: Films) -> Tensor:
    """Returns the likeness to people, (m, P), that of their most similar film, of (m, n)."""
    none = likeness.new_zeros(len(likeness), len(everybody.ids))
    return none.scatter_reduce(1, everybody.patient.expand(len(none), -1), likeness, "amax")


def _fit(values: Tensor) -> tuple[Tensor, Tensor]:
    """Returns start and scale of the exponential tail of each row of values (rows, n)."""
    shares = torch.tensor([1 - UPPER, 1 - MOST], dtype=torch.float64, device=values.device)
    start, far = torch.quantile(values, shares, dim=1)
    return start, ((far - start) / math.log(UPPER / MOST)).clamp_min(1e-9)
