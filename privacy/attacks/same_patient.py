"""A5c: can an attacker who has another film of a patient recognise the patient in a released image?

The attacker holds a film of a patient that was not used, and a network that tells whether two films
show the same person: chests are as good as faces for this (Packhäuser et al., Scientific Reports
2022). The attacker looks for the patient in the release.

The user has to supply that network, as the evidence's encoder. A network trained on the members'
own pairs of films recognises too few patients (docs/privacy.md has the figures), and an audit that
cannot see must not look as if it had seen.

The audit compares the films that were used. The attacker's film was not used, and can hardly be
more like a release than the films that went into it, so this audit makes the stronger attack. If
patients have several films, the audit also measures how well the encoder links films of one
patient.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from privacy.evidence import Evidence
from privacy.finding import Finding, Verdict
from privacy.policy import Policy
from privacy.release import Films
from privacy.statistics.scores import Scores, auc, holm

FPR = 0.01
"""Share of pairs of different people that the attacker takes for one person."""
NAME = "Recognised from another film"


@dataclass(frozen=True, eq=False)
class Verifier:
    """How well the encoder recognises patients, measured on pairs of films.

    Attributes:
        threshold: the similarity that pairs of different people exceed at a rate of FPR.
        auc: chance that two films of one patient are more alike than films of two patients; None if
            no patient has two films.
        recognized: share of pairs of one patient above the threshold; None in the same case.
        pairs: pairs of films of one patient.
    """

    threshold: float
    auc: float | None
    recognized: float | None
    pairs: int


def same_patient(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:  # noqa: ARG001
    """Looks for every member in every released image, and for one film of every control."""
    if evidence.encoder is None:
        return _not_assessable(
            "no network that recognises patients was given, and a network trained on the cohort's "
            "films recognises too few"
        )
    members, controls = evidence.members, evidence.controls
    if len(controls.ids) < 3:
        return _not_assessable("fewer than 3 controls cannot show what happens by chance")
    centre = _encoded(evidence.encoder, controls.images).mean(0)
    of_member, of_control, released = (
        F.normalize(_encoded(evidence.encoder, images) - centre, dim=1)
        for images in (members.images, controls.images, evidence.release.images)
    )
    same = [_pairs(of_member, members)[0], _pairs(of_control, controls)[0]]
    verifier = _verifier(torch.cat(same), _pairs(of_control, controls)[1])
    likeness = (released @ of_member.T).amax(1)
    strangers = of_control[controls.first]
    # An image may resemble everybody; what counts is how much more it resembles a member.
    excess = likeness - (released @ of_control.T).amax(1)
    themselves = torch.arange(len(strangers), device=strangers.device).unsqueeze(1)
    to_others = (strangers @ of_control.T).masked_fill(controls.patient == themselves, -torch.inf)
    by_chance = (strangers @ of_member.T).amax(1) - to_others.amax(1)
    p = holm([_rank_p(one, by_chance) for one in excess])
    linked = (likeness > verifier.threshold) & torch.tensor(
        [one <= 0.05 for one in p], device=likeness.device
    )
    value, needed = float(linked.sum()), 20 * len(released) - 1
    enough = len(strangers) >= needed
    return Finding(
        audit="A5c",
        name=NAME,
        verdict=Verdict.FAIL if value else Verdict.PASS,
        value=value,
        low=value,
        high=value,
        limit=0.0,
        p=min(p),
        text=_text(int(value), len(released), verifier)
        + (
            ""
            if enough
            else f" Not assessable: {len(strangers)} controls are too few to show whether "
            f"{len(released)} images resemble a patient only by chance ({needed} are needed)."
        ),
        details={
            "assessable": enough,
            "linked images": linked.nonzero().flatten().tolist(),
            "largest likeness": round(float(likeness.max()), 3),
            "threshold": round(verifier.threshold, 3),
            "pairs of one patient": verifier.pairs,
            "AUC of the encoder": verifier.auc,
            "recognised pairs": verifier.recognized,
            "controls": len(strangers),
        },
    )


def _pairs(vectors: Tensor, films: Films) -> tuple[Tensor, Tensor]:
    """Returns the likeness of each pair of films of one patient, and of different patients."""
    one, other = torch.triu_indices(len(films), len(films), 1, device=vectors.device)
    alike, likeness = films.patient[one] == films.patient[other], (vectors @ vectors.T)[one, other]
    return likeness[alike], likeness[~alike]


def _verifier(same: Tensor, different: Tensor) -> Verifier:
    k = max(1, int(FPR * len(different)))
    threshold = float(different.topk(k).values[-1])
    if not len(same):
        return Verifier(threshold, None, None, 0)
    recognized = float((same > threshold).double().mean())
    return Verifier(threshold, auc(Scores(same, different)), recognized, len(same))


def _encoded(encoder: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([encoder(part).flatten(1) for part in torch.split(images, 256)]).double()


def _rank_p(excess: Tensor, by_chance: Tensor) -> float:
    """Returns how rare an excess of this size is among the strangers and itself."""
    return (1 + int((by_chance >= excess).sum())) / (len(by_chance) + 1)


def _text(linked: int, images: int, verifier: Verifier) -> str:
    power = (
        "How well the network recognises patients is unknown, because no patient has two films."
        if verifier.recognized is None
        else f"The network recognises {verifier.recognized:.0%} of {verifier.pairs} pairs of films "
        f"of one patient, and takes {FPR:.0%} of pairs of different people for one person."
    )
    if linked:
        return f"{linked} of {images} released images are recognised as a patient. {power}"
    return f"No released image is recognised as a patient. {power}"


def _not_assessable(why: str) -> Finding:
    return Finding.exact(
        audit="A5c",
        name=NAME,
        verdict=Verdict.PASS,
        text=f"Not assessable: {why}. This says nothing about attackers who have another film.",
        value=0.0,
        limit=0.0,
        details={"assessable": False},
    )
