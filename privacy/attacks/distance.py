"""A3: do released images lie closer to the patients they were made from?

The attacker holds a patient's film and measures its distance to the nearest released image of its
class. A film in the training set may have drawn an image towards itself. Film and image are
compared in four views, each blind to something else, and the distances are added up to one score.
With null releases, the distance to a release that never saw the patient is subtracted first (the
calibrated attack of Chen et al., GAN-Leaks, ACM CCS 2020, with distances as they are).
"""

import torch
from torch import Generator, Tensor

from privacy.attacks.attack import Scored, attack, remembered, scored
from privacy.attacks.views import VIEWS, shrink, standardise
from privacy.evidence import Evidence
from privacy.finding import Finding
from privacy.policy import Policy
from privacy.release import Films, Release

SEEN = ("raw", "contrast-free", "low-pass 1", "high-pass")


def distances(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:
    """Attacks with the distance to the release."""
    return attack(
        "A3", "Membership from the distance to the release", scores, evidence, policy, rng
    )


@remembered
def scores(evidence: Evidence) -> Scored:
    """Returns each patient's score, the sum over the views.

    Views have different scales, so each view's distances are divided by their spread over all
    patients, before calibration. Calibration is linear and needs no scale of its own. Dividing by
    the spread after calibration would give more weight to views in which that spread is only
    chance.
    """
    everybody = evidence.everybody
    looks = {name: _look(name, everybody.images) for name in SEEN}

    def by_view(release: Release, films: Films) -> Tensor:
        classes = release.labels.argmax(1)
        return torch.stack(
            [
                films.per_patient(
                    -nearest_of_class(look, films.labels, _look(name, release.images), classes)
                )
                for name, look in looks.items()
            ]
        )

    spread = by_view(evidence.release, everybody).std(1, correction=0).clamp_min(1e-12)

    def score(release: Release, films: Films) -> Tensor:
        return (by_view(release, films) / spread.unsqueeze(1)).sum(0)

    return scored(score, evidence)


def nearest_of_class(films: Tensor, labels: Tensor, images: Tensor, classes: Tensor) -> Tensor:
    """Returns the distance of each film to the nearest image of its class, (n,).

    If no image has the film's class, the film is compared with all images.

    Args:
        films: (n, D).
        labels: (n,) class indices.
        images: (m, D).
        classes: (m,) class indices.
    """
    distance = torch.cdist(films, images)
    other = labels.unsqueeze(1) != classes
    other &= ~other.all(1, keepdim=True)
    return distance.masked_fill(other, torch.inf).amin(1)


def _look(name: str, images: Tensor) -> Tensor:
    """Returns the view of images (n, C, H, W), flat, (n, D)."""
    views = (VIEWS[name](shrink(batch)) for batch in torch.split(images, 256))
    flat = torch.cat([(x if name == "raw" else standardise(x)).flatten(1) for x in views])
    return flat.double()
