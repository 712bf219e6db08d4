"""G7: was another release made from these patients before?

The attacker holds two releases of overlapping cohorts, such as one from before a patient came and
one from after, and subtracts them. What is left is about the few patients who differ. No audit of
one release sees this, so the gate refuses a second release of the same patients. The same bytes
released again tell nothing new. Releases under differential privacy have a separate account.
"""

from collections.abc import Iterable

from torch import Generator

from privacy.evidence import Earlier, Evidence
from privacy.finding import Finding, Verdict
from privacy.policy import Policy


def earlier_releases(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:  # noqa: ARG001
    """Counts the members who are in an earlier export with other bytes."""
    members = frozenset(evidence.members.ids)
    present = {digest.lower() for digest in evidence.manifest.values()}
    others = [
        one
        for one in evidence.earlier or ()
        if one.release.lower() not in present and not members.isdisjoint(one.patients)
    ]
    exports = [one for one in others if one.kind == "export"]
    comparable = [one for one in exports if not one.private]
    shared = members & frozenset().union(*(one.patients for one in comparable))
    if evidence.earlier is None:
        verdict = Verdict.INVALID
        text = "No ledger is kept, so it is not known what was exported from these patients before."
    elif shared:
        verdict = Verdict.FAIL
        text = (
            f"{len(shared)} of {len(members)} patients of the training set are in an earlier "
            "export of other images; two releases of overlapping cohorts can be subtracted from "
            "each other."
        )
    else:
        verdict = Verdict.PASS
        text = "The ledger has no other export of these patients without differential privacy."
    return Finding.exact(
        audit="G7",
        name="Earlier releases of the same patients",
        verdict=verdict,
        value=float(len(shared)),
        limit=0.0,
        text=text,
        details={
            "other exports": len(_releases(comparable)),
            "other private exports": len(_releases(one for one in exports if one.private)),
            "others never exported": len(_releases(others) - _releases(exports)),
        },
    )


def _releases(some: Iterable[Earlier]) -> set[str]:
    """Returns the releases, each once, however often it was audited or exported."""
    return {one.release.lower() for one in some}
