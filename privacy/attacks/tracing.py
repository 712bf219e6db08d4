"""A1: does the release lean towards a patient?

The attacker knows the method, and so what it matches between synthetic and real images: under
random networks the synthetic images of a class are led to where the mean of its films lies. A mean
betrays who is in it, for it lies a little on the side of each of them (Homer et al., PLoS Genetics
2008; Dwork et al., FOCS 2015, call it tracing). With psi(x) what is matched, mu_c and s_c its mean
and spread over the films of class c, and S_c the released images of the class, a film scores

    cos((psi(x) - mu_c) / s_c, (mean psi(S_c) - mu_c) / s_c),

the mean over networks and over the patient's films.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn.functional import cosine_similarity, one_hot

from privacy.attacks.attack import judge, remembered, scored
from privacy.evidence import Evidence, Match, Statistic
from privacy.finding import Finding
from privacy.policy import Policy
from privacy.release import Films, Release
from privacy.statistics.scores import Scores

CHUNK = 64
"""Films shown to a statistic at once; more leave a processor's caches."""
CONSTANT = 1e-6
"""A feature that spreads less than this share of the widest one is the same for all films."""


def tracing(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:
    """Attacks with what the evidence says is matched, against the nulls if there are."""
    return judge(
        "A1",
        "Membership from what the method matches",
        scores(evidence),
        policy,
        rng,
        calibrated=evidence.nulls is not None,
    )


@remembered
def scores(evidence: Evidence) -> Scores:
    """Returns how far the release leans towards each patient.

    Raises:
        ValueError: nobody said what the method matches.
    """
    if not evidence.matches:
        raise ValueError("A1 needs at least one network under which to compare")
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

    Networks are the outer loop, so that one statistic of all films is held at a time. Where it is
    the same for several releases, the films are looked at once.
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
        values: psi of the films, (n, D), members and controls alike: were mu and s taken from one
            group, its films would be nearer to mu than the others, and be told apart by that.
        labels: their classes, (n,).
        released: psi of the released images, (m, D).
        soft: their labels, (m, K). An image is of the class where its label peaks. Films of a class
            that no image is of score 0.
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
    """Returns psi of all films, (n, D), in float64; their labels are certain."""
    labels = one_hot(films.labels, classes).to(films.images)
    pairs = zip(torch.split(films.images, CHUNK), torch.split(labels, CHUNK), strict=True)
    return torch.cat([statistic(x, y) for x, y in pairs]).double()
