"""A5b: do the released images, taken together, lie nearer to members than to controls?

The attacker holds the release and films of a few people, and asks for all images together whom they
resemble, in the coordinates of ``clearness``. One image that lies a little nearer to a member shows
nothing; many such images show that members' films went into them. The measure is log(d_OUT / d_IN),
mean over images and looks, where d is the distance to the nearest patient of that side. If nothing
leaked, the measure does not depend on who is a member, so it is compared with 10,000 fresh draws of
membership within each class.

The draws keep the sizes of the two sides, and all patients. So unequal sides need no subsampling,
which would throw away members, and evidence with them.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from privacy.evidence import Evidence
from privacy.finding import Finding, Verdict
from privacy.likeness.clearness import apart
from privacy.policy import Policy

ROUNDS = 10_000
SURE = 0.01
"""A release fails if a smaller share of fresh draws of membership brings it as near."""
FLOOR = 0.01
"""No distance counts as shorter than this share of the median. Zero has no logarithm, and the
distance between a film and its copy is only the rounding of the last digit."""


def set_test(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:  # noqa: ARG001
    """Draws membership again and compares how near the release then lies to its members."""
    strata, n1 = evidence.everybody.strata, len(evidence.members.ids)
    is_member = torch.arange(len(strata), device=strata.device) < n1
    both = _in_both(strata, is_member)
    n1, n0 = int(is_member[both].sum()), int((~is_member[both]).sum())
    if not n1:
        return _invalid()
    rows = apart(evidence)[..., both].flatten(0, 1).double()
    rows = rows.maximum(FLOOR * rows.median(1, keepdim=True).values).clamp_min(1e-9)
    draws = redrawn(is_member[both], strata[both], rng, ROUNDS)
    leans = leaning(rows, torch.cat([is_member[both].cpu().unsqueeze(0), draws]))
    observed, chance = float(leans[0]), float(leans[1:].mean())
    p = (1 + int((leans[1:] >= observed - 1e-9).sum())) / (ROUNDS + 1)
    # If only k members stand out, this is how often a draw makes all k members again.
    fewest = math.ceil(math.log(SURE) / math.log(n1 / (n1 + n0)))
    failed = p < SURE
    nearer = (
        f"Taken together, the released images lie {math.exp(chance - observed):.2f} times as far "
        "from the members as if these had been drawn again at random"
    )
    return Finding(
        audit="A5b",
        name="Copies, all images together",
        verdict=Verdict.FAIL if failed else Verdict.PASS,
        value=observed,
        low=observed,
        high=observed,
        limit=float(leans[1:].quantile(1 - SURE)),
        chance=chance,
        p=p,
        text=(
            f"{nearer}; by chance they are as near in {p:.2%} of draws."
            if failed
            else f"{nearer}; by chance they are as near in {p:.0%} of draws. With {n1} members and "
            f"{n0} controls this audit sees no leak of fewer than {fewest} patients' films."
        ),
        details={"members": n1, "controls": n0, "draws": ROUNDS, "fewest patients seen": fewest},
    )


def leaning(rows: Tensor, drawn: Tensor) -> Tensor:
    """Returns the mean of log(d_OUT / d_IN) under each draw of membership, (draws,).

    Patients are sorted once by distance. The first is the nearest patient of one side; the next one
    who is not of the same side is the nearest patient of the other.

    Args:
        rows: distances to patients, one row for each image and look, (rows, P), none 0.
        drawn: who is a member, (draws, P), bool; in every draw both sides have a patient.
    """
    by_patient = drawn.T.contiguous().numpy()
    total = np.zeros(len(drawn))
    for lengths, order in _sorted(rows):
        first = by_patient[order[0]]
        waiting, ratio = np.ones(len(first), dtype=bool), np.zeros(len(first))
        for length, one in zip(lengths[1:], order[1:], strict=True):
            met = waiting & (by_patient[one] != first)
            ratio[met] = length - lengths[0]
            waiting &= ~met
            if not waiting.any():
                break
        total += np.where(first, ratio, -ratio)
    return torch.from_numpy(total / len(rows))


def redrawn(is_member: Tensor, strata: Tensor, rng: Generator, rounds: int) -> Tensor:
    """Returns draws of membership that keep the number of members in each stratum, (rounds, P)."""
    seed = int(torch.randint(2**62, (), generator=rng))
    numbers = np.random.default_rng(seed)
    drawn = np.empty((rounds, len(strata)), dtype=bool)
    for stratum in set(strata.tolist()):
        inside = (strata == stratum).nonzero().flatten().cpu().numpy()
        held = np.tile(is_member.cpu().numpy()[inside], (rounds, 1))
        drawn[:, inside] = numbers.permuted(held, axis=1)
    return torch.from_numpy(drawn)


def _sorted(rows: Tensor) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    for row in rows.cpu().numpy():
        order = np.argsort(row, kind="stable")
        yield np.log(row[order]), order


def _in_both(strata: Tensor, is_member: Tensor) -> Tensor:
    """Returns which patients are in a stratum that has members and controls, (P,), bool."""
    return torch.isin(strata, strata[is_member]) & torch.isin(strata, strata[~is_member])


def _invalid() -> Finding:
    return Finding(
        audit="A5b",
        name="Copies, all images together",
        verdict=Verdict.INVALID,
        value=math.nan,
        low=math.nan,
        high=math.nan,
        limit=math.nan,
        text="No class has both members and controls, so there is no result.",
    )
