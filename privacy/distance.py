"""A3: do released images lie closer to the patients they were made from?

The attacker holds a patient's film and measures how far it lies from the nearest released image
of its class. In the training set it may have drawn an image towards itself. Four views are taken
of film and image, each blind to something else, and put together into one score. With null
releases the distance to a release that never saw the patient is subtracted first (the calibrated
attack of Chen et al., GAN-Leaks, ACM CCS 2020, with distances as they are).
"""

import torch
from torch import Generator, Tensor

from privacy.attack import judge, remembered, scored
from privacy.evidence import Evidence
from privacy.finding import Finding
from privacy.policy import Policy
from privacy.release import Films, Release
from privacy.statistics import Scores, together
from privacy.views import VIEWS, shrink, standardise

SEEN = ("raw", "contrast-free", "low-pass 1", "high-pass")


def distances(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:
    """Attacks with the distance to the release, against the nulls if there are."""
    return judge(
        "A3",
        "Membership from the distance to the release",
        scores(evidence),
        policy,
        rng,
        calibrated=evidence.nulls is not None,
    )


@remembered
def scores(evidence: Evidence) -> Scores:
    """Returns each patient's score, the mean over the views.

    Each view is calibrated before it is put on the scale of the others. Most of a raw distance
    tells how unusual a film is: on its scale a view of which calibration leaves little would drop
    out.
    """
    return together([_in_view(name, evidence) for name in SEEN])


def nearest_of_class(films: Tensor, labels: Tensor, images: Tensor, classes: Tensor) -> Tensor:
    """Returns the distance of each film to the nearest image of its class, (n,).

    A film whose class no image has is compared with all images.

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


def _in_view(name: str, evidence: Evidence) -> Scores:
    seen = _look(name, evidence.everybody.images)  # once for the release and all nulls

    def score(release: Release, films: Films) -> Tensor:
        images, classes = _look(name, release.images), release.labels.argmax(1)
        return films.per_patient(-nearest_of_class(seen, films.labels, images, classes))

    return scored(score, evidence)


def _look(name: str, images: Tensor) -> Tensor:
    """Returns the view of images (n, C, H, W), flat, (n, D)."""
    views = (VIEWS[name](shrink(batch)) for batch in torch.split(images, 256))
    flat = torch.cat([(x if name == "raw" else standardise(x)).flatten(1) for x in views])
    return flat.double()
