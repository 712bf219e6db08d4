"""A7: are unusual patients, or small groups, more exposed than the average shows?

The attacker uses A1's attack and chooses whom to look for: patients whose film is unlike others of
their class, or those of one sex, device or diagnosis. A release can hide most patients well and
still reveal these (Knolle et al., Nature 2026, find it in clinical data sets). What makes a film
unusual is measured over members and controls alike, so that it does not depend on membership.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from privacy.attacks.tracing import scores as attack
from privacy.attacks.views import VIEWS, shrink, standardise
from privacy.evidence import Evidence
from privacy.finding import Finding, Verdict
from privacy.policy import Policy
from privacy.release import Films
from privacy.statistics.scores import AucBounds, Scores, auc, exceedance_p, holm

NAME = "Unusual patients and small groups"
SHARE = 0.10
"""Share of each class that counts as its most atypical patients."""
LEAST = 20
"""A group with fewer members or fewer controls is not judged by itself."""
LEAST_ATYPICAL = 10
"""The same for the most atypical patients, because a tenth of 150 controls is never 20."""
NEIGHBOURS = 5


@dataclass(frozen=True, eq=False)
class Group:
    """Some of the patients, with their scores in the attack.

    Attributes:
        name: what they have in common; never an identifier.
        words: the same for people.
        scores: their scores.
    """

    name: str
    words: str
    scores: Scores

    @property
    def sizes(self) -> tuple[int, int]:
        """Members and controls whose class has both, so that they can be compared."""
        strata = self.scores.by_stratum()
        return sum(len(x) for x, _ in strata), sum(len(y) for _, y in strata)

    def row(self, bounds: AucBounds, level: float) -> dict[str, Any]:
        """Returns the group's row in the report."""
        members, controls = self.sizes
        return {
            "group": self.name,
            "in words": self.words,
            "members": members,
            "controls": controls,
            "auc": auc(self.scores),
            "low": bounds.low(level),
            "high": bounds.high(level),
        }


