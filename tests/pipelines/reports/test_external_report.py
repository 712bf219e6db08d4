"""The report for recipients says what was tested and what not, coarsely, and claims no more."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from invented_cohort import ROOT

from pipelines.bundle.contents import template_words
from pipelines.reports.external import audit_report
from privacy import AUDITS, Policy, load_policy
from privacy.gates.leaks import tokens
from privacy.policy import Level
from privacy.statistics.power import power
from privacy.threats import (
    EDPB,
    HONEST,
    INSIDE,
    LIMITS,
    MALICE,
    QUESTIONS,
    THREATS,
    WP29,
    covered,
)

MEMBERS, CONTROLS = 143, 67


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy()


def finding(name: str, verdict: str = "PASS", **more: Any) -> dict[str, Any]:
    """Returns a finding as an audit writes it down."""
    return {
        "audit": name,
        "name": QUESTIONS[name].name,
        "verdict": verdict,
        "value": 0.0,
        "low": 0.0,
        "high": 0.0,
        "limit": 0.0,
        "text": f"Image 17 is 0.61234 times as far; {CONTROLS} controls, {MEMBERS} members.",
        "chance": None,
        "p": None,
        "p_limit": None,
        "details": {"copied images": [17]},
    } | more


def audited(
    *findings: dict[str, Any], members: int = MEMBERS, controls: int = CONTROLS, **more: Any
) -> dict[str, Any]:
    """Returns an audit as it is written down: by default G1, A5 and A2."""
    attack = {"value": 0.51234, "low": 0.43219, "high": 0.58765, "limit": 0.65012}
    counts = {"members": members, "controls": controls, "residual risk": {"value": 0.01234}}
    usual = (
        finding("G1", value=18.66667, limit=11),
        finding("A5", value=0.71234, p=0.31234),
        finding("A2", **attack, p=0.41234, p_limit=0.5, details=counts),
    )
    return {
        "verdict": "PASS",
        "level": "standard",
        "reasons": [],
        "wording": f"With {MEMBERS} patients.",
        "public wording": "With about 140 patients.",
        "accepted": None,
        "guarantee": None,
        "unit": "patient",
        "null releases": "controls",
        "audited before": {"releases": 0, "refused": 0},
        "findings": list(findings or usual),
        "policy": load_policy().model_dump(mode="json"),
        "sha256": {"synthetic.safetensors": "ab" * 32},
    } | more


def told(audit: dict[str, Any]) -> tuple[Any, str]:
    """Returns the report, and the page without its style."""
    files = audit_report(audit)
    assert files.keys() == {"audit.json", "audit.html"}
    page = re.sub(r"<style>.*?</style>", "", files["audit.html"].decode(), flags=re.DOTALL)
    return json.loads(files["audit.json"]), page


def section(page: str, title: str) -> str:
    return page.partition(f"<h2>{title}</h2>")[2].partition("</section>")[0]


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from numbers(one)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value


def test_every_audit_has_a_row_in_the_table(policy: Policy) -> None:
    required = {name for names in policy.required.values() for name in names}
    assert {*AUDITS, *required} <= QUESTIONS.keys()
    planned = {f"G{n}" for n in range(1, 10)} | {f"A{n}" for n in range(10) if n != 4}
    planned |= {"A5b", "A5c"}
    assert planned <= QUESTIONS.keys()
    assert {threat for one in QUESTIONS.values() for threat in one.threats} == THREATS.keys()
    assert {name for risk in (*WP29, *EDPB) for name in risk.audits} <= QUESTIONS.keys()


def test_what_ran_and_what_did_not_are_all_the_audits_there_are() -> None:
    report, page = told(audited())
    ran = [one["audit"] for one in report["findings"]]
    missing = [one["audit"] for one in report["not tested"]]
    assert ran == ["G1", "A5", "A2"]
    assert sorted(ran + missing) == sorted(QUESTIONS)
    for names, title in ((ran, "What was tested"), (missing, "What was not tested")):
        assert re.findall(r"<tr><td>(\w+)</td>", section(page, title)) == names
    assert all(limit in page for limit in LIMITS)


def test_threats_and_lists_name_only_audits_that_ran_as_tests() -> None:
    report, page = told(audited())
    tested = {one["threat"]: (one["tested by"], one["not run"]) for one in report["threats"]}
    assert tested["T1"][0] == ["G1", "A2"]
    assert tested["T5"] == ([], ["G7"])
    edpb = {one["risk"]: one["tested by"] for one in report["EDPB 28/2024"]}
    assert edpb["Attribute inference"] == edpb["Model inversion"] == []
    assert edpb["Reconstruction"] == ["A5"]
    wp29 = {one["risk"]: one["not run"] for one in report["WP29 05/2014"]}
    assert wp29 == {
        "Singling out": ["A6", "A9"],
        "Linkability": ["A5c"],
        "Inference": ["A1", "A3", "A7"],
    }
    assert "not tested (G7)" in page
    assert not any(row["not run"] for row in covered((*WP29, *EDPB), QUESTIONS))


def test_an_audit_that_could_not_look_is_not_told_as_passed() -> None:
    blind = finding("A5c", details={"assessable": False})
    report, page = told(audited(finding("G1", value=20, limit=11), blind))
    assert report["findings"][1]["verdict"] == "not assessable"
    assert "A5c" in [one["audit"] for one in report["not tested"]]
    assert {one["risk"]: one["tested by"] for one in report["WP29 05/2014"]}["Linkability"] == []
    row = page.partition("<td>A5c</td>")[2].partition("</tr>")[0]
    assert "not assessable" in row
    assert "PASS" not in row


def test_it_holds_no_picture_and_runs_and_fetches_nothing() -> None:
    for data in audit_report(audited()).values():
        assert not re.search(rb"<img|data:|<script|https?:|//|\bsrc=|\bhref=|\bon\w+=", data)
    _, page = told(audited())
    assert "default-src 'none'" in page


def test_counts_are_tens_and_metrics_have_two_decimals() -> None:
    report, page = told(audited())
    assert report["patients"] == {"members": 140, "controls": 70}
    outside = {name: value for name, value in report.items() if name != "policy"}
    found = list(numbers(outside))
    assert found == [round(number, 2) for number in found]
    assert 0.59 in found
    for text in (json.dumps(report), page):
        assert not re.search(rf"(?<![\d.])(?:{MEMBERS}|{CONTROLS}|17|18)(?![\d.])", text)
        assert re.findall(r"\b(?!164\.514)\d+\.\d{3,}", text) == []


def test_nothing_of_a_finding_but_its_bound_and_limit_is_told() -> None:
    report, page = told(audited())
    assert "Image 17" not in json.dumps(report) + page
    by_name = {one.pop("audit"): one for one in report["findings"]}
    assert by_name["A2"] == {
        "name": QUESTIONS["A2"].name,
        "verdict": "PASS",
        "upper bound": 0.59,
        "limit": 0.65,
    }
    assert by_name["A5"]["upper bound"] is by_name["A5"]["limit"] is None
    for hidden in ("0.71", "0.51", "0.43", "0.31", "0.41", "0.01"):
        assert hidden not in json.dumps(report["findings"])


def test_one_patient_more_changes_nothing() -> None:
    one = audit_report(audited(members=143, controls=67))
    assert one == audit_report(audited(members=138, controls=72))
    assert one != audit_report(audited(members=148, controls=67))


def test_power_is_that_of_the_rounded_counts(policy: Policy) -> None:
    report, _ = told(audited())
    assert report["power"]["smallest_auc"] == round(power(140, 70, policy).smallest_auc, 2)
    for few in ({"members": 4}, {"controls": 3}):
        report, page = told(audited(**few))
        assert report["power"] is None
        assert "too few" in section(page, "What a cohort of this size can show")


@pytest.mark.parametrize(
    ("value", "told_of"), [(18.67, 11), (27.3, 20), (11.0, 11), (140.0, 140), (7.5, 0)]
)
def test_patients_per_image_are_rounded_down(value: float, told_of: int) -> None:
    report, page = told(audited(finding("G1", value=value, limit=11)))
    assert report["patients per image"] == {"at least": told_of, "required": 11}
    assert f"at least <b>{told_of}</b> patients" in page


def test_a_number_that_is_none_is_shown_as_such() -> None:
    broken = finding("A2", "INVALID", value=None, low=None, high=None, limit=0.65, p_limit=0.5)
    report, page = told(audited(finding("G1", value=None, limit=None), broken, verdict="INVALID"))
    assert report["findings"][1]["upper bound"] is None
    row = page.partition("<td>A2</td>")[2].partition("</tr>")[0]
    assert ">0.65<" in row
    assert report["patients per image"] is None
    assert report["patients"] == {"members": 0, "controls": 0}
    assert page.count("number not given") == 2
    assert not re.search(r"\b(?:nan|None|inf)\b", page)


def test_who_answers_for_an_undecided_release_is_named() -> None:
    word = {"reason": "Two <b>radiologists</b> looked", "approver": "Data protection officer"}
    report, page = told(audited(verdict="INCONCLUSIVE", accepted=word))
    assert report["accepted"] == word
    assert "Data protection officer" in section(page, "Verdict")
    assert "Two &lt;b&gt;radiologists&lt;/b&gt; looked" in section(page, "Verdict")
    report, page = told(audited())
    assert report["accepted"] is None
    assert "<dt>approver</dt>" not in page


@pytest.mark.parametrize("unit", ["patient", "study", ""])
def test_the_unit_is_named_or_said_to_be_unknown(unit: str) -> None:
    report, page = told(audited(unit=unit))
    assert report["unit"] == unit
    assert (f"one {unit}" if unit else "not known") in section(page, "Published lists of risks")


def test_the_policy_is_printed_with_what_it_is_an_analogy_of(policy: Policy) -> None:
    report, page = told(audited())
    shown = section(page, "Policy")
    assert report["policy"] == policy.model_dump(mode="json")
    assert "is an analogy, not their rule" in shown
    assert all(f"<dt>{name}</dt>" in shown for name in report["policy"] if name != "required")
    assert ", ".join(policy.required[Level.STANDARD]) in shown


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (None, "This release: not made again."),
        ("PASS", "This release: made again, and the same to the last bit (G9)."),
        ("INCONCLUSIVE", "which may be rounding, so nothing follows (G9)."),
    ],
)
def test_what_somebody_inside_could_do_is_said_in_bits(verdict: str | None, said: str) -> None:
    room = {"all of the images": 49152.0, "the labels": 39.9}
    findings = [finding("G5", details={"room, bits": room})]
    findings += [] if verdict is None else [finding("G9", verdict)]
    report, page = told(audited(*findings))
    inside = section(page, "What somebody inside could do")
    assert report["inside"]["room"] == room
    assert report["inside"]["made again"] == verdict
    assert '<td>the labels</td><td class="number">39.9</td>' in inside
    assert "49152.0" in inside
    assert said in inside
    assert all(text in inside for text in INSIDE)


def test_every_row_says_whether_it_is_about_honest_error_or_malice() -> None:
    _, page = told(audited(finding("G3"), finding("A5"), finding("G9")))
    rows = re.findall(r"<tr><td>(\w+)</td>.*?</tr>", section(page, "What was tested"))
    said = dict(re.findall(r"<tr><td>(\w+)</td>.*?class=\"soft\">([^<]+)<", page))
    assert rows == ["G3", "A5", "G9"]
    assert {name: said[name] for name in rows} == {"G3": MALICE, "A5": HONEST, "G9": MALICE}
    of_insiders = {name for name, one in QUESTIONS.items() if "T6" in one.threats}
    assert of_insiders == {name for name, one in QUESTIONS.items() if one.against == MALICE}
    table = (ROOT / "docs" / "privacy.md").read_text().partition("## Honest error and malice")[2]
    documented = re.findall(rf"^\| ([^|]+) \| {MALICE} \|", table, re.MULTILINE)
    assert set(re.findall(r"G\d", " ".join(documented))) == of_insiders


def test_it_claims_nothing() -> None:
    """The sentence on anonymity comes with the wording, and no other claim does."""
    report, page = told(audited(**{"public wording": "About 140 patients."}))
    for text in (page, json.dumps(report)):
        assert not re.search(
            r"\b(?:anonymous|anonymi[sz]ed|safe|safely|private|protected|guaranteed|proven)\b",
            text,
            re.IGNORECASE,
        )
    assert "No differential privacy is claimed" in page
    assert "164.514(b)(1)" in page
    assert "is not that determination" in page
    assert "do not say that the risk is gone" in page


def test_words_of_the_report_are_not_taken_for_patients() -> None:
    """A patient may be called as a word of the table, or have the number of an opinion."""
    _, page = told(audited())
    for question in QUESTIONS.values():
        assert set(tokens(question.asks)) <= template_words()
    assert {"05/2014", "28/2024", "0070"} <= template_words()
    assert "0070" in page
    assert "reviewer-key.json" not in template_words()
