"""The gate refuses by default: every way to be incomplete is a row."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from privacy import Decision, Finding, Level, Policy, Verdict, decide, load_policy, wording
from privacy.decision import Acceptance, wording_accepted

Change = Callable[[list[Finding]], list[Finding]]


def passing(policy: Policy) -> list[Finding]:
    findings = []
    for name in policy.required[Level.STANDARD]:
        bounds = (0.5, 0.45, 0.55, 0.65) if name in policy.statistical else (0.0, 0.0, 0.0, 0.0)
        p = 0.5 if name in policy.statistical else None
        sizes = {"members": 160, "controls": 150} if p else {}
        findings.append(
            Finding(
                name, name, Verdict.PASS, *bounds, "All is well.", p=p, p_limit=p, details=sizes
            )
        )
    return findings


def altered(name: str, **changes: object) -> Change:
    def change(findings: list[Finding]) -> list[Finding]:
        return [replace(f, **changes) if f.audit == name else f for f in findings]  # type: ignore[arg-type]

    return change


def without(name: str) -> Change:
    return lambda findings: [f for f in findings if f.audit != name]


REFUSALS: dict[str, tuple[Change, Verdict]] = {
    "nothing": (lambda _: [], Verdict.INVALID),
    **{f"{name} missing": (without(name), Verdict.INVALID) for name in ("G1", "G4", "A5", "A2")},
    "one twice": (lambda f: [*f, f[0]], Verdict.INVALID),
    "an unknown one twice": (
        lambda f: [*f, replace(f[0], audit="X1"), replace(f[0], audit="X1")],
        Verdict.INVALID,
    ),
    "value NaN": (altered("A2", value=math.nan), Verdict.INVALID),
    "lower bound NaN": (altered("A2", low=math.nan), Verdict.INVALID),
    "upper bound infinite": (altered("A2", high=math.inf), Verdict.INVALID),
    "limit infinite": (altered("A2", limit=math.inf), Verdict.INVALID),
    "p NaN": (altered("A2", p=math.nan), Verdict.INVALID),
    "bounds the wrong way round": (altered("A2", low=0.6, high=0.4), Verdict.INVALID),
    "structural NaN": (altered("G4", value=math.nan), Verdict.INVALID),
    "one invalid": (altered("G8", verdict=Verdict.INVALID), Verdict.INVALID),
    "an extra one invalid": (
        lambda f: [*f, replace(f[0], audit="A0", verdict=Verdict.INVALID)],
        Verdict.INVALID,
    ),
    "structure": (altered("G1", verdict=Verdict.FAIL), Verdict.FAIL),
    "copy": (altered("A5", verdict=Verdict.FAIL), Verdict.FAIL),
    "an extra one fails": (
        lambda f: [*f, replace(f[0], audit="A8", verdict=Verdict.FAIL)],
        Verdict.FAIL,
    ),
    "leak over the limit": (
        altered("A2", verdict=Verdict.FAIL, value=0.8, low=0.7, high=0.9, p=0.001, p_limit=0.001),
        Verdict.FAIL,
    ),
    "failure that Holm does not uphold": (
        altered("A2", verdict=Verdict.FAIL),
        Verdict.INCONCLUSIVE,
    ),
    "one inconclusive": (altered("A5", verdict=Verdict.INCONCLUSIVE), Verdict.INCONCLUSIVE),
    "a pass with its bound over the limit": (altered("A2", high=0.7), Verdict.INCONCLUSIVE),
    "a pass with its bound at the limit": (altered("A2", high=0.65), Verdict.INCONCLUSIVE),
}


@pytest.mark.parametrize("way", REFUSALS)
def test_the_gate_refuses(way: str, policy: Policy) -> None:
    change, verdict = REFUSALS[way]
    decision = decide(change(passing(policy)), policy, Level.STANDARD)
    assert decision.verdict is verdict
    assert decision.reasons


def test_the_gate_opens_when_all_is_there(policy: Policy) -> None:
    assert decide(passing(policy), policy, Level.STANDARD) == Decision(
        Verdict.PASS, Level.STANDARD, ()
    )


def test_a_screening_never_passes(policy: Policy) -> None:
    assert decide(passing(policy), policy, Level.SCREEN).verdict is Verdict.INCONCLUSIVE


def test_a_failure_of_one_among_several_is_corrected_for_their_number(policy: Policy) -> None:
    many = policy.model_copy(update={"statistical": ("A1", "A2", "A3")})
    findings = passing(policy)
    missing = {"A1", "A3"} - {f.audit for f in findings}
    findings += [replace(f, audit=a) for a in missing for f in findings if f.audit == "A2"]
    for p_limit, verdict in ((0.04, Verdict.INCONCLUSIVE), (0.01, Verdict.FAIL)):
        failed = altered("A2", verdict=Verdict.FAIL, p_limit=p_limit, p=0.04)(findings)
        assert decide(failed, many, Level.STANDARD).verdict is verdict


def test_findings_and_decisions_survive_json(policy: Policy) -> None:
    for finding in passing(policy):
        assert Finding.from_json(json.loads(json.dumps(finding.to_json()))) == finding
    decision = decide([], policy, Level.FULL)
    plain = json.loads(json.dumps(decision.to_json()))
    assert plain["verdict"] == "INVALID"
    assert Decision.from_json(plain) == decision


def test_a_number_lost_in_json_still_refuses(policy: Policy) -> None:
    lost = altered("A2", high=math.inf)(passing(policy))
    again = [Finding.from_json(json.loads(json.dumps(f.to_json()))) for f in lost]
    assert decide(again, policy, Level.STANDARD).verdict is Verdict.INVALID


def test_the_wording_never_promises_anonymity(policy: Policy) -> None:
    findings = passing(policy)
    passed = wording(decide(findings, policy, Level.STANDARD), findings)
    assert "160 patients" in passed
    assert "upper bound 0.55 < 0.65" in passed
    assert "not a finding that the data are anonymous" in passed
    for change, verdict in REFUSALS.values():
        sentence = wording(decide(change(findings), policy, Level.STANDARD), change(findings))
        assert ("Not passed" in sentence) == (verdict is not Verdict.INCONCLUSIVE)


@pytest.mark.parametrize("level", [Level.STANDARD, Level.FOREIGN])
@pytest.mark.parametrize("verdict", set(Verdict) - {Verdict.PASS})
def test_the_wording_leaves_the_export_to_the_gate(verdict: Verdict, level: Level) -> None:
    said = wording(Decision(verdict, level, ("A2: open",)), [])
    assert said.startswith("Not ")
    assert "export" not in said.lower()


def undecided(policy: Policy) -> tuple[Decision, list[Finding]]:
    text = "Not assessable with 47 controls."
    changed = altered("A2", verdict=Verdict.INCONCLUSIVE, text=text)
    findings = changed(passing(policy))
    return decide(findings, policy, Level.STANDARD), findings


def test_outsiders_are_told_what_was_not_passed_but_no_counts(policy: Policy) -> None:
    decision, findings = undecided(policy)
    assert "47 controls" in wording(decision, findings)
    outside = wording(decision, findings, to=10)
    assert "A2 (A2) was not passed." in outside
    assert "47" not in outside
    assert "A5" not in outside


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("verdict", Verdict)
def test_a_person_can_accept_only_what_audits_left_open(level: Level, verdict: Verdict) -> None:
    decision = Decision(verdict, level, () if verdict is Verdict.PASS else ("A2: open",))
    open_ = verdict is Verdict.INCONCLUSIVE and level in (Level.STANDARD, Level.FULL)
    assert decision.can_be_accepted == open_
    if open_:
        assert "because a person accepted it" in wording_accepted(decision, [])
    else:
        with pytest.raises(ValueError, match="nobody can accept"):
            wording_accepted(decision, [])


def test_an_accepted_release_says_what_was_left_open(policy: Policy) -> None:
    said = wording_accepted(*undecided(policy))
    assert "Not decided" in said
    assert "A2 (A2) was not passed." in said
    assert "not a finding that the data are anonymous" in said
    assert "47" not in said


@pytest.mark.parametrize("text", ["", " ", "two\nlines", " led by a space"])
def test_an_acceptance_says_something_in_one_line(text: str) -> None:
    for fields in ((text, "A. Nother"), ("For a course.", text)):
        with pytest.raises(ValueError, match="one line"):
            Acceptance(*fields)


def test_the_thresholds_follow_from_the_residual_risk(policy: Policy) -> None:
    assert policy.residual_risk == 0.09
    assert policy.largest_mu == pytest.approx(0.544, abs=5e-4)
    assert policy.largest_auc == pytest.approx(0.650, abs=5e-4)
    sizes = {0.09: 11, 0.05: 20, 0.2: 5, 0.33: 3}
    assert sizes == {r: policy.model_copy(update={"residual_risk": r}).cell_size for r in sizes}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("residual_risk = 0.09", "residual_risk = 1.5", "residual_risk"),
        ("residual_risk = 0.09", "residul_risk = 0.09", "residul_risk"),
        ("least_controls = 50", "", "least_controls"),
        ("least_controls = 50", "least_controls = 3", "least_controls"),
        ('"A5", ', "", "add A5, which checks it"),
        (r"standard = \[", "standrad = [", "standrad"),
        (r"full = \[", 'full = ["G1", ', "required.full must name each audit once"),
        (r"statistical = \[.*?\]", 'statistical = ["A99"]', "no statistical audit"),
    ],
)
def test_a_policy_with_a_mistake_is_refused_by_name(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    original = Path(load_policy.__code__.co_filename).with_name("policy.toml").read_text()
    changed, times = re.subn(old, new, original, flags=re.DOTALL)
    assert times
    path = tmp_path / "policy.toml"
    path.write_text(changed)
    with pytest.raises(ValueError, match=message):
        load_policy(path)
