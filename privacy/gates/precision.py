"""G5: can the last digits of images and labels carry hidden information?

The attacker reads what nobody sees. The low bits of a 32-bit number are a channel that no other
audit looks at, wide enough for a name in every pixel. So images and labels may be on a coarse grid
alone. The finding says how many bits still fit into it.
"""

import torch
from torch import Generator, Tensor

from privacy.evidence import Evidence
from privacy.finding import Finding, Verdict
from privacy.gates.formats import SUFFIX, HiddenError, tensors
from privacy.policy import Policy
from privacy.release import Digits


def precision(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:  # noqa: ARG001
    """Looks for numbers off the grid, in the decoded release and in the files."""
    release, digits = evidence.release, evidence.digits
    images, labels = _between(release.images, digits), _off(release.labels, digits)
    # A decoder that rounds would hide from the audit what is in the file.
    for name, data in evidence.outgoing.items():
        if name.lower().endswith(SUFFIX):
            try:
                found = tensors(data)
            except HiddenError:
                continue  # G3 refuses it
            images = max(images, _between(found["images"], digits))
            labels = max(labels, _off(found["labels"], digits))
    room, faults = digits.room(release.images, release.labels), []
    if images:
        allowed = " or ".join(f"1/{count}" for count in digits.levels)
        faults.append(
            f"{images} intensities are not multiples of {allowed} from 0 to 1; round the images"
        )
    if labels:
        faults.append(f"{labels} labels are not {_allowed(digits)}; round the labels")
    everything, unseen, in_labels = room.values()
    return Finding.exact(
        audit="G5",
        name="No hidden digits",
        verdict=Verdict.FAIL if faults else Verdict.PASS,
        value=float(images + labels),
        limit=0.0,
        text=(
            "There is room to hide something in the last digits: " + "; ".join(faults) + "."
            if faults
            else f"Intensities are in at most {digits.levels[-1] + 1} levels, and labels are "
            f"{_allowed(digits)}. Somebody inside could still hide {unseen:g} bits in the lowest "
            f"bit of each intensity (of {everything:g} in the images) and {in_labels:g} in the "
            "labels. Only making the release again would show that."
        ),
        details={
            "intensities between steps": images,
            "labels off the grid": labels,
            "room, bits": room,
        },
    )


def _allowed(digits: Digits) -> str:
    """Returns what labels must be, in words."""
    step = f"multiples of 1/{digits.parts}"
    if digits.bound is None:
        return f"{step} from 0 to 1 in rows that sum to 1"
    return f"{step} from -{digits.bound} to {digits.bound}"


def _between(images: Tensor, digits: Digits) -> int:
    """Returns how many intensities are on no step, or darker than black or brighter than white."""
    if not images.is_floating_point():
        levels = images.to(torch.int64)
        return int(((levels < 0) | (levels > digits.levels[-1])).sum())
    return min(
        int(
            (
                ((steps := (images.float() * count).round()) / count != images)
                | (steps < 0)
                | (steps > count)
                | _negative_zero(images)
            ).sum()
        )
        for count in digits.levels
    )


def _off(labels: Tensor, digits: Digits) -> int:
    """Returns how many labels are off the grid; if only its sum is wrong, all labels of the row."""
    exact = labels.double()
    steps = (exact * digits.parts).round()
    least, most = (0, 1) if digits.bound is None else (-digits.bound, digits.bound)
    inside = (steps >= least * digits.parts) & (steps <= most * digits.parts)
    nearest = (steps / digits.parts).to(labels.dtype).double()
    wrong = ~inside | (nearest != exact) | _negative_zero(labels)
    if digits.bound is None:
        wrong |= (steps.sum(1, keepdim=True) != digits.parts).expand_as(wrong)
    return int(wrong.sum())


def _negative_zero(numbers: Tensor) -> Tensor:
    """Returns where a zero has a sign, which is a bit that nobody sees."""
    return (numbers == 0) & numbers.signbit()
