"""The table: every audit refuses a planted leak and does not refuse fresh draws.

A new audit adds one row to ``LEAKS``, and so does a new sort of release.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import compress

import pytest
import torch
from invented_radiographs import SIDE, cohort, evidence, mlp, models, noise, quantized
from safetensors.torch import save
from torch.nn import functional as F

from privacy import AUDITS, Evidence, Films, Level, Nulls, Policy, Release, Verdict, audit, decide
from privacy import folds as draw_folds
from privacy.attacks.views import standardise
from privacy.evidence import Again, Canaries, Earlier

RUNS, CANARIES = 16, 32


@pytest.fixture(autouse=True)
def few_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every draw is of other people, and each would ask 160 of them what chance does."""
    monkeypatch.setattr("privacy.likeness.clearness.STRANGERS", 80)


@cache
def fresh(seed: int) -> Evidence:
    """Returns evidence without a leak: noise, judged with null releases of noise."""
    rng = torch.Generator().manual_seed(100 + seed)
    members, controls = cohort(80, rng, "IN", extra=20), cohort(80, rng, "OUT", extra=20)
    fold_of = draw_folds(members, rng) | draw_folds(controls, rng)
    nulls = Nulls(tuple(quantized(noise(4, rng)) for _ in range(5)), fold_of)
    released = quantized(noise(4, rng))
    canaries = planted(controls, [quantized(noise(4, rng)) for _ in range(RUNS)], rng)
    return evidence(
        released,
        members,
        controls,
        nulls=nulls,
        fits=[mlp(0, epochs=10)],
        canaries=canaries,
        again=Again(released),
    )


def planted(controls: Films, releases: list[Release], rng: torch.Generator) -> Canaries:
    """Returns canaries whose coins the releases know nothing of."""
    films = controls.at(controls.first[:CANARIES].tolist())
    included = torch.rand(len(releases), CANARIES, generator=rng) < 0.5
    return Canaries(films, included, tuple(releases))


def few_patients(clean: Evidence) -> Evidence:
    return replace(clean, members=clean.members.of(clean.members.ids[:40]))


def named_patient(clean: Evidence) -> Evidence:
    note = f"case {clean.members.ids[0]}".encode()
    return replace(clean, outgoing=dict(clean.outgoing) | {"note.txt": note})


def swapped_file(clean: Evidence) -> Evidence:
    return replace(clean, outgoing=dict(clean.outgoing) | {"manifest.json": b"{}"})


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


def weights_beside(clean: Evidence) -> Evidence:
    """Plants the running mean of a network in the release file."""
    tensors = {"images": clean.release.images, "labels": clean.release.labels}
    mean = {"features.1.running_mean": clean.members.images.mean((0, 2, 3))}
    files = dict(clean.outgoing) | {"synthetic.safetensors": save(tensors | mean)}
    return replace(clean, outgoing=files)


def many_digits(clean: Evidence) -> Evidence:
    images = clean.release.images + torch.linspace(0, 1e-5, SIDE)
    return replace(clean, release=Release(images, clean.release.labels))


def exported_before(clean: Evidence) -> Evidence:
    past = Earlier("export", "ab" * 32, frozenset(clean.members.ids[:3]))
    return replace(clean, earlier=(past,))


def hidden_bits(clean: Evidence) -> Evidence:
    """Changes the last bit of one image, as somebody inside could."""
    levels = (clean.release.images * 255).round()
    levels[0] += 1 - 2 * (levels[0] % 2)
    return replace(clean, release=Release(levels / 255, clean.release.labels))


def another_scanner(clean: Evidence) -> Evidence:
    """Makes members' films brighter, as those of another device."""
    members = clean.members
    return replace(clean, members=replace(members, images=(members.images * 1.4).clamp(0, 1)))


def twelve_films(clean: Evidence) -> Evidence:
    films = clean.members.at(clean.members.first[:12].tolist())
    return replace(clean, release=Release(films.images, F.one_hot(films.labels, 2).float()))


def as_it_is(clean: Evidence) -> Evidence:
    """Plants a film that is neither mirrored nor moved."""
    images = torch.cat([clean.release.images[:3], clean.members.images[:1]])
    return replace(clean, release=Release(images, clean.release.labels))


def recognised(clean: Evidence) -> Evidence:
    """Releases a film, to somebody who can tell whose films are whose."""
    return replace(as_it_is(clean), encoder=lambda images: standardise(images).flatten(1))


def canaries_in_it(clean: Evidence) -> Evidence:
    """Releases the planted films themselves wherever their coins let them in."""
    assert clean.canaries is not None
    films, included = clean.canaries.films, clean.canaries.included
    releases = tuple(
        Release(films.images[drawn], F.one_hot(films.labels[drawn], 2).float())
        for drawn in included
    )
    return replace(clean, canaries=Canaries(films, included, releases))


