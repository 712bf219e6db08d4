"""A0: can members and controls be compared at all?

The attacker has no release, and tells members from controls by their films alone. This is possible
if the two were not drawn by the same coin, but come from different years, devices or diagnoses. All
other audits would then take this difference for a leak, or a leak for this difference (Das et al.,
2024, arXiv:2406.16201). No audit is valid either if it is not known what one patient is, or if a
film is on both sides.

The films pass one fixed layer of random filters. A regularised linear classifier (least squares on
the membership) learns on four fifths of the patients and is judged on the rest. Patients are
compared only within their fifth, because the scores of different classifiers have no common scale.
All this is repeated for memberships drawn again within each class. All classifiers are products
with the same matrix, which makes the test exact and fast.
"""

import hashlib

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Generator, Tensor
from torch.nn import functional as F

from privacy.attacks.views import shrink
from privacy.evidence import Evidence
from privacy.finding import Finding, Verdict
from privacy.nulls import folds
from privacy.policy import Policy
from privacy.release import Films
from privacy.statistics.scores import Array

UNITS = ("patient", "study", "image")
ERROR = 0.01
ROUNDS = 999
FILTERS = 24
RIDGE = 0.1  # of the number of patients; features have variance 1


def comparable(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:  # noqa: ARG001
    """Checks the unit, films on both sides, and whether the two sides can be told apart."""
    members, controls, everybody = evidence.members, evidence.controls, evidence.everybody
    n1 = len(members.ids)
    member = torch.arange(len(everybody.ids)) < n1
    fold_of = folds(everybody, rng)
    fold = torch.tensor([fold_of[one] for one in everybody.ids])
    auc, others = blind_auc(features(everybody), member, everybody.strata.cpu(), fold, rng)
    p = float((1 + (others >= auc).sum()) / (1 + len(others)))
    # The smallest AUC at which p is below ERROR.
    limit = float(np.sort(others)[-round(ERROR * (len(others) + 1)) + 1])
    shared = len(_digests(members) & _digests(controls))
    reasons = [_unit(evidence.unit)] if evidence.unit not in UNITS else []
    if shared:
        reasons.append(
            f"{shared} films belong to a member and to a control at once (equal pixels); either "
            "the two are one patient, or one of them has another patient's film."
        )
    if p < ERROR:
        reasons.append(
            "Without the release, films of members can be told from films of controls "
            f"({auc:.0%} of pairs, chance 50 %, p = {p:.3f}): they were not drawn alike, so no "
            "attack can be judged on them."
        )
    return Finding(
        audit="A0",
        name="Members and controls are comparable",
        verdict=Verdict.INVALID if reasons else Verdict.PASS,
        value=auc,
        low=auc,
        high=auc,
        limit=limit,
        chance=0.5,
        p=p,
        text=" ".join(reasons)
        or f"Without the release, members could not be told from controls by their films "
        f"({auc:.0%} of pairs, chance 50 %, p = {p:.2f}). One {evidence.unit} counts as one "
        "patient.",
        details={
            "members": n1,
            "controls": len(controls.ids),
            "unit": evidence.unit or "unknown",
            "films on both sides": shared,
        },
    )


def features(films: Films) -> Tensor:
    """Returns each patient's features, (P, D), standardised: the films' mean, and their number."""
    rng = torch.Generator().manual_seed(0)  # the same filters for every audit
    weight = torch.randn(FILTERS, films.images.shape[1], 5, 5, generator=rng)
    seen = []
    for batch in torch.split(films.images, 256):
        response = F.conv2d(shrink(batch), weight.to(batch.device), stride=2).relu()
        quarters = F.adaptive_avg_pool2d(response, 2).flatten(1)
        seen.append(torch.cat([quarters, response.flatten(2).std(2)], 1))
    per_film = torch.cat(seen).double()
    number = torch.bincount(films.patient).double().log()
    per_patient = torch.stack([films.per_patient(column) for column in per_film.T])
    together = torch.cat([per_patient, number.unsqueeze(0)]).T.cpu()
    centred = together - together.mean(0)
    return centred / centred.square().mean(0).sqrt().clamp_min(1e-9)


def blind_auc(
    x: Tensor, member: Tensor, strata: Tensor, fold: Tensor, rng: Generator, rounds: int = ROUNDS
) -> tuple[float, Array]:
    """Returns the cross-validated AUC, and the AUCs of memberships drawn again, (rounds,).

    Args:
        x: features, (P, D).
        member: (P,), bool.
        strata: (P,) class of each patient.
        fold: (P,) drawn without regard to membership.
        rng: draws the memberships.
        rounds: how many memberships are drawn.
    """
    y = member.double().unsqueeze(1).repeat(1, 1 + rounds)
    for stratum in sorted(set(strata.tolist())):  # draws in a fixed order
        rows = (strata == stratum).nonzero().flatten()
        orders = torch.rand(len(rows), rounds, generator=rng).argsort(0)
        y[rows, 1:] = member[rows].double()[orders]
    wins, pairs = np.zeros(1 + rounds), np.zeros(1 + rounds)
    for k in set(fold.tolist()):
        train, test = fold != k, fold == k
        inside, centred = x[train] - x[train].mean(0), y[train] - y[train].mean(0)
        ridge = RIDGE * len(inside) * torch.eye(x.shape[1], dtype=x.dtype)
        weights = torch.linalg.solve(inside.T @ inside + ridge, inside.T @ centred)
        for stratum in set(strata[test].tolist()):
            cell = test & (strata == stratum)
            truth = y[cell].numpy()
            n1 = truth.sum(0)
            ranks = rankdata((x[cell] @ weights).numpy(), axis=0)
            wins += (ranks * truth).sum(0) - n1 * (n1 + 1) / 2
            pairs += n1 * (len(truth) - n1)
    aucs = np.where(pairs > 0, wins / np.maximum(pairs, 1), 0.5)
    return float(aucs[0]), aucs[1:]


def _unit(unit: str) -> str:
    if not unit:
        return (
            "It is not known what one patient is, because films name none. If every study, or "
            "every image, is of a different patient, say so with --unit study or --unit image."
        )
    return f"'{unit}' is no unit of privacy; --unit takes {', '.join(UNITS[:-1])} or {UNITS[-1]}."


def _digests(films: Films) -> set[bytes]:
    # Adding 0 makes -0 and 0 the same bytes.
    arrays = (films.images.cpu() + 0.0).numpy()
    return {hashlib.sha256(one.tobytes()).digest() for one in arrays}
