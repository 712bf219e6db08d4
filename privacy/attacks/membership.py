"""A2: does a network trained on the release know the patients?

The attacker trains networks on the release as any recipient would, with the released soft labels,
and shows them a patient's film. On films that shaped the release the networks are surer of the
diagnosis. Confidence is phi = log p_y - log(1 - p_y), averaged over the film and its mirror image,
over networks and over the patient's films. With null releases the attack is offline LiRA (Carlini
et al., IEEE S&P 2022, Section VI), with one variance for all patients, because a few null releases
cannot show each patient's variance. Up to a factor, z is then the difference to the null release,
and ranks patients in the same order.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from privacy.attacks.attack import Scored, attack, remembered, scored
from privacy.evidence import Evidence, Fit
from privacy.finding import Finding
from privacy.policy import Policy
from privacy.release import Films, Release


def train_on_release(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:
    """Attacks with the trainings in the evidence."""
    return attack(
        "A2", "Membership from networks trained on the release", scores, evidence, policy, rng
    )


@remembered
def scores(evidence: Evidence) -> Scored:
    """Returns each patient's z.

    Raises:
        ValueError: there is no training to attack with.
    """
    if not evidence.fits:
        raise ValueError("A2 needs at least one training of a recipient")

    def score(release: Release, films: Films) -> Tensor:
        return films.per_patient(confidence(evidence.fits, release, films))

    return scored(score, evidence)


def confidence(fits: Sequence[Fit], release: Release, films: Films) -> Tensor:
    """Returns phi of each film, (n,), mean over trainings and over film and mirror image."""
    total = torch.zeros(len(films), dtype=torch.float64, device=films.images.device)
    with torch.no_grad():
        for fit in fits:
            with torch.enable_grad():
                network = fit(release)
            for images in (films.images, films.images.flip(-1)):
                log_p = torch.cat([network(batch) for batch in torch.split(images, 256)])
                total += logit(log_p, films.labels)
    return total / (2 * len(fits))


def logit(log_p: Tensor, labels: Tensor) -> Tensor:
    """Returns log p_y - log(1 - p_y), (n,), of log-probabilities (n, K).

    1 - p_y is summed over the other classes, because p_y rounds to 1 long before they reach 0.
    """
    log_p = log_p.double()
    own = torch.nn.functional.one_hot(labels, log_p.shape[1]).bool()
    return log_p[own] - log_p.masked_fill(own, -torch.inf).logsumexp(1)
