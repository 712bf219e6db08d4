"""The table: every audit fails a planted leak and does not fail fresh draws.

A new audit adds one row to ``LEAKS``.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from invented_radiographs import cohort, evidence, mlp, noise
from torch.nn import functional as F

from privacy import AUDITS, Evidence, Films, Level, Nulls, Policy, Release, Verdict, audit, decide
from privacy import folds as draw_folds


def fresh(seed: int) -> Evidence:
    """Returns evidence without a leak: noise, judged with null releases of noise."""
    rng = torch.Generator().manual_seed(100 + seed)
    members, controls = cohort(80, rng, "IN", extra=20), cohort(80, rng, "OUT", extra=20)
    fold_of = draw_folds(members, rng) | draw_folds(controls, rng)
    nulls = Nulls(tuple(noise(4, rng) for _ in range(5)), fold_of)
    fits = [mlp(0, epochs=10)]
    return evidence(noise(4, rng), members, controls, nulls=nulls, fits=fits)


def few_patients(clean: Evidence) -> Evidence:
    return replace(clean, members=clean.members.of(clean.members.ids[:40]))


def named_patient(clean: Evidence) -> Evidence:
    note = f"case {clean.members.ids[0]}".encode()
    return replace(clean, outgoing=dict(clean.outgoing) | {"note.txt": note})


def swapped_file(clean: Evidence) -> Evidence:
    return replace(clean, outgoing=dict(clean.outgoing) | {"card.json": b"{}"})


def a_film(clean: Evidence) -> Evidence:
    images = torch.cat([clean.release.images[:3], clean.members.images[:1].flip(-1)])
    return replace(clean, release=Release(images, clean.release.labels))


def all_films(clean: Evidence) -> Evidence:
    def shuffled(films: Films, seed: int) -> Films:
        rng = torch.Generator().manual_seed(seed)
        drawn = torch.randint(2, (len(films.ids),), generator=rng)
        return Films(films.images, drawn[films.patient], films.patients)

    members = shuffled(clean.members, 1)
    release = Release(members.images, F.one_hot(members.labels, 2).float())
    controls = shuffled(clean.controls, 2)
    return replace(clean, release=release, members=members, controls=controls, fits=[mlp(0)])


LEAKS: dict[str, Callable[[Evidence], Evidence]] = {
    "G1": few_patients,
    "G2": lambda clean: replace(clean, start="random"),
    "G4": named_patient,
    "G8": swapped_file,
    "A5": a_film,
    "A2": all_films,
}


def test_every_audit_has_a_row(policy: Policy) -> None:
    assert LEAKS.keys() == AUDITS.keys()
    assert {name for names in policy.required.values() for name in names} <= AUDITS.keys()


@pytest.mark.parametrize("name", AUDITS)
def test_a_planted_leak_fails(name: str, policy: Policy, rng: torch.Generator) -> None:
    finding = AUDITS[name](LEAKS[name](fresh(0)), policy, rng)
    assert finding.audit == name
    assert finding.verdict is Verdict.FAIL


@pytest.mark.parametrize("name", AUDITS)
def test_fresh_draws_do_not_fail(name: str, policy: Policy, rng: torch.Generator) -> None:
    verdicts = [AUDITS[name](fresh(seed), policy, rng).verdict for seed in range(5)]
    assert Verdict.FAIL not in verdicts
    assert Verdict.INVALID not in verdicts


@pytest.mark.parametrize("name", AUDITS)
def test_the_same_seed_gives_the_same_finding(name: str, policy: Policy) -> None:
    first, second = (
        AUDITS[name](fresh(0), policy, torch.Generator().manual_seed(7)) for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("name", AUDITS)
def test_a_finding_says_nothing_about_a_patient(
    name: str, policy: Policy, rng: torch.Generator
) -> None:
    case = LEAKS[name](fresh(0))
    finding = str(AUDITS[name](case, policy, rng).to_json())
    assert not any(str(one) in finding for one in (*case.members.ids, *case.controls.ids))


def test_a_clean_release_passes_the_gate_and_every_leak_closes_it(
    policy: Policy, rng: torch.Generator
) -> None:
    case = fresh(0)
    findings = audit(case, policy, Level.STANDARD, rng)
    assert decide(findings, policy, Level.STANDARD).verdict is Verdict.PASS
    for name, leak in LEAKS.items():
        found = AUDITS[name](leak(case), policy, rng)
        spoiled = [found if f.audit == name else f for f in findings]
        assert decide(spoiled, policy, Level.STANDARD).verdict is Verdict.FAIL
