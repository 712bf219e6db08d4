"""What a run promises its patients: reserved in their account, and stated in the release."""

import secrets
from pathlib import Path

from pipelines.learning.asking import CLIP
from pipelines.learning.plan import Plan
from pipelines.run import ledger
from pipelines.run.budget import Budget, reserve
from pipelines.run.errors import Exit, Stop
from pipelines.run.installation import HOME
from pipelines.run.patients import Patients
from pipelines.run.store import Json, Run, once, read_json, write_json
from privacy.dp.accounting import Guarantee, strength

BEFOREHAND = "guarantee.json"
"""File in the private part of a folder of experts, or of a denoiser, that states its guarantee."""


def promised(run: Run, patients: Patients, budget: Budget, plan: Plan) -> Json:
    """Reserves what a run spends, and returns the guarantee as its release states it.

    Args:
        run: the run.
        patients: whose members are asked.
        budget: what may be spent.
        plan: what will be asked.

    Raises:
        Stop: the patients are not known, or their account does not allow it.
    """
    if not patients.unit:
        raise Stop(
            "films have no PatientID, so there can be no guarantee per patient; name the patients "
            "(--patient-column, --patient-pattern), or use --unit study or image if no patient has "
            "two of them",
            Exit.DATA,
        )
    # Random, so that nobody can pass off a second run as this one continued.
    fresh = not run.budget.exists()
    name = once(run.budget, lambda: {"run": secrets.token_hex(16)})["run"]
    try:
        reserve(patients, budget, budget.series(plan.releases), run=name)
    except Stop:
        if fresh:
            run.budget.unlink()  # nothing was reserved
        raise
    return stated(budget, plan, patients.unit)


def require_reserved(run: Run) -> None:
    """Checks that the ledger knows what a run with a guarantee has spent.

    Raises:
        Stop: it does not, so other runs on these patients would not count it.
    """
    if not run.budget.exists():
        return
    name = read_json(run.budget)["run"]
    if not any(one.kind == "budget" and one.release == name for one in ledger.entries()):
        raise Stop(
            f"{run.path}: the ledger of this installation does not know what this run has spent; "
            f"export it where it was made, with the same {HOME}",
            Exit.AUDIT,
        )


def of_beforehand(folder: Path, budget: Budget) -> Json:
    """Returns the guarantee of experts or a denoiser; what is learned from it needs no other.

    Raises:
        Stop: there is none, or another one.
    """
    path = Run(folder).private / BEFOREHAND
    found = read_json(path) if path.exists() else {}
    same = all(found.get(name) == getattr(budget, name) for name in ("epsilon", "delta"))
    if not same:
        has = f"epsilon {found['epsilon']:g}, delta {found['delta']:g}" if found else "no guarantee"
        raise Stop(
            f"{folder}: what was trained has {has}; train with the same --epsilon and --delta, or "
            "name these here",
            Exit.USAGE,
        )
    return found


def state_beforehand(folder: Path, guarantee: Json) -> None:
    """Writes down the guarantee of experts or a denoiser."""
    write_json(Run(folder).private / BEFOREHAND, guarantee)


def stated(budget: Budget, plan: Plan, unit: str) -> Json:
    """Returns the guarantee as a release states it.

    The total is the one that this command was given, if any. The one in the ledger depends on who
    the members are: an earlier release of a single one of them may have declared another.

    Args:
        budget: what was spent.
        plan: what was asked.
        unit: what counts as one patient.
    """
    series = budget.series(plan.releases)
    made = Guarantee.of([series], budget.delta)
    return {
        "epsilon": budget.epsilon,
        "delta": budget.delta,
        "in words": strength(budget.epsilon),
        "unit": unit,
        "neighbours": "one patient more or less",
        "mechanism": "Gaussian",
        "sigma": series.sigma,
        "clip": CLIP,
        "sampling": "none, every patient takes part",
        "releases": plan.releases,
        "numbers": plan.numbers,
        "mu": made.mu,
        "patients": budget.patients,
        "total": budget.total,
        "an attacker reaches at most": {
            "AUC": made.auc,
            "rate at 1 %": made.tpr(0.01),
            "rate at 5 %": made.tpr(0.05),
        },
    }


def promise(budget: Budget) -> str:
    """Returns in one line what the guarantee means."""
    made = Guarantee.of([budget.series(1)], budget.delta)
    return (
        f"epsilon {budget.epsilon:g}, delta {budget.delta:g} per patient "
        f"({strength(budget.epsilon)}): an attacker's AUC is at most {made.auc:.2f}; at 1 % false "
        f"alarms at most {made.tpr(0.01):.1%} of the members are caught"
    )
