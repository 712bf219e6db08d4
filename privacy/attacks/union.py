"""A4: do the attacks together know more than each of them?

The attacker runs every attack on the same release and adds up what they say. A leak that each
attack half sees may only show in the sum. The scores of an attack are standardised over everybody,
members and controls alike, and count the same.

No weights are learned. Scores that a regression gives to patients it was not trained on depend on
each other: two patients of different folds act on each other's score alike, so their chance
agreement counts twice, and without leakage the AUC spreads up to 1.4 times as far as all bounds
assume. Ranking within the folds mends its mean, which else lies below 0.5, and not its spread.
"""

from collections.abc import Callable

from torch import Generator

from privacy.attacks import distance, membership, tracing
from privacy.attacks.attack import judge, remembered
from privacy.evidence import Evidence
from privacy.finding import Finding
from privacy.policy import Policy
from privacy.statistics.scores import Scores, together

ATTACKS: dict[str, Callable[[Evidence], Scores]] = {
    "A1": tracing.scores,
    "A2": membership.scores,
    "A3": distance.scores,
}


def union(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:
    """Attacks with the sum of the attacks."""
    return judge(
        "A4",
        "Membership from all attacks together",
        scores(evidence),
        policy,
        rng,
        calibrated=evidence.nulls is not None,
    )


@remembered
def scores(evidence: Evidence) -> Scores:
    """Returns each patient's score, the mean over the attacks."""
    return together([attack(evidence) for attack in ATTACKS.values()])
