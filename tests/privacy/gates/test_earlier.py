"""A second release of the same patients is refused; the same one again is not."""

from dataclasses import replace

import pytest
import torch
from invented_radiographs import cohort, evidence, noise

from privacy import Evidence, Films, Policy, Verdict
from privacy.evidence import Earlier
from privacy.gates.earlier import audited_before, earlier_releases

OTHER = "ab" * 32


@pytest.fixture
def case(rng: torch.Generator) -> Evidence:
    return evidence(noise(4, rng), cohort(12, rng, "IN", extra=4), cohort(10, rng, "OUT"))


def release_of(case: Evidence) -> str:
    return case.manifest["synthetic.safetensors"]


def judged(case: Evidence, policy: Policy, *earlier: Earlier) -> tuple[Verdict, float, str]:
    found = earlier_releases(replace(case, earlier=earlier), policy, torch.Generator())
    return found.verdict, found.value, found.text


def who(films: Films, count: int) -> frozenset[object]:
    return frozenset(films.ids[:count])


def test_without_a_ledger_nothing_can_be_said(case: Evidence, policy: Policy) -> None:
    found = earlier_releases(replace(case, earlier=None), policy, torch.Generator())
    assert (found.audit, found.verdict) == ("G7", Verdict.INVALID)


def test_the_history_counts_other_releases_each_once(case: Evidence) -> None:
    some, others = who(case.members, 2), who(case.controls, 3)
    past = [
        Earlier("audit", OTHER, some, verdict="FAIL"),
        Earlier("audit", OTHER.upper(), some, verdict="PASS"),
        Earlier("audit", "cd" * 32, some, verdict="INVALID"),
        Earlier("audit", "ef" * 32, some, verdict="INCONCLUSIVE"),
        Earlier("audit", "01" * 32, others, verdict="FAIL"),
        Earlier("export", "23" * 32, some, verdict="PASS"),
        Earlier("audit", release_of(case), some, verdict="FAIL"),
    ]
    assert audited_before(replace(case, earlier=past)) == {"releases": 3, "refused": 2}
    assert audited_before(replace(case, earlier=())) == {"releases": 0, "refused": 0}
    assert audited_before(replace(case, earlier=None)) is None


def test_a_first_release_passes(case: Evidence, policy: Policy) -> None:
    assert judged(case, policy)[:2] == (Verdict.PASS, 0)


@pytest.mark.parametrize("count", [1, 3, 12])
def test_one_patient_in_an_earlier_export_is_enough_to_fail(
    case: Evidence, policy: Policy, count: int
) -> None:
    past = Earlier("export", OTHER, who(case.members, count) | {"gone"})
    verdict, value, text = judged(case, policy, past)
    assert (verdict, value) == (Verdict.FAIL, count)
    assert f"{count} of 12 patients" in text
    assert "subtracted from each other" in text
    assert "IN00" not in text


def test_patients_of_several_exports_are_counted_once(case: Evidence, policy: Policy) -> None:
    first = Earlier("export", OTHER, who(case.members, 3))
    second = Earlier("export", "cd" * 32, who(case.members, 5))
    assert judged(case, policy, first, second)[:2] == (Verdict.FAIL, 5)


def test_the_same_bytes_may_leave_again(case: Evidence, policy: Policy) -> None:
    everybody = who(case.members, 12)
    same = Earlier("export", release_of(case).upper(), everybody)
    assert judged(case, policy, same)[0] is Verdict.PASS
    assert judged(case, policy, same, Earlier("export", OTHER, everybody))[0] is Verdict.FAIL


@pytest.mark.parametrize(
    "past",
    [
        Earlier("export", OTHER, frozenset({"somebody", "else"})),
        Earlier("export", OTHER, frozenset({"OUT0000"})),
        Earlier("audit", OTHER, frozenset({"IN0000"})),
    ],
    ids=["other people", "who is held out now", "never exported"],
)
def test_what_cannot_be_subtracted_passes(case: Evidence, policy: Policy, past: Earlier) -> None:
    assert judged(case, policy, past)[:2] == (Verdict.PASS, 0)


def test_a_release_without_a_guarantee_must_not_follow_one_with(
    case: Evidence, policy: Policy
) -> None:
    past = Earlier("export", OTHER, who(case.members, 2), private=True)
    verdict, value, text = judged(case, policy, past)
    assert (verdict, value) == (Verdict.FAIL, 2)
    assert "would take back" in text


@pytest.mark.parametrize("private", [True, False])
def test_a_release_with_a_guarantee_may_follow_any_other(
    case: Evidence, policy: Policy, private: bool
) -> None:
    past = Earlier("export", OTHER, who(case.members, 2), private=private)
    verdict, value, text = judged(replace(case, mu=0.7), policy, past)
    assert (verdict, value) == (Verdict.PASS, 0)
    assert "account" in text


def test_what_was_not_exported_is_counted_by_release(case: Evidence, policy: Policy) -> None:
    one = who(case.members, 1)
    earlier = [
        Earlier("audit", OTHER, one),
        Earlier("audit", OTHER, one),
        Earlier("audit", "cd" * 32, one),
        Earlier("export", "cd" * 32, one),
        Earlier("export", "ef" * 32, one, private=True),
        Earlier("audit", "01" * 32, frozenset({"somebody"})),
        Earlier("audit", release_of(case), one),
    ]
    found = earlier_releases(replace(case, earlier=earlier), policy, torch.Generator())
    assert found.details == {
        "other exports": 1,
        "other private exports": 1,
    }
