"""A1: does the release lean towards a patient?

The attacker knows the method, and so the statistic that it matches between synthetic and real
images: under random networks, the synthetic images of a class are moved to the mean of its films.
A mean reveals who is in it, because it lies a little towards each of them (Homer et al., PLoS
Genetics 2008; Dwork et al., FOCS 2015, call it tracing). Let psi(x) be the statistic, mu_c and s_c
its mean and spread over the films of class c, and S_c the released images of the class. A film
scores

    cos((psi(x) - mu_c) / s_c, (mean psi(S_c) - mu_c) / s_c),

the mean over networks and over the patient's films.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn.functional import cosine_similarity, one_hot

from privacy.attacks.attack import attack, remembered, scored
from privacy.evidence import Evidence, Match, Statistic
from privacy.finding import Finding
from privacy.policy import Policy
from privacy.release import Films, Release
from privacy.statistics.scores import Scores

CHUNK = 64
"""Films given to a statistic at once; more do not fit a processor's caches."""
CONSTANT = 1e-6
"""A feature counts as constant if its spread is below this share of the largest spread."""


def tracing(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:
    """Attacks with the matched statistics."""
    return attack("A1", "Membership from what the method matches", scores, evidence, policy, rng)


@remembered
def scores(evidence: Evidence) -> Scores:
    """Returns how far the release leans towards each patient.

    Raises:
        ValueError: the evidence does not say what the method matches.
    """
    if not evidence.matches:
        raise ValueError("A1 needs at least one network to compare images under")
    nulls = evidence.nulls.releases if evidence.nulls else ()
    releases = (evidence.release, *nulls)
    leaning = dict(
        zip(releases, leanings(evidence.matches, releases, evidence.everybody), strict=True)
    )

    def score(release: Release, films: Films) -> Tensor:
        return films.per_patient(leaning[release])

    return scored(score, evidence)


def leanings(matches: Sequence[Match], releases: Sequence[Release], films: Films) -> Tensor:
    """Returns how far each release leans towards each film, (releases, n), mean over networks.

    Networks are the outer loop, so that memory holds one statistic of all films at a time. If
    several releases have the same statistic, it is computed once for the films.
    """
    total = torch.zeros(len(releases), len(films), dtype=torch.float64, device=films.images.device)
    for match in matches:
        last, values = None, total
        for row, release in enumerate(releases):
            statistic = match(release)
            with torch.no_grad():
                if statistic is not last:
                    last, values = statistic, _of_films(statistic, films, release.classes)
                released = statistic(release.images, release.labels).double()
            total[row] += leaning(values, films.labels, released, release.labels)
    return total / len(matches)


def leaning(values: Tensor, labels: Tensor, released: Tensor, soft: Tensor) -> Tensor:
    """Returns how far the released images of each film's class lean towards the film, (n,).

    Args:
        values: psi of the films, (n, D), members and controls alike. If mu and s came from one
            group only, its films would be nearer to mu, and this alone would set them apart.
        labels: their classes, (n,).
        released: psi of the released images, (m, D).
        soft: their labels, (m, K). An image is of the class where its label peaks. Films of a class
            that has no image score 0.
    """
    result = values.new_zeros(len(values))
    for label in range(soft.shape[1]):
        rows, images = labels == label, soft.argmax(1) == label
        if not (rows.any() and images.any()):
            continue
        mu, s = values[rows].mean(0), values[rows].std(0, correction=0)
        scale = torch.where(s <= CONSTANT * s.max(), 0.0, 1 / s)
        lean = (released[images].mean(0) - mu) * scale
        result[rows] = cosine_similarity((values[rows] - mu) * scale, lean.unsqueeze(0))
    return result


def _of_films(statistic: Statistic, films: Films, classes: int) -> Tensor:
    """Returns psi of all films, (n, D), in float64; their labels are hard."""
    labels = one_hot(films.labels, classes).to(films.images)
    pairs = zip(torch.split(films.images, CHUNK), torch.split(labels, CHUNK), strict=True)
    return torch.cat([statistic(x, y) for x, y in pairs]).double()
