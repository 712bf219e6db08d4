"""G7: was something else of these patients released before?

The attacker holds two releases of overlapping cohorts, such as one from before a patient came and
one from after, and subtracts them: what is left is about the few in whom they differ. No audit of
one release sees this, so a second release of the same patients is refused. The same bytes once more
tell nothing new; releases under differential privacy add up in an account of their own.
"""

from collections.abc import Iterable

from torch import Generator

from privacy.evidence import Earlier, Evidence
from privacy.finding import Finding, Verdict
from privacy.policy import Policy


def earlier_releases(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:  # noqa: ARG001
    """Counts the members who stand in an earlier export of other bytes."""
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
        text = "No ledger is kept, so nobody knows what was exported of these patients before."
    elif shared:
        verdict = Verdict.FAIL
        text = (
            f"{len(shared)} of {len(members)} patients of the training set stand in an earlier "
            "export of other images; two releases of overlapping cohorts can be subtracted from "
            "each other."
        )
    else:
        verdict = Verdict.PASS
        text = "The ledger knows of no other export of these patients that is not private."
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
    """Returns the releases, each once however often it was audited or exported."""
    return {one.release.lower() for one in some}
