"""A6: is a released image a mixture of a few patients' films?

The attacker holds films of many people and asks which of them, added together, give a released
image. Each image is written as a sum of members' films with weights that are not negative (Lawson
& Hanson 1974). Films and images are coarse, low-passed and standardised, so that contrast, noise
and fine detail do not matter. Each film has its own weight, because the mean of two films is no
patient's film and hides that one of them was copied. A patient's share is the weight of all the
patient's films together. An image that fits well and takes more than half of its weight from one
patient shows this patient, unless strangers' films do the same. The audit does not undo mirroring
and shifts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import Generator, Tensor
from torch.nn import functional as F

from privacy.attacks.views import blur, standardise
from privacy.evidence import Evidence
from privacy.finding import Finding, Verdict
from privacy.policy import Policy

Array = NDArray[np.float64]

SIDE = 24
"""Pixels per side. At 16, strangers' films take larger shares; 32 brings no gain."""
FITS = 0.5
"""Least share of an image's variance that the mixture must explain. For noise, one patient's share
can reach 1, because few films happen to resemble it, but the mixture explains less than a
quarter."""
LARGEST = 0.5
"""With a larger share, an image is one patient's image."""
RARE = 0.01
"""Share of strangers' films that may exceed the limit. It is smaller if many images are released,
so that at most one of twenty releases without a leak fails."""
BATCH = 64
"""Films that are added at once. Of thousands of films, few get any weight."""
SLOPE = 1e-6
"""Weights are final when no other film would lower the squared error faster than this, as a share
of the image's variance."""
TURNS = 100
"""Most turns of the solver per film; of 5,760 overlapping patches, images took between 3 and 30."""
STRANGERS = 150
"""Films that show what chance gives. Where controls are fewer, films of members make up for them,
each unmixed without its own patient: of 50 strangers alone, the largest share is exceeded by chance
in every eighth release of six images."""
SHOWN = 10


@dataclass(frozen=True, eq=False)
class Shares:
    """Which patients' films images are made of.

    Attributes:
        explained: R2 of each image, (m,).
        top: its largest shares, descending, (m, at most 10); whose they are is not kept.
        patients: 1 / sum of squared shares, the effective number of patients, (m,).
    """

    explained: Tensor
    top: Tensor
    patients: Tensor


def unmixing(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:  # noqa: ARG001
    """Unmixes every released image, and films of strangers to see what chance gives."""
    released, strangers = shares(evidence), by_chance(evidence)
    largest = _where_it_fits(released)
    usual = _rarely_exceeded(_where_it_fits(strangers), min(RARE, 0.05 / len(largest)))
    limit = max(LARGEST, usual)
    shown = largest > limit
    value = float(largest.max())
    details: dict[str, Any] = {
        "images of one patient": shown.nonzero().flatten().tolist(),
        "explained": _rounded(released.explained),
        "largest share": _rounded(released.top[:, 0]),
        "effective patients": _rounded(released.patients),
        "largest share of strangers": round(usual, 3),
    }
    if shown.any():
        verdict = Verdict.FAIL
        text = (
            f"{int(shown.sum())} of {len(shown)} released images are mostly one patient's: up to "
            f"{value:.0%} of an image comes from one patient's films (limit {limit:.0%})."
        )
    else:
        verdict = Verdict.PASS
        text = (
            f"No released image is mostly one patient's: at most {value:.0%} of an image comes "
            f"from one patient's films (limit {limit:.0%}). Mirrored mixtures are not looked for."
        )
    return Finding.exact(
        audit="A6",
        name="Mixtures of few patients",
        verdict=verdict,
        value=value,
        limit=limit,
        text=text,
        details=details,
    )


@lru_cache(maxsize=1)
def shares(evidence: Evidence) -> Shares:
    """Returns the shares of the released images; they are kept for the report."""
    return _unmixed(evidence.release.images, evidence)


def weights(films: Array, image: Array) -> Array:
    """Returns the w >= 0 that minimises |films w - image|, (n,).

    Solves for a few films at a time, and adds those that would lower the error fastest, until none
    would. This gives the solution for all films in a small part of the time.

    Args:
        films: one column per film, (pixels, n).
        image: (pixels,).
    """
    found, held = np.zeros(films.shape[1]), np.zeros(0, dtype=int)
    enough = SLOPE * float(image @ image)
    while True:
        slope = films.T @ (image - films[:, held] @ found[held])
        slope[held] = 0
        steepest = np.argsort(-slope)[:BATCH]
        steepest = steepest[slope[steepest] > enough]
        if not len(steepest):
            return found
        held = np.concatenate([held, steepest])
        # Films that are nearly alike, as overlapping patches, take more turns than scipy's 3 n.
        solved, _ = nnls(films[:, held], image, maxiter=TURNS * len(held))
        found[:] = 0
        found[held] = solved
        held = held[solved > 0]


@lru_cache(maxsize=1)
def by_chance(evidence: Evidence) -> Shares:
    """Returns the shares of strangers' films among the members; they are kept, too."""
    members, controls = evidence.members, evidence.controls
    more = members.first[: max(0, STRANGERS - len(controls.ids))]
    images = torch.cat([controls.images[controls.first], members.images[more]])
    own = [-1] * len(controls.ids) + members.patient[more].tolist()
    return _unmixed(images, evidence, own)


def _where_it_fits(found: Shares) -> Tensor:
    """Returns each image's largest share, (m,); 0 if films explain too little of the image."""
    return found.top[:, 0].where(found.explained >= FITS, 0.0)


def _rarely_exceeded(strangers: Tensor, rate: float) -> float:
    """Returns the share that one more stranger exceeds at this rate; with few, the largest."""
    k = max(1, int(rate * (len(strangers) + 1)))
    return float(strangers.sort(descending=True).values[k - 1])


def _unmixed(images: Tensor, evidence: Evidence, own: Sequence[int] = ()) -> Shares:
    """Unmixes images (m, C, H, W); ``own`` names each one's member who is left out, -1 for none."""
    members = evidence.members
    films = np.concatenate(list(_coarse(members.images))).T.copy()
    patient = members.patient.cpu().numpy()
    explained, tops, patients = [], [], []
    for number, image in enumerate(np.concatenate(list(_coarse(images)))):
        kept = patient != own[number] if own else np.ones(len(patient), dtype=bool)
        known = films if kept.all() else films[:, kept]
        found = weights(known, image)
        of_patient = np.bincount(patient[kept], found, minlength=len(members.ids))
        # A blank image contains nobody.
        share = of_patient / max(of_patient.sum(), 1e-12)
        rest = image - known @ found
        explained.append(1 - (rest @ rest) / max(image @ image, 1e-12))
        tops.append(np.sort(share)[::-1][:SHOWN])
        patients.append(1 / max(share @ share, 1 / len(share)))
    return Shares(*(torch.from_numpy(np.stack(each)) for each in (explained, tops, patients)))


def _coarse(images: Tensor) -> Iterator[Array]:
    """Yields images (n, C, H, W) low-passed and standardised, (n, pixels), in parts."""
    height, width = (min(side, SIDE) for side in images.shape[-2:])
    for part in torch.split(images, 256):
        small = F.adaptive_avg_pool2d(part.double(), (height, width))
        yield standardise(blur(small, 1.0)).flatten(1).cpu().numpy()


def _rounded(values: Tensor) -> list[float]:
    return [round(value, 3) for value in values.tolist()]
