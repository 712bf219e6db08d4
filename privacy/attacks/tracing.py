"""A1: does the release lean towards a patient?

The attacker knows the method, and so the statistic that it matches between synthetic and real
images: under random networks, the synthetic images of a class are moved to the mean of its films.
A mean reveals who is in it, because it lies a little towards each of them (Homer et al., PLoS
Genetics 2008; Dwork et al., FOCS 2015, call it tracing). Let psi(x) be the statistic, mu_c and s_c
its mean and spread over the films of class c, and S_c the released images of the class. A film
scores

    cos(W (psi(x) - mu_c) / s_c, W (mean psi(S_c) - mu_c) / s_c),

the mean over networks and over the patient's films. W whitens: directions in which all people
differ much say little about one of them.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from privacy.attacks.attack import Scored, attack, remembered, scored
from privacy.evidence import Evidence, Match, Statistic
from privacy.finding import Finding
from privacy.likeness.whitening import Whitened
from privacy.policy import Policy
from privacy.release import Films, Release

CHUNK = 64
"""Films given to a statistic at once; more do not fit a processor's caches."""
RIDGE = 0.01
"""Ridge of the whitening, as a share of the variance of psi."""
CONSTANT = 1e-6
"""A feature counts as constant if its spread is below this share of the largest spread."""


def tracing(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:
    """Attacks with the matched statistics."""
    return attack("A1", "Membership from what the method matches", scores, evidence, policy, rng)


@remembered
def scores(evidence: Evidence) -> Scored:
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
        last, known = None, None
        for row, release in enumerate(releases):
            statistic = match(release)
            with torch.no_grad():
                if known is None or statistic is not last:
                    values = _of_films(statistic, films, release.classes)
                    last, known = statistic, Traced(values, films.labels)
                released = statistic(release.images, release.labels).double()
            total[row] += known.leaning(released, release.labels)
    return total / len(matches)


class Traced:
    """What the films of all people are under one statistic, standardised and whitened.

    Members and controls alike: if mean and spread came from one group only, its films would be
    nearer to the mean, and this alone would set them apart.
    """

    def __init__(self, values: Tensor, labels: Tensor) -> None:
        """Learns psi of the films, (n, D), and their classes, (n,)."""
        self._labels, rows = labels, torch.empty_like(values)
        self._of_class: dict[int, tuple[Tensor, Tensor]] = {}
        for label in sorted(set(labels.tolist())):
            inside = values[labels == label]
            mu, s = inside.mean(0), inside.std(0, correction=0)
            scale = torch.where(s <= CONSTANT * s.max(), 0.0, 1 / s)
            self._of_class[label] = mu, scale
            rows[labels == label] = (inside - mu) * scale
        # A statistic that is no number gives no score; nothing could be whitened.
        self._whitened = Whitened(rows, RIDGE) if rows.isfinite().all() else None

    def leaning(self, released: Tensor, soft: Tensor) -> Tensor:
        """Returns how far the released images of each film's class lean towards the film, (n,).

        Args:
            released: psi of the released images, (m, D).
            soft: their labels, (m, K). An image is of the class where its label peaks. Films of a
                class that has no image score 0.
        """
        if self._whitened is None:
            return released.new_full((len(self._labels),), torch.nan)
        result = released.new_zeros(len(self._labels))
        for label, (mu, scale) in self._of_class.items():
            images, rows = soft.argmax(1) == label, self._labels == label
            if images.any():
                lean = (released[images].mean(0) - mu) * scale
                result[rows] = self._whitened.likeness(lean.unsqueeze(0))[0, rows]
        return result


def _of_films(statistic: Statistic, films: Films, classes: int) -> Tensor:
    """Returns psi of all films, (n, D), in float64; their labels are hard."""
    labels = one_hot(films.labels, classes).to(films.images)
    pairs = zip(torch.split(films.images, CHUNK), torch.split(labels, CHUNK), strict=True)
    return torch.cat([statistic(x, y) for x, y in pairs]).double()
