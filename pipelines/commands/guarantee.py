"""What a guarantee costs, and whether it holds: ``medidd dp plan`` and ``medidd dp audit``."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.learning.beforehand.kinds import needed
from pipelines.learning.plan import planned
from pipelines.learning.promise import promise
from pipelines.learning.recipe import recipe
from pipelines.learning.worth import hint
from pipelines.run.budget import Budget
from pipelines.run.errors import Exit, Stop
from pipelines.run.progress import Answer, Progress
from privacy.dp.neighbours import PAIRS
from privacy.dp.refute import ERROR, Attempt, Refutation, refute

_ASKS = {
    "experts": "its experts ask, count times epochs times epoch-steps; medidd experts says whether "
    "they can work",
    "denoiser": "its denoiser asks, once in each of its steps; medidd denoiser says whether it can "
    "work",
}
"""Who asks in place of a method, by the kind of what is trained before it."""


@dataclass(frozen=True)
class Plan:
    """Say what a guarantee would cost.

    Attributes:
        budget: the guarantee, and about how many patients there are.
        method: the method.
        ipc: images per class.
        classes: K.
        size: height and width in pixels.
        settings: the method's own fields.
    """

    budget: Budget
    method: str = "moments"
    ipc: int = 3
    classes: int = 2
    size: int = 64
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Audit:
    """Try to refute a guarantee.

    Attributes:
        budget: the guarantee.
        trials: releases of each of two neighbouring cohorts.
    """

    budget: Budget
    trials: int = 1000


def plan(job: Plan) -> Answer:
    """Returns what the guarantee promises, what the method asks, and whether it can work.

    Raises:
        Stop: the method or a setting does not exist, or the method asks nothing.
    """
    made = recipe(
        job.method,
        start="noise",
        ipc=job.ipc,
        settings=job.settings,
        classes=job.classes,
        size=job.size,
        width=32,
        private=True,
    )
    if not made.releases:
        trained = needed(job.method)
        asks = "" if trained is None else f"; {_ASKS[trained.name]}"
        raise Stop(f"{job.method} asks nothing itself{asks}", Exit.USAGE)
    budget, costs = job.budget, planned(made, job.budget, job.size)
    learned = round((1 - budget.held_out) * budget.patients)
    worth = hint(budget.epsilon, learned) if job.method == "moments" else ""
    times = "once" if costs.releases == 1 else f"{costs.releases} times"
    return Answer(
        [
            promise(budget),
            f"{job.method} asks {times} for {costs.numbers} numbers; the noise of each is "
            f"{costs.sigma:.3g} times the clip",
            f"of {budget.patients} patients about {learned} are learned from; the others are held "
            "out",
            f"signal to noise with {learned} patients: {costs.signal_to_noise(learned):.2g}; 1 is "
            f"reached with {costs.least_patients}",
            costs.sentence(learned),
            *([worth] if worth else []),
        ],
        {
            "epsilon": budget.epsilon,
            "delta": budget.delta,
            "mu": budget.series(1).mu,
            "patients": budget.patients,
            "learned from": learned,
            "method": job.method,
            "releases": costs.releases,
            "numbers": costs.numbers,
            "sigma": costs.sigma,
            "signal to noise": costs.signal_to_noise(learned),
            "least patients": costs.least_patients,
            "can work": costs.can_work(learned),
        },
    )


def audit(job: Audit) -> Generator[Progress, None, Answer]:
    """Attacks the mechanism on neighbouring invented cohorts; the generator's value is the answer.

    Raises:
        Stop: the guarantee is refuted (code 6); the installation must not be used.
    """
    series = job.budget.series(1)
    attempts: list[Attempt] = []
    for pair in PAIRS:
        yield Progress("attack the mechanism", len(attempts), len(PAIRS), pair.name)
        tried = refute(series, pairs=(pair,), trials=job.trials, error=ERROR / len(PAIRS))
        attempts += tried.attempts
    yield Progress("attack the mechanism", len(PAIRS), len(PAIRS))
    found = Refutation(tuple(attempts), job.trials, ERROR)
    if found.refuted:
        raise Stop(f"{found}; make no release with this installation, and report it", Exit.AUDIT)
    return Answer(
        [promise(job.budget), *map(str, attempts), str(found)],
        {
            "epsilon": job.budget.epsilon,
            "delta": job.budget.delta,
            "mu": series.mu,
            "trials": job.trials,
            "refuted": found.refuted,
            "attempts": [{"pair": one.pair, "mu at least": one.proved} for one in attempts],
        },
    )
