"""A9: do the images, taken together, name members?

The attacker asks of every image whom it names, clearly or not. If nothing leaked, who is a member
plays no part in this, so members are named about as often as their share of all people. And images
name somebody as clearly as one stranger's film in twenty does about once in twenty images. Many
images that each hold a little of one member break one of these rules long before a single image
is a copy.

Several images may name one person for the same reason, so each person counts once.
"""

from collections import Counter
from functools import reduce

import numpy as np
from scipy.stats import binom, hypergeom
from torch import Generator

from privacy.evidence import Evidence
from privacy.finding import Finding, Verdict
from privacy.likeness.clearness import Named, named
from privacy.policy import Policy
from privacy.statistics.scores import holm

CLEAR = 0.05
"""An image is clear if chance names somebody as clearly less often than this."""
SURE = 0.01
"""The release fails below this chance, over both rules."""


def naming(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:  # noqa: ARG001
    """Counts the members whom the images name."""
    found, members = named(evidence), len(evidence.members.ids)
    first = {people[0] for people in found.who}
    inside = sum(one < members for one in first)
    clearly = clearly_named(found, members)
    by_share = share_p(first, evidence)
    by_clearness = float(binom.sf(len(clearly) - 1, len(found.p), CLEAR))
    p = min(holm([by_share, by_clearness]))
    failed = p < SURE
    share = members / len(evidence.everybody.ids)
    text = (
        f"The {len(found.p)} released images are most like {len(first)} people; {inside} of them "
        f"are members (by chance {share:.0%} would be). {len(clearly)} members are named more "
        f"clearly than strangers usually are (by chance {CLEAR * len(found.p):.1f})."
    )
    return Finding(
        audit="A9",
        name="Members named by the images",
        verdict=Verdict.FAIL if failed else Verdict.PASS,
        value=float(len(clearly)),
        low=float(len(clearly)),
        high=float(len(clearly)),
        limit=float(binom.isf(SURE / 2, len(found.p), CLEAR)),
        chance=CLEAR * len(found.p),
        p=p,
        text=(f"Images name patients. {text}" if failed else text),
        details={
            "people named": len(first),
            "members among them": inside,
            "members named clearly": len(clearly),
            "p of the share": by_share,
            "p of the clearness": by_clearness,
        },
    )


def clearly_named(found: Named, members: int) -> set[int]:
    """Returns the members whom an image names clearly, each once."""
    pairs = zip(found.p.tolist(), found.who, strict=True)
    return {people[0] for p, people in pairs if p <= CLEAR and people[0] < members}


def share_p(people: set[int], evidence: Evidence) -> float:
    """Returns the chance that as many of these people are members, had these been drawn again.

    Membership is drawn within each class, so the number is a sum of hypergeometric ones.
    """
    strata, members = evidence.everybody.strata.tolist(), len(evidence.members.ids)
    of_class = Counter(strata)
    inside = Counter(strata[:members])
    wanted = Counter(strata[one] for one in people)
    parts = [
        hypergeom.pmf(np.arange(drawn + 1), of_class[one], inside[one], drawn)
        for one, drawn in sorted(wanted.items())
    ]
    chances = reduce(np.convolve, parts, np.ones(1))
    return float(min(1.0, chances[sum(one < members for one in people) :].sum()))