def from_a_model(clean: Evidence, shift: float = 0.0) -> Evidence:
    """Draws every release from a model that explains films it was trained on better by ``shift``.

    Apart from that, each film is harder or easier for all models, and chance adds to it.
    """
    assert clean.nulls is not None
    assert clean.canaries is not None
    rng, films, canaries = torch.Generator().manual_seed(9), clean.everybody, clean.canaries
    ease = 2 * torch.randn(len(films), generator=rng)
    trained: dict[Release, set[object]] = {clean.release: set(clean.members.ids)}
    trained |= {null: set() for null in clean.nulls.releases}
    for release, drawn in zip(canaries.releases, canaries.included.tolist(), strict=True):
        trained[release] = {*compress(canaries.films.ids, drawn)}
    scores = {
        release: ease
        + torch.randn(len(films), generator=rng)
        + shift * torch.tensor([one in seen for one in films.patients])
        for release, seen in trained.items()
    }
    return replace(clean, start="denoiser", matches=(), explained=models(films, scores))


def memorised(clean: Evidence) -> Evidence:
    return from_a_model(clean, shift=5.0)


LEAKS: dict[str, Callable[[Evidence], Evidence]] = {
    "G1": few_patients,
    "G2": lambda clean: replace(clean, start="random"),
    "G3": weights_beside,
    "G4": named_patient,
    "G5": many_digits,
    "G6": lambda clean: replace(clean, constants=None),
    "G7": exported_before,
    "G8": swapped_file,
    "G9": hidden_bits,
    "A0": another_scanner,
    "A1": all_films,
    "A2": all_films,
    "A3": all_films,
    "A5": a_film,
    "A5b": twelve_films,
    "A5c": recognised,
    "A6": as_it_is,
    "A7": all_films,
    "A8": canaries_in_it,
    "A9": twelve_films,
    "G2 of a model": lambda clean: replace(from_a_model(clean), nulls=None),
    "A1 of a model": memorised,
    "A7 of a model": memorised,
    "A8 of a model": memorised,
}
"""By audit, or by audit and the sort of release."""

REFUSED = dict.fromkeys(LEAKS, Verdict.FAIL) | {
    "G6": Verdict.INVALID,
    "A0": Verdict.INVALID,
    "G2 of a model": Verdict.INCONCLUSIVE,
}
"""What is said of a leak. Where nobody says what the constants are, or members and controls differ
anyway, nothing can be concluded; nor of a start through a model without null releases."""


def audit_of(row: str) -> str:
    return row.partition(" ")[0]


def clean_of(row: str, seed: int) -> Evidence:
    """Returns evidence without a leak, of the sort of release that the row is about."""
    return from_a_model(fresh(seed)) if row.endswith("of a model") else fresh(seed)


def test_every_audit_has_a_row(policy: Policy) -> None:
    assert {audit_of(row) for row in LEAKS} == AUDITS.keys()
    assert {name for names in policy.required.values() for name in names} <= AUDITS.keys()


@pytest.mark.parametrize("row", LEAKS)
def test_a_planted_leak_is_refused(row: str, policy: Policy, rng: torch.Generator) -> None:
    name = audit_of(row)
    finding = AUDITS[name](LEAKS[row](fresh(0)), policy, rng)
    assert finding.audit == name
    assert finding.verdict is REFUSED[row]


@pytest.mark.parametrize("row", LEAKS)
def test_fresh_draws_do_not_fail(row: str, policy: Policy, rng: torch.Generator) -> None:
    name = audit_of(row)
    verdicts = [AUDITS[name](clean_of(row, seed), policy, rng).verdict for seed in range(5)]
    assert Verdict.FAIL not in verdicts
    assert Verdict.INVALID not in verdicts


@pytest.mark.parametrize("name", AUDITS)
def test_the_same_seed_gives_the_same_finding(name: str, policy: Policy) -> None:
    first, second = (
        AUDITS[name](fresh(0), policy, torch.Generator().manual_seed(7)) for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("row", LEAKS)
def test_a_finding_says_nothing_about_a_patient(
    row: str, policy: Policy, rng: torch.Generator
) -> None:
    case = LEAKS[row](fresh(0))
    finding = str(AUDITS[audit_of(row)](case, policy, rng).to_json())
    assert not any(str(one) in finding for one in (*case.members.ids, *case.controls.ids))


def test_a_clean_release_passes_the_gate_and_every_leak_closes_it(
    policy: Policy, rng: torch.Generator
) -> None:
    case = fresh(0)
    findings = audit(case, policy, Level.FULL, rng)
    assert decide(findings, policy, Level.FULL).verdict is Verdict.PASS
    for row, leak in LEAKS.items():
        name = audit_of(row)
        found = AUDITS[name](leak(case), policy, rng)
        spoiled = [found if f.audit == name else f for f in findings]
        assert decide(spoiled, policy, Level.FULL).verdict is REFUSED[row]


def test_a_clean_release_of_a_model_passes_the_gate_too(
    policy: Policy, rng: torch.Generator
) -> None:
    findings = audit(from_a_model(fresh(0)), policy, Level.FULL, rng)
    assert decide(findings, policy, Level.FULL).verdict is Verdict.PASS
