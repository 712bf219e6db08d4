"""A5c recognises patients by an encoder, says when it cannot, and rarely errs."""

import pytest
import torch
from invented_radiographs import cohort, evidence, labelled, noise, radiographs
from torch import Tensor

from privacy import Films, Policy, Verdict
from privacy.attacks.same_patient import same_patient
from privacy.attacks.views import blur, standardise


def encoder(images: Tensor) -> Tensor:
    """Returns what invented films of one patient share: their coarse anatomy."""
    return standardise(blur(images, 1.0)).flatten(1)


def test_another_film_of_a_member_fails(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    # The first 30 members have a second film; it is released, and only the first ones are known.
    again = members.images[120:124]
    known = members.at(range(120))
    images = torch.cat([noise(2, rng).images, again])
    case = evidence(labelled(images), known, controls, encoder=encoder)
    finding = same_patient(case, policy, rng)
    assert finding.verdict is Verdict.FAIL
    assert finding.details["linked images"] == [2, 3, 4, 5]
    assert finding.details["recognised pairs"] > 0.9
    assert finding.details["AUC of the encoder"] > 0.95


def test_without_an_encoder_it_says_that_it_could_not_look(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    finding = same_patient(evidence(labelled(members.images[:4]), members, controls), policy, rng)
    assert finding.verdict is Verdict.PASS
    assert finding.text.startswith("Not assessable: no network")


def test_few_controls_cannot_tell_likeness_from_chance(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    few = controls.of(controls.ids[:78])  # one fewer than 20 x 4 - 1
    release = labelled(members.images[:4])
    finding = same_patient(evidence(release, members, few, encoder=encoder), policy, rng)
    assert "Not assessable: 78 controls are too few" in finding.text
    assert finding.verdict is Verdict.PASS
    assert not finding.details["assessable"]
    enough = controls.of(controls.ids[:79])
    finding = same_patient(evidence(release, members, enough, encoder=encoder), policy, rng)
    assert finding.verdict is Verdict.FAIL
    assert finding.details["assessable"]
    assert "Not assessable" not in finding.text
    two = controls.of(controls.ids[:2])
    finding = same_patient(evidence(release, members, two, encoder=encoder), policy, rng)
    assert finding.text.startswith("Not assessable: fewer than 3 controls")


def test_an_encoder_of_unknown_power_is_called_so(policy: Policy, rng: torch.Generator) -> None:
    members, controls = cohort(40, rng, "IN"), cohort(40, rng, "OUT")
    case = evidence(noise(1, rng), members, controls, encoder=encoder)
    finding = same_patient(case, policy, rng)
    assert "is unknown, because no patient has two films" in finding.text
    assert finding.details["recognised pairs"] is None


def test_a_useless_encoder_recognises_one_pair_in_a_hundred(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    def at_random(images: Tensor) -> Tensor:
        return torch.randn(len(images), 50, generator=torch.Generator().manual_seed(4))

    case = evidence(labelled(members.images[:4]), members, controls, encoder=at_random)
    finding = same_patient(case, policy, rng)
    assert finding.details["AUC of the encoder"] == pytest.approx(0.5, abs=0.1)
    assert finding.details["recognised pairs"] < 0.1


def test_films_of_strangers_fail_one_time_in_twenty_at_most(policy: Policy) -> None:
    rng = torch.Generator().manual_seed(11)
    alarms = 0
    for _ in range(60):
        members, controls = cohort(60, rng, "IN"), cohort(60, rng, "OUT")
        images = radiographs(2, torch.tensor([0, 1]), rng)
        case = evidence(labelled(images), members, controls, encoder=encoder)
        alarms += same_patient(case, policy, rng).verdict is Verdict.FAIL
    assert alarms <= 8  # of 60; more have a chance of .003 at a rate of .05


def test_an_image_that_is_like_everybody_is_not_a_patient(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    everybody = torch.cat([members.images, controls.images]).mean(0, keepdim=True)
    images = torch.cat([everybody, controls.images.mean(0, keepdim=True)])
    case = evidence(labelled(images), members, controls, encoder=encoder)
    assert same_patient(case, policy, rng).verdict is Verdict.PASS


def test_a_likeness_that_different_people_often_have_is_no_recognition(
    members: Films, controls: Films, policy: Policy, rng: torch.Generator
) -> None:
    some = controls.of(controls.ids[:40])
    alike = Films(
        some.images[:1].repeat(12, 1, 1, 1),
        some.labels[:1].repeat(12),
        [f"double {i}" for i in range(12)],
    )
    image = members.images[:1] + 0.05 * torch.randn(1, 1, 32, 32, generator=rng)
    for others, verdict in ((some, Verdict.FAIL), (some.beside(alike), Verdict.PASS)):
        case = evidence(labelled(image), members, others, encoder=encoder)
        finding = same_patient(case, policy, rng)
        assert finding.p is not None
        assert finding.p <= 0.05
        assert finding.verdict is verdict
