"""How often the bounds of the attacks hold, and how often a release is failed or passed.

    python benchmarks/coverage.py
    python benchmarks/coverage.py --rounds 200 --part verdicts

Prints tables in Markdown. Scores are drawn: no release, no films. Controls are standard normal;
members are shifted (binormal), or a tenth of them is exposed for certain and the others not at
all. The parts: "bounds" for AUC, rates, residual risk and epsilon; "verdicts" for the whole
statistical side with three correlated attacks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import click
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm

from privacy import Finding, Level, Policy, Verdict, decide, load_policy
from privacy.attacks.attack import Scored, judge
from privacy.statistics.epsilon import epsilon_low
from privacy.statistics.power import power
from privacy.statistics.scores import AucBounds, Scores, tail

Array = NDArray[np.float64]

AUCS = (0.5, 0.6, 0.65, 0.8)
SIZES = (50, 150, 500)
NAMES = ("A1", "A2", "A3")


@click.command()
@click.option("--rounds", default=2000, show_default=True)
@click.option("--part", "parts", multiple=True, default=("bounds", "verdicts"))
@click.option("--seed", default=0, show_default=True)
def main(rounds: int, parts: tuple[str, ...], seed: int) -> None:
    """Measures each part."""
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(seed)
    for part in parts:
        click.echo(f"{part}, {rounds} rounds, seed {seed}\n")
        PARTS[part](rounds, rng)
        click.echo()


def bounds(rounds: int, rng: torch.Generator) -> None:
    """Prints the coverage of one-sided 95 % bounds."""
    error = 2 * np.sqrt(0.05 * 0.95 / rounds)
    click.echo(f"Nominal .950; two Monte-Carlo errors are {error:.3f}.\n")
    click.echo(
        "| members exposed, AUC | n | AUC low | AUC high | TPR low | TPR high | risk low "
        "| risk high | epsilon low |"
    )
    click.echo("|---|---|---|---|---|---|---|---|---|")
    leaks = {f"all, {auc}": Leak(float(np.sqrt(2) * norm.ppf(auc))) for auc in AUCS}
    for name, leak in (leaks | {"a tenth, 0.55": Leak(0.0, 0.1)}).items():
        for n in SIZES:
            held = np.mean([_held(leak, n, rng) for _ in range(rounds)], 0)
            click.echo(f"| {name} | {n} | {_cells(held)} |")


@dataclass(frozen=True)
class Leak:
    """Members that score ``shift`` higher; a share ``exposed`` of them is above everybody.

    The truth behind the bounds is known: rates at a threshold, AUC and epsilon.
    """

    shift: float
    exposed: float = 0.0

    def rates(self, t: Array) -> tuple[Array, Array]:
        """Returns the share of members and of controls above t."""
        return self.exposed + (1 - self.exposed) * norm.sf(t - self.shift), norm.sf(t)

    @property
    def auc(self) -> float:
        """The true AUC."""
        return self.exposed + (1 - self.exposed) * float(norm.cdf(self.shift / np.sqrt(2)))

    @cached_property
    def epsilon(self) -> float:
        """The largest log-ratio of the rates, on either side, of thresholds from -4 to 5."""
        tpr, fpr = self.rates(np.linspace(-4, 5, 400))
        return float(np.log(np.maximum(tpr / fpr, (1 - fpr) / (1 - tpr))).max())

    def scores(self, n: int, rng: torch.Generator) -> Scores:
        """Returns scores of n members and n controls."""
        members, controls = torch.randn(2, n, generator=rng, dtype=torch.float64)
        exposed = 20.0 * (torch.rand(n, generator=rng) < self.exposed)
        return Scores(members + self.shift + exposed, controls)


def _held(leak: Leak, n: int, rng: torch.Generator) -> Array:
    """Returns which bounds hold in one draw."""
    scores = leak.scores(n, rng)
    of_auc, at = AucBounds(scores, rng, rounds=500), tail(scores)
    t = float(scores.controls.sort(descending=True).values[at.k - 1])
    tpr, fpr = leak.rates(np.array(t))
    risk = (tpr - fpr) / (1 - fpr)
    tpr_low, tpr_high = at.tpr_bounds()
    risk_low, risk_high = at.risk_bounds()
    held = [
        of_auc.low() <= leak.auc,
        leak.auc <= of_auc.high(),
        tpr_low <= tpr,
        tpr <= tpr_high,
        risk_low <= risk,
        risk <= risk_high,
        epsilon_low(scores) <= leak.epsilon,
    ]
    return np.array(held, dtype=float)


def verdicts(rounds: int, rng: torch.Generator) -> None:
    """Prints verdicts of the gate on four attacks, A4 being the union of the others."""
    policy = load_policy()
    policy = policy.model_copy(
        update={"statistical": NAMES, "required": dict.fromkeys(Level, NAMES)}
    )
    click.echo(
        "| leak (AUC of each) | n | correlation | one attack FAIL | gate FAIL | one attack PASS "
        "| gate PASS | one attack PASS, planned |"
    )
    click.echo("|---|---|---|---|---|---|---|---|")
    for shift, correlations in ((0.0, (0.3, 0.8)), (policy.largest_mu, (0.3,))):
        for n in (47, 60, 100, 150):
            for shared in correlations:
                first, gate = zip(
                    *(_verdict(n, shift, shared, policy, rng) for _ in range(rounds)), strict=True
                )
                planned = power(n, n, policy).chance_to_pass
                cells = [
                    sum(one is v for one in side) / rounds
                    for v in (Verdict.FAIL, Verdict.PASS)
                    for side in (first, gate)
                ]
                click.echo(
                    f"| {norm.cdf(shift / np.sqrt(2)):.2f} | {n} | {shared} | {_cells(cells)} | "
                    + (f"{planned:.3f} |" if not shift else "|")
                )


def _verdict(
    n: int, shift: float, shared: float, policy: Policy, rng: torch.Generator
) -> tuple[Verdict, Verdict]:
    attacks = three_attacks(n, (shift,) * 3, shared, rng)
    findings: list[Finding] = [
        judge(name, name, Scored(one, one), policy, rng)
        for name, one in zip(NAMES, attacks, strict=True)
    ]
    return findings[0].verdict, decide(findings, policy, Level.STANDARD).verdict


def three_attacks(
    n: int, shifts: tuple[float, ...], shared: float, rng: torch.Generator
) -> list[Scores]:
    """Returns three attacks' scores of n members and n controls, correlated by ``shared``."""
    noise = torch.randn(3, 2 * n, generator=rng, dtype=torch.float64)
    common = torch.randn(2 * n, generator=rng, dtype=torch.float64)
    values = (1 - shared) ** 0.5 * noise + shared**0.5 * common
    strata = torch.arange(n) % 2
    return [
        Scores(x[:n] + shift, x[n:], strata, strata)
        for x, shift in zip(values, shifts, strict=True)
    ]


def _cells(values: object) -> str:
    return " | ".join(f"{one:.3f}" for one in np.asarray(values))


PARTS: dict[str, Callable[[int, torch.Generator], None]] = {
    "bounds": bounds,
    "verdicts": verdicts,
}

if __name__ == "__main__":
    main()
