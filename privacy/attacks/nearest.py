"""A5: is a released image a copy of one patient's film?

The attacker holds only the release and looks for a patient in it. An image that lies far closer to
one patient than to the next is that patient's film, whatever was done to contrast, noise or
position. The measure is NNDR: the distance to the nearest member divided by the distance to the
second nearest member. It is 0 for a copy and near 1 for an image of nobody (Carlini et al., USENIX
Security 2023, use the same idea for diffusion models). If one film is registered under two
patients, there is no such gap after the first of them; an even mixture of two films has no such gap
either. So the audit also looks at the gaps after the second and the third member. By chance those
are much rarer.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Generator, Tensor

from privacy.attacks.views import VIEWS, moves, shrink, standardise, still
from privacy.evidence import Evidence
from privacy.finding import Finding, Verdict
from privacy.policy import Policy
from privacy.release import Films
from privacy.statistics.scores import holm

COPY = 0.60
"""A ratio below this is a copy. With 25 to 200 members, 2 to 4 of 100 strangers' films fall below
0.70; this limit would refuse every fourth clean release. Fewer than 1 of 150 fall below 0.60."""
DOUBTFUL = 0.70
"""Between COPY and this ratio a person has to look."""
GAPS = 3
"""Gaps that are looked at: those after the nearest, second and third member. With D the dimension
of the films, chance puts a ratio below t after the k-th member with probability t^(kD): the first
gap decides."""


@dataclass(frozen=True, eq=False)
class Closeness:
    """Attributes: the ratio in each view, and the nearest member in it, both (m, views)."""

    ratio: Tensor
    nearest: Tensor


def copies(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:  # noqa: ARG001
    """Compares every released image, and one film of every control, with every member."""
    members, controls = evidence.members, evidence.controls
    if len(members.ids) < 3:
        raise ValueError("A5 needs at least 3 members, because it compares their distances")
    released = _gaps(distances(evidence)[..., : len(members.ids)]).ratio
    strangers = closeness(controls.images[controls.first], members).ratio
    p = holm(copy_p(released, strangers).tolist())
    # The smallest p that n controls can give is 1 / (n + 1), and Holm multiplies it by m.
    reachable = len(strangers) >= 20 * len(released) - 1
    smallest = released.amin(1)
    copied = smallest < COPY
    if reachable:
        copied |= torch.tensor([one <= 0.05 for one in p])
    worst = float(smallest.min())
    if copied.any():
        verdict = Verdict.FAIL
        text = (
            f"{int(copied.sum())} of {len(released)} released images are copies: each lies far "
            "closer to the film of one patient, or of two or three, than to all other films."
        )
    elif worst < DOUBTFUL:
        verdict = Verdict.INCONCLUSIVE
        text = (
            f"The closest released image is {worst:.2f} times as far from one patient as from the "
            "next. This can also happen by chance, so a person has to compare the two."
        )
    else:
        verdict = Verdict.PASS
        text = "No copy of a patient's film was found, not even a flipped, shifted or blurred one."
    if not reachable:
        text += (
            f" {len(strangers)} controls are too few to compare {len(released)} images with the "
            f"controls' films ({20 * len(released) - 1} are needed); only the ratio was judged."
        )
    return Finding(
        audit="A5",
        name="Copies of a film",
        verdict=verdict,
        value=worst,
        low=worst,
        high=worst,
        limit=COPY,
        chance=float(strangers.amin(1).median()),
        p=min(p),
        text=text,
        details={
            "copied images": copied.nonzero().flatten().tolist(),
            "smallest ratio by view": dict(zip(VIEWS, _rounded(released.amin(0)), strict=True)),
            "controls": len(strangers),
            "tested against strangers": reachable,
        },
    )


@lru_cache(maxsize=1)
def distances(evidence: Evidence) -> Tensor:
    """Returns how far released images lie from members and then controls, (m, views, P).

    Computed once for the last evidence, because A5 and A5b need the same distances.
    """
    return to_patients(evidence.release.images, evidence.everybody)


def closeness(images: Tensor, members: Films, chunk: int = 16) -> Closeness:
    """Returns how much closer images (m, C, H, W) lie to one member, or a few, than to the next."""
    return _gaps(to_patients(images, members, chunk))


def to_patients(images: Tensor, films: Films, chunk: int = 16) -> Tensor:
    """Returns the distances of images (m, C, H, W) to patients in each view, (m, views, P).

    The distance to a patient is that to the nearest of the patient's films, over all flips and
    shifts of the image.
    """
    images, real = shrink(images), shrink(films.images)
    by_view = []
    for name, view in VIEWS.items():
        scale = standardise if name != "raw" else _as_is
        # Memory holds one view of all films at a time; images are compared in chunks.
        targets = scale(torch.cat([still(view(x)) for x in torch.split(real, 256)])).flatten(1)
        by_view.append(
            torch.cat(
                [
                    _to_patients(scale(moves(view(x))), targets, films)
                    for x in torch.split(images, chunk)
                ]
            )
        )
    return torch.stack(by_view, 1)


def copy_p(released: Tensor, strangers: Tensor) -> Tensor:
    """Returns for each released image how rare so small a ratio is among strangers, (m,).

    In every view the image is ranked among the strangers' films, n + 1 in all. Its best rank over
    the views is then ranked among the best ranks of all n + 1, which corrects for the choice of the
    view.

    Args:
        released: ratios (m, views).
        strangers: ratios (n, views) of films of patients outside the training set.
    """
    p = torch.empty(len(released), dtype=torch.float64)
    for i, one in enumerate(released):
        everyone = torch.cat([one.unsqueeze(0), strangers])
        ordered = everyone.sort(0).values.T.contiguous()
        rank = torch.searchsorted(ordered, everyone.T.contiguous(), right=True)
        best = rank.amin(0)
        p[i] = (best <= best[0]).double().mean()
    return p


def _gaps(distance: Tensor) -> Closeness:
    """Returns the widest of the first gaps among distances (m, views, P)."""
    nearest = distance.topk(min(GAPS + 1, distance.shape[-1]), largest=False)
    # Members with the same film give 0 / 0: the image is still a copy, of all of them.
    ratio = nearest.values[..., :-1] / nearest.values[..., 1:].clamp_min(1e-9)
    return Closeness(ratio.amin(-1), nearest.indices[..., 0])


def _to_patients(queries: Tensor, targets: Tensor, films: Films) -> Tensor:
    """Returns the distance of each query (m, moves, C, h, w) to each patient, (m, P)."""
    m, variants = queries.shape[:2]
    distance = torch.cdist(queries.flatten(2).flatten(0, 1), targets)
    distance = distance.view(m, variants, -1).amin(1)
    infinite = distance.new_full((m, len(films.ids)), torch.inf)
    return infinite.scatter_reduce(1, films.patient.expand(m, -1), distance, "amin")


def _as_is(images: Tensor) -> Tensor:
    return images


def _rounded(values: Tensor) -> list[float]:
    return [round(value, 3) for value in values.tolist()]
