"""What is said of the export is what the export does."""

from itertools import product
from pathlib import Path

import pytest

from pipelines.commands.export import Export, _require_verdict
from pipelines.reports.next_step import next_step
from pipelines.run.errors import Stop
from pipelines.run.store import Json
from privacy.decision import Acceptance, decide
from privacy.finding import Finding, Verdict
from privacy.policy import Level, load_policy

POLICY = load_policy().model_copy(update={"required": dict.fromkeys(Level, ("G4", "A6"))})
SOMEBODY = Acceptance("looked at", "the data protection officer")


def audited(level: Level, attack: Verdict, gate: Verdict, *, guaranteed: bool) -> Json:
    """The audit of a release of which one attack and one gate ended so."""
    findings = [
        Finding(audit, audit, verdict, 0.0, 0.0, 0.0, 1.0, "a sentence")
        for audit, verdict in (("G4", gate), ("A6", attack))
    ]
    return decide(findings, POLICY, level).to_json() | {
        "findings": [one.to_json() for one in findings],
        "guarantee": {} if guaranteed else None,
        "wording": "",
    }


def leaves(audit: Json, accepted: Acceptance | None) -> bool:
    """Whether an export lets a release with this audit leave."""
    try:
        _require_verdict(Export(Path("run"), Path("bundle")), audit, accepted)
    except Stop:
        return False
    return True


@pytest.mark.parametrize("guaranteed", [True, False])
def test_the_words_on_an_audit_agree_with_the_export(guaranteed: bool) -> None:
    for level, attack, gate in product((Level.STANDARD, Level.FULL), Verdict, Verdict):
        audit = audited(level, attack, gate, guaranteed=guaranteed)
        said = next_step(audit)
        alone, by_a_person = leaves(audit, None), leaves(audit, SOMEBODY)
        assert (said.command == "export") == ("may be exported" in said.text) == alone, audit
        assert ("unless a person accepts" in said.text) == (by_a_person and not alone), audit
        assert ("nobody can accept" in said.text) == (not by_a_person and not alone), audit


@pytest.mark.parametrize("guaranteed", [True, False])
def test_a_screening_allows_no_export_and_what_it_found_stays(guaranteed: bool) -> None:
    for attack, gate in product(Verdict, Verdict):
        screened, standard = (
            audited(level, attack, gate, guaranteed=guaranteed)
            for level in (Level.SCREEN, Level.STANDARD)
        )
        said = next_step(screened)
        if screened["verdict"] in ("FAIL", "INVALID"):
            assert said == next_step(standard)
        else:
            assert "may be exported" not in said.text
            assert said.command == ("export" if guaranteed else "audit")
