"""The gates that count, hash and compare: G1, G2, G8."""

from dataclasses import replace
from hashlib import sha256

import torch
from invented_radiographs import cohort, evidence, labelled, noise

from privacy import Films, Policy, Release, Verdict
from privacy.manifest import manifest
from privacy.patients_per_image import patients_per_image
from privacy.start import start


def test_eleven_patients_of_its_class_stand_behind_every_image(
    controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    for patients, verdict in ((22, Verdict.PASS), (21, Verdict.FAIL)):
        case = evidence(noise(2, rng), cohort(patients, rng, "IN"), controls)
        assert patients_per_image(case, policy, rng).verdict is verdict


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


def test_only_the_audited_bytes_may_leave(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    case = evidence(noise(2, rng), members, controls)
    assert manifest(case, policy, rng).verdict is Verdict.PASS
    changed = dict(case.outgoing) | {"card.json": b"{}"}
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
