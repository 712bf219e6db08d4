"""A4: do the attacks together find more than each of them alone?

The attacker runs every attack on the same release and adds up the scores. A leak that each attack
sees only in part may show only in the sum. The scores of an attack are standardised over all
patients, members and controls alike, and all attacks have the same weight.

No weights are learned. The scores that a regression gives to patients it was not trained on depend
on each other: two patients of different folds influence each other's score in the same way, so
their chance agreement counts twice. Without leakage the AUC then spreads up to 1.4 times as far as
all bounds assume. Ranking within the folds corrects its mean, which is otherwise below 0.5, but not
its spread.
"""

from collections.abc import Callable

from torch import Generator

from privacy.attacks import distance, membership, tracing
from privacy.attacks.attack import attack, remembered
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
    """Attacks with the sum of the attacks' scores."""
    return attack("A4", "Membership from all attacks together", scores, evidence, policy, rng)


@remembered
def scores(evidence: Evidence) -> Scores:
    """Returns each patient's score, the mean over the attacks."""
    return together([one(evidence) for one in ATTACKS.values()])
