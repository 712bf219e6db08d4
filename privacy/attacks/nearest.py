"""A5: is a released image a copy of one patient's film?

The attacker holds the release and films of many people, and looks for a person in each image: as a
whole, after undoing turns, mirror images, scales, shifts and negatives, and part by part. If an
image names a member far more clearly than the film of a stranger ever names anybody, it was made of
that member's film, or of a few members' films. ``clearness`` measures how clearly, and how often
chance does the same.
"""

import torch
from torch import Generator

from privacy.evidence import Evidence
from privacy.finding import Finding, Verdict
from privacy.likeness.clearness import named
from privacy.policy import Policy
from privacy.statistics.scores import holm

SURE = 0.02
"""An image is a copy if chance names somebody as clearly less often, over all images."""
DOUBTFUL = 0.05
"""Between SURE and this, a person has to look."""


def copies(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:  # noqa: ARG001
    """Looks for everybody in every released image; only an image that names a member counts.

    Raises:
        ValueError: with fewer than 3 people, nobody can be the clearest.
    """
    if len(evidence.everybody.ids) < 3:
        raise ValueError("A5 needs at least 3 people, because it compares their likeness")
    found = named(evidence)
    members = len(evidence.members.ids)
    corrected = torch.tensor(holm(found.p.tolist()))
    of_member = torch.tensor([any(one < members for one in people) for people in found.who])
    shown = of_member & (corrected <= SURE)
    doubtful = of_member & (corrected <= DOUBTFUL) & ~shown
    count = int(shown.sum())
    if count:
        verdict = Verdict.FAIL
        text = (
            f"{count} of {len(shown)} released images are copies: each shows one member, or a few "
            "members mixed, far more clearly than an image of a stranger would by chance."
        )
    elif doubtful.any():
        verdict = Verdict.INCONCLUSIVE
        text = (
            f"{int(doubtful.sum())} of {len(shown)} released images resemble a member more than is "
            f"usual by chance (p = {float(corrected[of_member].min()):.3f}). A person has to "
            "compare the two."
        )
    else:
        verdict = Verdict.PASS
        text = (
            "No copy of a member's film was found, not even a turned, mirrored, shifted, scaled or "
            "negative one, nor a part of one."
        )
    ways = {
        name: sum(way == name for way, one in zip(found.look, shown.tolist(), strict=True) if one)
        for name in sorted(set(found.look))
    }
    return Finding(
        audit="A5",
        name="Copies of a film",
        verdict=verdict,
        value=float(count),
        low=float(count),
        high=float(count),
        limit=0.0,
        chance=0.0,
        p=float(corrected.min()),
        text=text,
        details={
            "copied images": shown.nonzero().flatten().tolist(),
            "found as": ways,
            "strangers": found.strangers,
        },
    )