def exposed_groups(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:
    """Judges the attack's scores in each group."""
    calibrated = evidence.nulls is not None
    scores = attack(evidence).best_informed
    classes = (evidence.declared or {}).get("classes", ())
    return judge_groups(
        scores, evidence.everybody, policy, rng, calibrated=calibrated, classes=classes
    )


def judge_groups(
    scores: Scores,
    everybody: Films,
    policy: Policy,
    rng: Generator,
    *,
    calibrated: bool,
    classes: Sequence[str] = (),
) -> Finding:
    """Bounds the AUC in each group; only a lower bound above the limit fails.

    The bounds hold for all groups together: each is taken at 5 % divided by their number.

    Args:
        scores: of members and controls.
        everybody: films of the same patients in the same order, members first.
        policy: sets the limit.
        rng: for resampling.
        calibrated: whether the scores are against null releases.
        classes: names of the classes, for people; may be empty.
    """
    limit = policy.largest_auc
    whole = Group("everybody", "everybody", scores)
    finite = scores.members.isfinite().all() and scores.controls.isfinite().all()
    if not finite or not min(whole.sizes):
        return _invalid(limit, "The attack gave no scores for patients who can be compared.")
    found = list(groups(everybody, scores, classes))
    level = 1 - 0.05 / max(1, len(found))
    # A1 judges all patients together; their row is here only for comparison.
    reference = whole.row(AucBounds(scores, rng), level)
    rows, p = [], []
    for group in found:
        bounds = AucBounds(group.scores, rng)
        rows.append(group.row(bounds, level))
        p.append(exceedance_p(bounds.low, limit))
    over = sum(one <= 0.05 for one in holm(p))
    worst = max(rows, key=lambda row: float(row["low"]), default=reference)
    if over:
        text = f"{over} of {len(rows)} groups of patients are more exposed than is allowed."
    elif rows:
        text = f"None of {len(rows)} groups of patients was found more exposed than is allowed."
    else:
        text = f"No group has {LEAST} members and {LEAST} controls, so none was judged by itself."
    if rows:
        text += (
            f" In the group '{worst['in words']}' the attack is right {worst['auc']:.0%} of the "
            f"time (at least {worst['low']:.0%}, at most {worst['high']:.0%}; limit {limit:.0%})."
        )
    return Finding(
        audit="A7",
        name=NAME,
        verdict=Verdict.FAIL if over else Verdict.PASS,
        value=worst["auc"],
        low=worst["low"],
        high=worst["high"],
        limit=limit,
        chance=0.5,
        text=text,
        details={"null releases": calibrated, "groups": [reference, *rows]},
    )


def groups(everybody: Films, scores: Scores, classes: Sequence[str] = ()) -> Iterator[Group]:
    """Yields the groups that are large enough; groups of the same patients only once.

    Args:
        everybody: films of members and then controls.
        scores: of the same patients, in the same order.
        classes: names of the classes, for people; may be empty.
    """
    seen = {(True,) * len(everybody.ids)}
    for name, chosen, least in _candidates(everybody):
        words, patients = _words(name, classes), tuple(chosen.tolist())
        group = Group(name, words, _of(scores, chosen))
        if patients not in seen and min(group.sizes) >= least:
            seen.add(patients)
            yield group


def most_atypical(films: Films) -> Tensor:
    """Returns whether each patient is among the most atypical of the class, (P,) bool."""
    far = films.per_patient(atypicality(films))
    chosen = torch.zeros(len(films.ids), dtype=torch.bool, device=far.device)
    for stratum in sorted(set(films.strata.tolist())):
        inside = (films.strata == stratum).nonzero().flatten()
        chosen[inside[far[inside].topk(round(SHARE * len(inside))).indices]] = True
    return chosen


def atypicality(films: Films) -> Tensor:
    """Returns each film's mean distance to the five nearest films of other patients, (n,).

    Only films of the same class are compared, in coarse shape and without contrast. A film with
    nothing to compare with gets 0.
    """
    view = VIEWS["low-pass 2"]
    seen = [standardise(view(shrink(x))).flatten(1) for x in torch.split(films.images, 256)]
    points, far = torch.cat(seen), films.images.new_zeros(len(films))
    for label in sorted(set(films.labels.tolist())):
        inside = (films.labels == label).nonzero().flatten()
        for rows in torch.split(inside, 256):
            distance = torch.cdist(points[rows], points[inside])
            own = films.patient[rows].unsqueeze(1) == films.patient[inside]
            near = distance.masked_fill(own, torch.inf)
            near = near.topk(min(NEIGHBOURS, len(inside)), largest=False).values
            known = near.isfinite()
            far[rows] = near.where(known, 0).sum(1) / known.sum(1).clamp_min(1)
    return far


def _candidates(films: Films) -> Iterator[tuple[str, Tensor, int]]:
    """Yields name, patients (P,) bool and least size of every possible group."""
    yield f"most atypical {SHARE:.0%}", most_atypical(films), LEAST_ATYPICAL
    for label in range(1 + int(films.labels.max())):
        yield f"class {label}", (films.strata >> label) % 2 == 1, LEAST
    for trait, words in sorted(films.traits.items()):
        for word in sorted(set(words) - {""}):
            whose = {one for one, said in zip(films.patients, words, strict=True) if said == word}
            yield f"{trait} {word}", torch.tensor([one in whose for one in films.ids]), LEAST


def _words(name: str, classes: Sequence[str]) -> str:
    """Returns a group's name for people, who know neither classes by number nor what is hashed."""
    kind, _, word = name.partition(" ")
    if kind == "device":
        return f"one device (make and model as keyed hash {word})"
    if kind == "class" and classes:
        return f"class {classes[int(word)]}"
    return name


def _of(scores: Scores, chosen: Tensor) -> Scores:
    """Returns the scores of the chosen, (P,) bool, members first."""
    n1 = len(scores.members)
    first, last = chosen[:n1].to(scores.members.device), chosen[n1:].to(scores.controls.device)
    return Scores(
        scores.members[first],
        scores.controls[last],
        None if scores.member_strata is None else scores.member_strata[first],
        None if scores.control_strata is None else scores.control_strata[last],
    )


def _invalid(limit: float, text: str) -> Finding:
    nan = math.nan
    return Finding("A7", NAME, Verdict.INVALID, nan, nan, nan, limit, text)
