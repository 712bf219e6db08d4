"""The gates that count, hash and compare: G1, G2, G5, G6, G8."""

from dataclasses import replace
from hashlib import sha256
from math import log2

import pytest
import torch
from invented_radiographs import cohort, evidence, labelled, noise
from safetensors.torch import save

from privacy import Films, Level, Nulls, Policy, Release, Verdict
from privacy.gates.constants import constants
from privacy.gates.manifest import manifest
from privacy.gates.patients_per_image import patients_per_image
from privacy.gates.precision import precision
from privacy.gates.start import start
from privacy.release import BOUND, FOREIGN, FREE, PROBABILITIES, Digits


def test_eleven_patients_of_its_class_stand_behind_every_image(
    controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    for patients, verdict in ((22, Verdict.PASS), (21, Verdict.FAIL)):
        case = evidence(noise(2, rng), cohort(patients, rng, "IN"), controls)
        assert patients_per_image(case, policy, rng).verdict is verdict


def test_a_guarantee_covers_fewer_patients_but_no_constants_of_theirs(
    controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    few = replace(evidence(noise(2, rng), cohort(8, rng, "IN"), controls), mu=0.7)
    assert patients_per_image(few, policy, rng).verdict is Verdict.PASS
    for mean_is_public, verdict in ((True, Verdict.PASS), (False, Verdict.FAIL)):
        case = replace(few, constants={"mean": mean_is_public, "std": True})
        assert constants(case, policy, rng).verdict is verdict


def test_films_do_not_count_as_patients(
    controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    case = evidence(noise(2, rng), cohort(20, rng, "IN", extra=20), controls)
    assert patients_per_image(case, policy, rng).value == 10


def test_a_class_of_which_there_is_no_patient_fails(
    controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    members = cohort(60, rng, "IN")
    healthy = members.of(members.ids[::2])
    finding = patients_per_image(evidence(noise(2, rng), healthy, controls), policy, rng)
    assert (finding.verdict, finding.value) == (Verdict.FAIL, 0)


def test_a_start_that_the_policy_does_not_name_fails(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    case = evidence(noise(2, rng), members, controls)
    assert start(case, policy, rng).verdict is Verdict.PASS
    for name in ("random", "herding", "", "Noise"):
        assert start(replace(case, start=name), policy, rng).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("left_out", "nulls", "verdict", "said"),
    [
        ({}, True, Verdict.PASS, ("denoiser", "trained on films", "A5, A5b and A5c look for")),
        ({}, False, Verdict.INCONCLUSIVE, ("no null releases", "audit at level standard")),
        ({Level.FULL: "A5b"}, True, Verdict.FAIL, ("not require A5b;", "add")),
        ({Level.STANDARD: "A5c"}, True, Verdict.FAIL, ("not require A5c;", "add")),
        ({Level.STANDARD: "A5c"}, False, Verdict.FAIL, ("not require A5c;", "add")),
        ({Level.STANDARD: "A5c", Level.FULL: "A5b"}, True, Verdict.FAIL, ("A5b and A5c;", "add")),
        ({Level.SCREEN: "A5b", Level.FOREIGN: "A5c"}, True, Verdict.PASS, ("look for copies",)),
    ],
)
def test_a_start_through_a_model_needs_null_releases_and_every_search_for_copies(
    left_out: dict[Level, str],
    nulls: bool,
    verdict: Verdict,
    said: tuple[str, ...],
    members: Films,
    controls: Films,
    policy: Policy,
    rng: torch.Generator,
) -> None:
    required = {
        level: [name for name in names if name != left_out.get(level)]
        for level, names in policy.required.items()
    }
    chosen = Policy.model_validate(policy.model_dump() | {"required": required})
    made = Nulls((noise(2, rng),), None) if nulls else None
    case = evidence(noise(2, rng), members, controls, start="denoiser", nulls=made)
    finding = start(case, chosen, rng)
    assert finding.verdict is verdict
    assert (finding.value == 0) is (verdict is Verdict.PASS)
    assert all(words in finding.text for words in said)
    assert finding.name != start(replace(case, start="noise"), chosen, rng).name


def test_a_start_through_a_model_that_a_policy_strikes_out_may_contain_films(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    strict = policy.model_copy(update={"starts_through_a_model": ()})
    nulls = Nulls((noise(2, rng),), None)
    case = evidence(noise(2, rng), members, controls, start="denoiser", nulls=nulls)
    assert start(case, policy, rng).verdict is Verdict.PASS
    finding = start(case, strict, rng)
    assert finding.verdict is Verdict.FAIL
    assert "may contain films" in finding.text


def test_only_the_audited_bytes_may_leave(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    case = evidence(noise(2, rng), members, controls)
    assert manifest(case, policy, rng).verdict is Verdict.PASS
    changed = dict(case.outgoing) | {"manifest.json": b"{}"}
    extra = dict(case.outgoing) | {"notes.txt": b""}
    fewer = {"synthetic.safetensors": case.outgoing["synthetic.safetensors"]}
    for outgoing in (changed, extra, fewer):
        assert manifest(replace(case, outgoing=outgoing), policy, rng).verdict is Verdict.FAIL


def test_tensors_that_nobody_decodes_from_the_files_fail(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    case = evidence(noise(2, rng), members, controls)
    rounded = Release((case.release.images * 255).round() / 255, case.release.labels)
    assert manifest(replace(case, release=rounded), policy, rng).verdict is Verdict.FAIL
    assert manifest(replace(case, decode=None), policy, rng).verdict is Verdict.INVALID
    assert manifest(replace(case, outgoing={}, manifest={}), policy, rng).verdict is Verdict.INVALID


def test_digests_may_be_upper_case(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    case = evidence(labelled(torch.zeros(2, 1, 32, 32)), members, controls)
    digests = {name: sha256(data).hexdigest().upper() for name, data in case.outgoing.items()}
    assert manifest(replace(case, manifest=digests), policy, rng).verdict is Verdict.PASS


def stepped(count: int, rng: torch.Generator, parts: int = 100) -> Release:
    """Returns images in so many steps, and probabilities in so many parts."""
    levels = torch.randint(count + 1, (8, 1, 32, 32), generator=rng)
    label = torch.randint(parts + 1, (8, 1), generator=rng).double()
    labels = torch.cat([label, parts - label], 1) / parts
    return Release(levels.float() / count, labels.float())


@pytest.mark.parametrize(
    ("digits", "count", "parts"),
    [(PROBABILITIES, 255, 100), (FOREIGN, 255, 1000), (FOREIGN, 4095, 1000)],
)
def test_what_is_on_the_grid_hides_nothing_but_what_is_counted(
    digits: Digits,
    count: int,
    parts: int,
    members: Films,
    controls: Films,
    policy: Policy,
    rng: torch.Generator,
) -> None:
    case = replace(evidence(stepped(count, rng, parts), members, controls), digits=digits)
    finding = precision(case, policy, rng)
    assert finding.verdict is Verdict.PASS
    pixels, room = 8 * 32 * 32, list(finding.details["room, bits"].values())
    states = parts + 1 if digits.bound is None else (2 * BOUND * parts + 1) ** 2
    wanted = [pixels * log2(digits.levels[-1] + 1), pixels, 8 * log2(states)]
    assert room == pytest.approx(wanted, abs=0.06)
    assert all(f"{number:g}" in finding.text for number in room)


def test_what_is_off_the_grid_fails_and_the_remedy_is_named(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    clean = stepped(255, rng)

    def changed(where: str, *values: float) -> Release:
        images, labels = clean.images.clone(), clean.labels.clone()
        (images if where == "images" else labels).view(-1)[: len(values)] = torch.tensor(values)
        return Release(images, labels)

    one, label = clean.images.view(-1)[0], clean.labels.view(-1)[0]
    cases = [
        changed("images", float(torch.nextafter(one, torch.tensor(1.0)))),
        changed("images", 256 / 255),
        changed("images", -1 / 255),
        changed("images", -0.0),
        changed("labels", float(torch.nextafter(label, torch.tensor(2.0)))),
        changed("labels", 0.123, 0.877),
        changed("labels", 0.5, 0.49),
        changed("labels", 1.5, -0.5),
        changed("labels", 1.0, -0.0),
        changed("labels", 20_000.1, -19_999.1),
        stepped(255, rng, parts=1000),
        stepped(1000, rng),
        stepped(4095, rng),
    ]
    for release in cases:
        finding = precision(evidence(release, members, controls), policy, rng)
        assert finding.verdict is Verdict.FAIL
        assert "round" in finding.text
    assert finding.value > 1000


@pytest.mark.parametrize(
    ("labels", "verdict"),
    [
        ((-1.09, 2.09), Verdict.PASS),
        ((4.0, -4.0), Verdict.PASS),
        ((4.01, -4.0), Verdict.FAIL),
        ((0.123, 0.877), Verdict.FAIL),
        ((16_777_300.0, 0.0), Verdict.FAIL),
    ],
)
def test_labels_without_a_constraint_have_a_bound(
    labels: tuple[float, float],
    verdict: Verdict,
    members: Films,
    controls: Films,
    policy: Policy,
    rng: torch.Generator,
) -> None:
    release = Release(stepped(255, rng).images, torch.tensor([labels] * 8))
    case = replace(evidence(release, members, controls), digits=FREE)
    assert precision(case, policy, rng).verdict is verdict
    assert precision(replace(case, digits=PROBABILITIES), policy, rng).verdict is Verdict.FAIL


def test_steps_of_8_bits_and_of_12_do_not_mix(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    coarse, fine = stepped(255, rng), stepped(4095, rng)
    mixed = Release(torch.cat([coarse.images, fine.images]), torch.cat([coarse.labels] * 2))
    case = replace(evidence(mixed, members, controls), digits=FOREIGN)
    assert precision(case, policy, rng).verdict is Verdict.FAIL


def test_a_file_finer_than_what_is_decoded_from_it_fails(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    release = stepped(255, rng)
    levels = (release.images * 255).round()
    files = {
        "eight bits": (levels.to(torch.uint8), release.labels, Verdict.PASS),
        "twelve bits": ((levels * 16 + 5).to(torch.uint16), release.labels, Verdict.FAIL),
        "floats": (release.images + 1e-6, release.labels, Verdict.FAIL),
        "labels": (levels.to(torch.uint8), release.labels + 1e-6, Verdict.FAIL),
        "whole labels": (levels.to(torch.uint8), torch.full((8, 2), 7), Verdict.FAIL),
    }
    for images, labels, verdict in files.values():
        outgoing = {"synthetic.safetensors": save({"images": images, "labels": labels})}
        case = evidence(release, members, controls, outgoing=outgoing)
        assert precision(case, policy, rng).verdict is verdict


def test_constants_taken_from_patients_are_listed(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    case = evidence(noise(2, rng), members, controls)
    assert constants(replace(case, constants=None), policy, rng).verdict is Verdict.INVALID
    public = constants(replace(case, constants={"mean": True, "std": True}), policy, rng)
    assert (public.verdict, public.details["private"]) == (Verdict.PASS, [])
    mixed = constants(
        replace(case, constants={"mean": False, "std": True, "histogram": False}), policy, rng
    )
    assert (mixed.verdict, mixed.value) == (Verdict.PASS, 2)
    assert mixed.details == {"private": ["histogram", "mean"], "public": ["std"]}
    assert "histogram, mean" in mixed.text
    assert "statistics of the patients" in mixed.text
