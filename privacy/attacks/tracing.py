"""A1: does the release, or the model behind it, lean towards a patient?

The attacker knows the method, and so the statistic that it matches between synthetic and real
images: under random networks, the synthetic images of a class are moved to the mean of its films.
A mean reveals who is in it, because it lies a little towards each of them (Homer et al., PLoS
Genetics 2008; Dwork et al., FOCS 2015, call it tracing). Let psi(x) be the statistic, mu_c and s_c
its mean and spread over the films of class c, and S_c the released images of the class. A film
scores

    cos(W (psi(x) - mu_c) / s_c, W (mean psi(S_c) - mu_c) / s_c),

the mean over networks and over the patient's films. W whitens: directions in which all people
differ much say little about one of them.

Some methods match nothing: they train a model of the films, and draw the images from it. Here the
attacker has that model, though nobody receives it. A model explains films that it was trained on
better than others: its loss on them is lower (for diffusion models Matsumoto, Miura & Yanai 2023,
arXiv:2302.03262; Carlini et al., USENIX Security 2023, arXiv:2301.13188). A film scores how well
the model explains it. What is drawn from a model alone tells about a patient no more than the model
does, so this attacker knows more than any recipient.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from privacy.attacks.attack import Scored, attack, remembered, scored
from privacy.evidence import Evidence, Explained, Match, Statistic
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
    """Attacks with the model behind the release if it has one, and else with what is matched."""
    if evidence.explained is None:
        name = "Membership from what the method matches"
        return attack("A1", name, scores, evidence, policy, rng)
    name = "Membership from the model that drew the images"
    finding = attack("A1", name, scores, evidence, policy, rng)
    return replace(
        finding,
        text=f"{finding.text} This attacker has the model that drew the images. A recipient has "
        "only the images, which tell no more.",
    )


@remembered
def scores(evidence: Evidence) -> Scored:
    """Returns how far the release, or the model behind it, leans towards each patient.

    Raises:
        ValueError: the evidence has no such model, and does not say what the method matches.
    """
    everybody, nulls = evidence.everybody, evidence.nulls.releases if evidence.nulls else ()
    releases = (evidence.release, *nulls)
    if evidence.explained is not None:
        rows = explanations(evidence.explained, releases, everybody)
    elif evidence.matches:
        rows = leanings(evidence.matches, releases, everybody)
    else:
        raise ValueError("A1 needs at least one network to compare images under, or a model")
    of_release = dict(zip(releases, rows, strict=True))

    def score(release: Release, films: Films) -> Tensor:
        return films.per_patient(of_release[release])

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


def explanations(explained: Explained, releases: Sequence[Release], films: Films) -> Tensor:
    """Returns how well the model behind each release explains each film, (releases, n)."""
    rows = []
    for release in releases:
        explain = explained(release)
        with torch.no_grad():
            rows.append(_of_films(explain, films, release.classes))
    return torch.stack(rows)


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
    """Returns a statistic of all films, (n, D) or (n,), in float64; their labels are hard."""
    labels = one_hot(films.labels, classes).to(films.images)
    pairs = zip(torch.split(films.images, CHUNK), torch.split(labels, CHUNK), strict=True)
    return torch.cat([statistic(x, y) for x, y in pairs]).double()
