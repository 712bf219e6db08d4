"""G7: was another release made from these patients before?

The attacker holds two releases of overlapping cohorts, such as one from before a patient came and
one from after, and subtracts them. What is left is about the few patients who differ. No audit of
one release sees this, so the gate refuses a second release of the same patients. The same bytes
released again tell nothing new.

Releases with a guarantee of differential privacy add up in an account of their own
(``pipelines.run.budget``), so they may follow any other release. A release without a guarantee may
not follow them: it would take from these patients what they were promised.
"""

from collections.abc import Iterable

from torch import Generator

from privacy.evidence import Earlier, Evidence
from privacy.finding import Finding, Verdict
from privacy.policy import Policy


def earlier_releases(evidence: Evidence, policy: Policy, rng: Generator) -> Finding:  # noqa: ARG001
    """Counts the members who are in an earlier export that this one must not follow."""
    members, exports = frozenset(evidence.members.ids), _others(evidence, "export")
    guaranteed = evidence.mu is not None
    comparable = [] if guaranteed else exports
    promised = any(one.private and not members.isdisjoint(one.patients) for one in comparable)
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
        if promised:
            text += " An earlier export has a guarantee, which this release would take back."
    else:
        verdict = Verdict.PASS
        text = (
            "This release has a guarantee; what it spends is in the account of these patients."
            if guaranteed
            else "The ledger has no other export of these patients."
        )
    return Finding.exact(
        audit="G7",
        name="Earlier releases of the same patients",
        verdict=verdict,
        value=float(len(shared)),
        limit=0.0,
        text=text,
        details={
            "other exports": len(_releases(one for one in exports if not one.private)),
            "other private exports": len(_releases(one for one in exports if one.private)),
        },
    )


def audited_before(evidence: Evidence) -> dict[str, int] | None:
    """Returns how many other releases of the same patients were audited, and how many refused.

    Whoever tries other seeds until an audit passes has found chance, not privacy. None if no ledger
    is kept.
    """
    if evidence.earlier is None:
        return None
    audits = _others(evidence, "audit")
    refused = [one for one in audits if one.verdict in (Verdict.FAIL, Verdict.INVALID)]
    return {"releases": len(_releases(audits)), "refused": len(_releases(refused))}


def _others(evidence: Evidence, kind: str) -> list[Earlier]:
    """Returns what was done of this kind with other releases of some of these members."""
    members = frozenset(evidence.members.ids)
    present = {digest.lower() for digest in evidence.manifest.values()}
    return [
        one
        for one in evidence.earlier or ()
        if one.kind == kind
        and one.release.lower() not in present
        and not members.isdisjoint(one.patients)
    ]


def _releases(some: Iterable[Earlier]) -> set[str]:
    """Returns the releases, each once, however often it was audited or exported."""
    return {one.release.lower() for one in some}
