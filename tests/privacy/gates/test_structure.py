"""The gates that count, hash and compare: G1, G2, G5, G6, G8."""

from dataclasses import replace
from hashlib import sha256

import pytest
import torch
from invented_radiographs import cohort, evidence, labelled, noise
from safetensors.torch import save

from privacy import Films, Policy, Release, Verdict
from privacy.gates.constants import constants
from privacy.gates.manifest import manifest
from privacy.gates.patients_per_image import patients_per_image
from privacy.gates.precision import precision
from privacy.gates.start import start


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


def stepped(count: int, rng: torch.Generator) -> Release:
    levels = torch.randint(count + 1, (8, 1, 32, 32), generator=rng)
    labels = torch.rand(8, generator=rng).mul(1000).round().double() / 1000
    return Release(levels.float() / count, torch.stack([labels.float(), (1 - labels).float()], 1))


@pytest.mark.parametrize("count", [255, 4095])
def test_equal_steps_and_three_decimals_hide_nothing(
    count: int, members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    case = evidence(stepped(count, rng), members, controls)
    assert precision(case, policy, rng).verdict is Verdict.PASS


def test_a_bit_between_the_steps_fails_and_the_remedy_is_named(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    clean = stepped(4095, rng)

    def changed(where: str, value: float) -> Release:
        images, labels = clean.images.clone(), clean.labels.clone()
        (images if where == "images" else labels).view(-1)[3] = value
        return Release(images, labels)

    one, label = clean.images.view(-1)[3], clean.labels.view(-1)[3]
    cases = [
        changed("images", float(torch.nextafter(one, torch.tensor(1.0)))),
        changed("images", 4096 / 4095),
        changed("images", -1 / 4095),
        changed("labels", float(torch.nextafter(label, torch.tensor(2.0)))),
        changed("labels", 0.1234),
        stepped(65535, rng),
        stepped(1000, rng),
    ]
    for release in cases:
        finding = precision(evidence(release, members, controls), policy, rng)
        assert finding.verdict is Verdict.FAIL
        assert "round" in finding.text
    assert finding.value > 1000


def test_steps_of_8_bits_and_of_12_do_not_mix(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    coarse, fine = stepped(255, rng), stepped(4095, rng)
    mixed = Release(torch.cat([coarse.images, fine.images]), torch.cat([coarse.labels] * 2))
    finding = precision(evidence(mixed, members, controls), policy, rng)
    assert finding.verdict is Verdict.FAIL


def test_a_file_finer_than_what_is_decoded_from_it_fails(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    release = stepped(4095, rng)
    levels = (release.images * 4095).round()
    files = {
        "twelve bits": (levels.to(torch.uint16), release.labels, Verdict.PASS),
        "sixteen bits": ((levels * 16 + 5).to(torch.uint16), release.labels, Verdict.FAIL),
        "floats": (release.images + 1e-6, release.labels, Verdict.FAIL),
        "labels": (levels.to(torch.uint16), release.labels + 1e-6, Verdict.FAIL),
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
