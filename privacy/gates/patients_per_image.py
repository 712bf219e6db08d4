"""G1: are there enough patients behind every released image?

The attacker knows the method. An image distilled from a few patients is close to an average of
them, whatever today's attacks find. So every class needs ``cell_size`` members per image.

With a guarantee, noise covers each patient, however few there are. Then the gate only counts.
"""

import torch
from torch import Generator

from privacy.evidence import Evidence
from privacy.finding import Finding, Verdict
from privacy.policy import Policy


def patients_per_image(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:  # noqa: ARG001
    """Counts members per released image in each class; an image counts where its label peaks."""
    release, members = evidence.release, evidence.members
    images = torch.bincount(release.labels.argmax(1), minlength=release.classes).tolist()
    patients = [
        len(set(members.patient[members.labels == c].tolist())) for c in range(release.classes)
    ]
    fewest = min(have / made for have, made in zip(patients, images, strict=True) if made)
    enough = fewest >= policy.cell_size
    covered = evidence.mu is not None
    return Finding.exact(
        audit="G1",
        name="Patients behind an image",
        verdict=Verdict.PASS if enough or covered else Verdict.FAIL,
        value=fewest,
        limit=policy.cell_size,
        text=(
            f"Each released image stands for at least {int(fewest)} patients of its class; "
            f"{policy.cell_size} are "
            + ("required without a guarantee; this release has one." if covered else "required.")
        ),
        details={"images per class": images},
    )
