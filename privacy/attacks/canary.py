"""A8: how much does the method reveal about a patient in the worst case?

This is the attacker of theoretical proofs, who knows every other patient and plants films that a
method remembers best. The release itself cannot answer the question, because each patient is either
in it or not. So the method is run again several times, never for export. In each run a fair coin
decides for every planted patient, the canary, whether the canary takes part. An attack on canary j
in run i knows all coins and scores of the other runs (Carlini et al., IEEE S&P 2022, with one
variance for all; the most vulnerable samples: Aerni et al., CCS 2024).

A canary is seen in every run, so observations are not independent. Bounds that assume independence
would miss the truth up to six times as often as they say. Runs and canaries are resampled instead.
Epsilon depends on the coins alone, which are independent (Steinke et al., NeurIPS 2023).

With a guarantee of differential privacy, the limit is the risk that the guarantee claims. A lower
bound above it refutes the guarantee.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from privacy.attacks.membership import confidence
from privacy.attacks.tracing import explanations, leanings
from privacy.evidence import Canaries, Evidence
from privacy.finding import Finding, Verdict
from privacy.policy import FPR, Policy, risk_of
from privacy.release import Films
from privacy.statistics.scores import Array, Scores, Tail, clopper_pearson, rank_at, tail


def _traced(evidence: Evidence, canaries: Canaries) -> Tensor:
    """Returns how far each run, or its model, leans towards each canary, (runs, canaries).

    What is usual in a class is taken from all other patients: a planted control is no control. A
    model needs nothing to compare with.
    """
    everybody, planted = evidence.everybody, canaries.films
    if evidence.explained is not None:
        seen = explanations(evidence.explained, canaries.releases, planted)
    else:
        others = everybody.of(set(everybody.ids) - set(planted.ids))
        both = others.beside(planted)
        seen = leanings(evidence.matches, canaries.releases, both)[:, len(others) :]
    return torch.stack([planted.per_patient(row) for row in seen])


def _trained(evidence: Evidence, canaries: Canaries) -> Tensor:
    """Returns how sure networks trained on each run are of each canary, (runs, canaries)."""
    planted = canaries.films
    return torch.stack(
        [
            planted.per_patient(confidence(evidence.fits, release, planted))
            for release in canaries.releases
        ]
    )


ATTACKS: Mapping[str, Callable[[Evidence, Canaries], Tensor]] = {"A1": _traced, "A2": _trained}
SHARES = (1.0, 0.5, 0.25, 0.125, 0.0625)
"""Shares of the canaries on which the attacker may make a guess."""

FEWEST = 4
"""Least number of runs: with fewer, one half of the runs has nothing to compare with."""


def worst_case(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:
    """Bounds the residual risk of canaries; a lower bound above twice the policy's risk fails."""
    canaries, limit = evidence.canaries, 2 * policy.residual_risk
    if evidence.mu is not None:
        limit = risk_of(evidence.mu)
    if canaries is None:
        return _invalid(limit, "There are no distillations with planted patients.")
    left_out, runs = int((~canaries.included).sum()), len(canaries.releases)
    if runs < FEWEST or rank_at(FPR, left_out) < 1 or not canaries.included.any():
        return _invalid(limit, "There are too few planted patients or too few runs for a result.")
    level = 1 - 0.05 / len(ATTACKS)
    rows: dict[str, dict[str, Any]] = {}
    for name, attack in ATTACKS.items():
        scores = attack(evidence, canaries).cpu().double()
        if not scores.isfinite().all():
            return _invalid(limit, f"{name} gave no score for some planted patients.")
        rows[name] = _row(centred(scores, canaries.films), canaries, rng, level)
    name, worst = max(rows.items(), key=lambda row: float(row[1]["low"]))
    planted = len(canaries.films.ids)
    return Finding(
        audit="A8",
        name="Planted patients, the worst case",
        verdict=Verdict.FAIL if worst["low"] > limit else Verdict.PASS,
        value=worst["risk"],
        low=worst["low"],
        high=worst["high"],
        limit=limit,
        chance=0.0,
        text=(
            f"In {runs} distillations made to be attacked, with {planted} planted patients, attack "
            f"{name} exposes {max(0.0, worst['risk']):.0%} of these patients beyond chance at 5 % "
            f"false alarms (at least {max(0.0, worst['low']):.0%}; limit {limit:.0%}). No "
            f"differential privacy below epsilon {worst['epsilon at least']:.1f} can be claimed "
            "for the method."
        ),
        details={"runs": runs, "planted patients": planted, "attacks": rows},
    )


def centred(scores: Tensor, films: Films) -> Tensor:
    """Returns scores (runs, canaries) minus their mean in each run over canaries of one sort.

    A sort is a class and a combination of traits. What a run gives to all canaries of a sort says
    nothing about their coins; examples are a bias for one class, or how much the run took from
    patterns.
    """
    first = films.first.tolist()
    words = [[said[i] for i in first] for said in films.traits.values()]
    sorts = list(zip(films.labels[first].tolist(), *words, strict=True))
    known = sorted(set(sorts))
    of = F.one_hot(torch.tensor([known.index(one) for one in sorts]), len(known)).to(scores)
    return scores - (scores @ of / of.sum(0)) @ of.T


def likelihood_ratios(scores: Tensor, included: Tensor) -> Tensor:
    """Returns how much likelier each score is "in" than "out", (runs, canaries), as a logarithm.

    Each run is judged by the other runs alone.
    """
    others = [[k for k in range(len(scores)) if k != run] for run in range(len(scores))]
    return torch.stack(
        [
            ratios(score, scores[rest], included[rest])
            for score, rest in zip(scores, others, strict=True)
        ]
    )


