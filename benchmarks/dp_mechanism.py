"""The private mechanism in figures: one line of JSON per measurement.

    python benchmarks/dp_mechanism.py --repetitions 200
    python benchmarks/dp_mechanism.py --part defects --part noise

Which planted defects are refuted at which epsilon, how often the correct mechanism is, how far the
account is above dp-accounting's, how normal the noise is, and what an answer about 2,350 patients
costs. The films are drawn noise.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
from dp_accounting.pld import PLDAccountant
from scipy.stats import kstest, pearsonr
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from medidd.architectures import convnet
from medidd.data import NORMALIZATION
from privacy.dp.accounting import Guarantee, Series, series_for
from privacy.dp.mechanism import PatientGaussian
from privacy.dp.noise import gaussian
from privacy.dp.phantoms import phantoms
from privacy.dp.refute import refute
from privacy.dp.source import PrivateSource
from tests.privacy.dp.defects import DEFECTS
from tests.privacy.dp.test_noise import anderson

PATIENTS = 2_350
DELTA = 1e-4
HISTORIES = [
    [(1.0, 0.05, 1000)],
    [(10.3, 0.1, 1000)],
    [(1.61, 0.1, 1000)],
    [(1.0, 0.1, 10)],
    [(1.5, 0.5, 3)],
    [(0.8, 0.01, 500)],
    [(2.0, 1.0, 5), (1.0, 0.1, 100)],
]


@dataclass(frozen=True)
class Asked:
    """A question of a method."""

    f: Callable[[Tensor, Tensor], Any]
    classes: tuple[int, ...]
    bound: float | None = None
    weight: float = 1.0


@click.command()
@click.option("--repetitions", type=int, default=200, show_default=True)
@click.option("--trials", type=int, default=500, show_default=True, help="Of each repetition.")
@click.option("--part", "chosen", multiple=True, help="Only these; by default all.")
def main(repetitions: int, trials: int, chosen: tuple[str, ...]) -> None:
    """Measures everything."""
    torch.set_num_threads(1)
    parts = {
        "accounts": accounts(),
        "noise": noise(),
        "defects": defects(),
        "correct": correct(repetitions, trials),
        "costs": costs(),
    }
    for name in chosen or parts:
        for line in parts[name]:
            click.echo(json.dumps(line))


def accounts() -> Iterator[dict[str, Any]]:
    """Our epsilon over that of dp-accounting, which rounds up."""
    for history in HISTORIES:
        for delta in (1e-3, 1e-5):
            account = PLDAccountant(value_discretization_interval=1e-4)
            for sigma, rate, releases in history:
                event = GaussianDpEvent(sigma)
                sampled = event if rate == 1 else PoissonSampledDpEvent(rate, event)
                account.compose(SelfComposedDpEvent(sampled, releases))
            pld = account.get_epsilon(delta)
            ours = Guarantee.of([Series(s, t, q) for s, q, t in history], delta).epsilon
            yield {"account": history, "delta": delta, "pld": pld, "ours over pld": ours / pld}


def noise() -> Iterator[dict[str, Any]]:
    """How normal a million numbers are, and how independent two runs."""
    began = time.process_time()
    first = gaussian(1_000_000)
    taken, second = time.process_time() - began, gaussian(1_000_000)
    yield {
        "noise": "1e6 numbers",
        "seconds": round(taken, 3),
        "KS p": round(float(kstest(first, "norm").pvalue), 3),
        "Anderson": round(anderson(first), 3),
        "correlation p": round(float(pearsonr(first, second).pvalue), 3),
    }


def defects() -> Iterator[dict[str, Any]]:
    """Every defect at every epsilon, with the default number of runs."""
    for epsilon in (1, 3, 10):
        for name, make in DEFECTS.items():
            began = time.process_time()
            found = refute(series_for(epsilon, DELTA), make)
            worst = max(found.attempts, key=lambda attempt: attempt.proved)
            yield {
                "defect": name,
                "epsilon": epsilon,
                "refuted": found.refuted,
                "claimed mu": round(worst.claimed, 2),
                "proved mu": round(worst.proved, 2),
                "by": worst.pair,
                "seconds": round(time.process_time() - began, 1),
            }


def correct(repetitions: int, trials: int) -> Iterator[dict[str, Any]]:
    """How often the correct mechanism is refuted."""
    for epsilon, share in ((1, 3), (3, 3), (10, 3)):
        rounds = -(-repetitions // share)
        found = [refute(series_for(epsilon, DELTA), trials=trials) for _ in range(rounds)]
        yield {
            "defect": "none",
            "epsilon": epsilon,
            "repetitions": rounds,
            "trials": trials,
            "refuted": sum(one.refuted for one in found),
            "largest proved over claimed": round(
                max(a.proved / a.claimed for one in found for a in one.attempts), 3
            ),
        }


def costs() -> Iterator[dict[str, Any]]:
    """Seconds for one answer about all patients, and its error."""
    net, public = convnet(2, 1, 32), NORMALIZATION.standardize(phantoms(64, 32))
    thetas = [net.init(torch.Generator().manual_seed(seed)) for seed in range(20)]
    films = NORMALIZATION.standardize(phantoms(PATIENTS, 32))
    labels = (torch.arange(PATIENTS) % 3 > 0).long()

    def gradient(x: Tensor, y: Tensor) -> list[Tensor]:
        with torch.enable_grad():
            theta = {name: w.clone().requires_grad_() for name, w in thetas[0].items()}
            loss = torch.nn.functional.cross_entropy(net(theta, x), y)
            return list(torch.autograd.grad(loss, list(theta.values())))

    asked = {
        "embedding by 20 networks": [
            Asked(lambda x, _, w=theta: net.embed(w, x).mean(0), (label,))
            for label in (0, 1)
            for theta in thetas
        ],
        "gradient": [Asked(gradient, (label,)) for label in (0, 1)],
    }
    for name, questions in asked.items():
        mechanism = PatientGaussian(series_for(10, 1e-5), patients=2_500)
        private = PrivateSource(films, labels, range(PATIENTS), 2, mechanism, public)
        began = time.process_time()
        private.means(questions, size=1)
        yield {"answer": name, "process seconds": round(time.process_time() - began, 1)}


if __name__ == "__main__":
    main()
