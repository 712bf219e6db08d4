"""G5: can the last digits of images and labels carry hidden information?

The attacker reads what nobody sees. The low bits of a 32-bit number are a channel that no other
audit looks at, wide enough for a name in every pixel. Images of 8 or 12 bits and labels of three
decimals show the same content and have no such bits.
"""

import torch
from torch import Generator, Tensor

from privacy.evidence import Evidence
from privacy.finding import Finding, Verdict
from privacy.gates.formats import SUFFIX, HiddenError, tensors
from privacy.policy import Policy

LEVELS = (255, 4095)
"""Steps of intensity from black to white, for 8 and 12 bits."""
DECIMALS = 3


def precision(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:  # noqa: ARG001
    """Looks for numbers between the steps, in the decoded release and in the files."""
    release = evidence.release
    images, labels = _between(release.images), _finer(release.labels)
    # A decoder that rounds would hide from the audit what is in the file.
    for name, data in evidence.outgoing.items():
        if name.lower().endswith(SUFFIX):
            try:
                found = tensors(data)
            except HiddenError:
                continue  # G3 refuses it
            images = max(images, _between(found["images"]))
            labels = max(labels, _finer(found["labels"]))
    faults = []
    if images:
        faults.append(
            f"{images} intensities are on none of {LEVELS[-1] + 1} equal steps from 0 to 1; round "
            f"the images to 8 or 12 bits (multiples of 1/{LEVELS[0]} or 1/{LEVELS[1]})"
        )
    if labels:
        faults.append(
            f"{labels} labels have more than {DECIMALS} decimals; round them to {DECIMALS}"
        )
    return Finding.exact(
        audit="G5",
        name="No hidden digits",
        verdict=Verdict.FAIL if faults else Verdict.PASS,
        value=float(images + labels),
        limit=0.0,
        text=(
            "There is room to hide something in the last digits: " + "; ".join(faults) + "."
            if faults
            else f"Intensities have at most 12 bits and labels at most {DECIMALS} decimals."
        ),
        details={"intensities between steps": images, "labels with more decimals": labels},
    )


def _between(images: Tensor) -> int:
    """Returns how many intensities are on no step, or darker than black or brighter than white."""
    if not images.is_floating_point():
        levels = images.to(torch.int64)
        return int(((levels < 0) | (levels > LEVELS[-1])).sum())
    return min(
        int(((steps := (images.float() * count).round()) / count != images).sum())
        + int(((steps < 0) | (steps > count)).sum())
        for count in LEVELS
    )


def _finer(labels: Tensor) -> int:
    """Returns how many labels are not the float32 nearest to a number of three decimals."""
    if not labels.is_floating_point():
        return 0
    scale = 10**DECIMALS
    return int(((labels.double() * scale).round().div(scale).float() != labels).sum())