def ratios(score: Tensor, known: Tensor, included: Tensor) -> Tensor:
    """Returns log N(score; mean in) / N(score; mean out) of one run, (canaries,).

    Args:
        score: each canary's score in that run, (canaries,).
        known: scores in other runs, (runs, canaries).
        included: which canaries took part in those runs, (runs, canaries), bool.
    """
    inside = included.to(known)
    times_in, times_out = inside.sum(0), (1 - inside).sum(0)
    mean_in = (known * inside).sum(0) / times_in.clamp_min(1)
    mean_out = (known * (1 - inside)).sum(0) / times_out.clamp_min(1)
    spread = (known - torch.where(included, mean_in, mean_out)).square().sum()
    groups = (times_in > 0).sum() + (times_out > 0).sum()
    variance = spread / (known.numel() - groups).clamp_min(1)
    ratio = (mean_in - mean_out) * (score - (mean_in + mean_out) / 2)
    # A canary that was always in, or always out, cannot be compared.
    ratio = ratio * ((times_in > 0) & (times_out > 0))
    return ratio / variance.clamp_min(1e-12 * known.square().mean() + 1e-30)


@dataclass(frozen=True, eq=False)
class Pooled:
    """All observations, one for each canary in each run.

    Attributes:
        ratios: (runs, canaries).
        included: (runs, canaries), bool.
    """

    ratios: Tensor
    included: Tensor

    @property
    def tail(self) -> Tail:
        """The attack at 5 % false alarms."""
        return tail(Scores(self.ratios[self.included], self.ratios[~self.included]), FPR)

    def risk_bounds(
        self, rng: Generator, level: float = 0.95, rounds: int = 1_000
    ) -> tuple[float, float]:
        """Returns lower and upper bound of R for canaries and runs like these.

        Runs and canaries are resampled. If the attack catches hardly anything, resampling shows too
        little spread, so no bound is tighter than the bound for independent observations.
        """
        resampled = self._resampled(rng, rounds)
        low, high = self.tail.risk_bounds(level)
        return (
            min(low, float(np.quantile(resampled, 1 - level))),
            max(high, float(np.quantile(resampled, level))),
        )

    def _resampled(self, rng: Generator, rounds: int) -> Array:
        """Returns R of resampled runs and canaries, (rounds,)."""
        draws = np.random.default_rng(int(torch.randint(2**62, (), generator=rng)))
        runs, canaries = self.ratios.shape
        of_run = draws.multinomial(runs, np.full(runs, 1 / runs), rounds)
        of_canary = draws.multinomial(canaries, np.full(canaries, 1 / canaries), rounds)
        times = (of_run[:, :, None] * of_canary[:, None]).reshape(rounds, -1)
        order = self.ratios.flatten().argsort(descending=True).numpy()
        inside = self.included.flatten().numpy()[order]
        times = times[:, order]
        caught_out = np.cumsum(times * ~inside, 1)
        caught_in = np.cumsum(times * inside, 1)
        out, within = caught_out[:, -1], caught_in[:, -1].clip(1)
        # As in ``tail``: the threshold is the k-th largest score of those left out.
        k = (FPR * (out + 1) + 1e-9).astype(int)
        above = (caught_out < k[:, None]).sum(1)
        hits = np.take_along_axis(caught_in, above[:, None] - 1, 1)[:, 0] * (above > 0)
        risk: Array = 1 - (1 - hits / within) / (1 - k / (out + 1))
        return risk


def epsilon(scores: Tensor, included: Tensor, level: float = 0.95) -> tuple[float, float]:
    """Returns a lower bound of epsilon, and the largest that so many guesses could have shown.

    From the first half of the runs the attacker learns, and chooses how many guesses to make. Only
    the other half counts. If the method is epsilon-DP, a guess at a fair coin is right with a
    chance of at most e^epsilon / (1 + e^epsilon), whatever the other coins are (Steinke et al.).
    """
    half = len(scores) // 2
    tried = likelihood_ratios(scores[:half], included[:half])
    first, second = included[:half], included[half:]
    share = max(SHARES, key=lambda share: _shown(*_guessed(tried, first, share), level))
    found = torch.stack([ratios(score, scores[:half], first) for score in scores[half:]])
    right, guesses = _guessed(found, second, share)
    return _shown(right, guesses, level), _shown(guesses, guesses, level)


def _guessed(found: Tensor, included: Tensor, share: float) -> tuple[int, int]:
    """Returns how many of the surest guesses are right, and how many there are."""
    guesses = max(1, round(share * found.numel()))
    rows = found.flatten().abs().topk(guesses).indices
    right = (found.flatten()[rows] > 0) == included.flatten()[rows]
    return int(right.sum()), guesses


def _shown(right: int, guesses: int, level: float) -> float:
    low, _ = clopper_pearson(right, guesses, level)
    return max(0.0, math.log(low / (1 - low))) if low > 0 else 0.0


def _row(scores: Tensor, canaries: Canaries, rng: Generator, level: float) -> dict[str, Any]:
    included = canaries.included.cpu()
    pooled = Pooled(likelihood_ratios(scores, included), included)
    low, high = pooled.risk_bounds(rng, level)
    at_least, ceiling = epsilon(scores, included, level)
    return {
        "risk": pooled.tail.risk,
        "low": low,
        "high": high,
        "caught in": pooled.tail.tpr,
        "caught out": pooled.tail.fpr,
        "epsilon at least": at_least,
        "epsilon ceiling": ceiling,
    }


def _invalid(limit: float, text: str) -> Finding:
    nan = math.nan
    return Finding(
        "A8", "Planted patients, the worst case", Verdict.INVALID, nan, nan, nan, limit, text
    )
