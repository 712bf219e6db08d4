"""The gate: what all findings together mean for the export. It refuses by default."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from privacy.finding import Finding, Verdict
from privacy.policy import Level, Policy
from privacy.statistics.scores import holm


@dataclass(frozen=True)
class Decision:
    """What may happen to a release.

    Attributes:
        verdict: only PASS opens the gate.
        level: how thorough the audit was.
        reasons: why the verdict is not PASS; empty for PASS.
    """

    verdict: Verdict
    level: Level
    reasons: tuple[str, ...]

    @property
    def can_be_accepted(self) -> bool:
        """Whether a person may answer for the release: if the audits ran and did not decide."""
        return self.verdict is Verdict.INCONCLUSIVE and self.level in (Level.STANDARD, Level.FULL)

    def to_json(self) -> dict[str, Any]:
        """Returns a plain dict."""
        return asdict(self) | {"reasons": list(self.reasons)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Returns the decision that ``to_json`` turned into ``plain``."""
        reasons = tuple(plain["reasons"])
        return cls(Verdict(plain["verdict"]), Level(plain["level"]), reasons)


class Gate(StrEnum):
    """What a release needs in order to leave."""

    OPEN = "nothing more"
    PERSON = "a person who accepts it"
    CLOSED = "another release"


def gate(decision: Decision, findings: Sequence[Finding], *, guaranteed: bool) -> Gate:
    """Returns what the release needs.

    A guarantee of differential privacy bounds every attack. So what attacks leave undecided does
    not weaken it, and what they find is chance, unless the mechanism is broken: a person has to
    look. The gates (G) are about files, and no guarantee replaces them.

    Args:
        decision: what the findings mean.
        findings: of all audits.
        guaranteed: whether the release has a guarantee.
    """
    if decision.verdict is Verdict.PASS:
        return Gate.OPEN
    if decision.can_be_accepted:
        return Gate.OPEN if guaranteed else Gate.PERSON
    refused = (Verdict.FAIL, Verdict.INVALID)
    attacks = {f.audit for f in findings if f.audit.startswith("A")}
    only_attacks = all(reason.partition(":")[0] in attacks for reason in decision.reasons)
    files = any(f.verdict in refused for f in findings if f.audit not in attacks)
    judged = decision.level in (Level.STANDARD, Level.FULL)
    return Gate.PERSON if guaranteed and judged and only_attacks and not files else Gate.CLOSED


@dataclass(frozen=True)
class Acceptance:
    """A person accepts a release that the audits did not decide.

    Attributes:
        reason: why the release may leave all the same; one line.
        approver: the person who answers for it.
    """

    reason: str
    approver: str

    def __post_init__(self) -> None:
        for name, text in asdict(self).items():
            if not text or text != " ".join(text.split()):
                raise ValueError(f"{name}: must be one line, not empty, without extra spaces")


def decide(findings: Sequence[Finding], policy: Policy, level: Level) -> Decision:
    """Returns the decision: the first of INVALID, FAIL, INCONCLUSIVE, PASS that applies.

    A release passes if every audit that the policy names for this level is there once, passed, and
    has finite numbers, and if the upper bound of every statistical audit is below its limit. All
    must hold, so this needs no correction for the number of audits. Failures on bounds are
    corrected by Holm: if a failure does not survive, the release is INCONCLUSIVE.
    """
    invalid = [
        *_incomplete(findings, policy.required[level]),
        *(f"{f.audit}: {f.text}" for f in findings if f.verdict is Verdict.INVALID),
    ]
    if invalid:
        return Decision(Verdict.INVALID, level, tuple(invalid))
    statistical = [f for f in findings if f.audit in policy.statistical]
    failed = [f for f in findings if f.verdict is Verdict.FAIL and f not in statistical]
    failed += _survivors(statistical)
    if failed:
        reasons = tuple(f"{f.audit}: {f.text}" for f in failed)
        return Decision(Verdict.FAIL, level, reasons)
    open_ = [
        f"{f.audit}: {f.text}"
        for f in findings
        if f.audit in policy.required[level]
        and (f.verdict is not Verdict.PASS or (f in statistical and not f.high < f.limit))
    ]
    if level is Level.SCREEN:
        open_.append("A screening can refuse a release but never pass it.")
    return Decision(Verdict.INCONCLUSIVE if open_ else Verdict.PASS, level, tuple(open_))


def wording(decision: Decision, findings: Sequence[Finding], *, to: int = 1) -> str:
    """Returns the sentence for the report; it never says that the data are anonymous.

    Nor does it say what may be exported: that depends on the guarantee, too (``gate``).

    Args:
        decision: the decision to explain.
        findings: the findings it follows from.
        to: counts of patients are rounded to multiples of this; 10 for outsiders. They read which
            audits were not passed, but not the numbers behind it.
    """
    if decision.verdict is Verdict.PASS:
        bounds = "; ".join(
            f"{f.name} ({f.audit}): 95 % upper bound {f.high:.2f} < {f.limit:.2f}"
            for f in findings
            if f.p_limit is not None
        )
        sizes = next((f.details for f in findings if "members" in f.details), {})
        return (
            f"In the tests listed, with {_about(sizes, 'members', to)} patients of the training "
            f"set and {_about(sizes, 'controls', to)} controls, no attack exceeded the threshold: "
            f"{bounds}. Leakage smaller than this, to single atypical patients, or by other "
            f"attacks is not excluded. {_NOT_ANONYMOUS}"
        )
    start = {
        Verdict.FAIL: "Not passed.",
        Verdict.INVALID: "Not passed: the audit is incomplete or not valid.",
    }.get(
        decision.verdict,
        "Not decided: the cohort is too small, a bound is too wide, or a person has to look.",
    )
    return " ".join([start, *(decision.reasons if to == 1 else _not_passed(decision, findings))])


def wording_accepted(decision: Decision, findings: Sequence[Finding]) -> str:
    """Returns the sentence for outsiders if a person lets an undecided release leave.

    Raises:
        ValueError: nobody can accept this decision.
    """
    if not decision.can_be_accepted:
        raise ValueError(f"nobody can accept {decision.verdict} at level {decision.level}")
    sentences = [
        "Not decided: the cohort was too small, a bound was too wide, or a person had to look.",
        *_not_passed(decision, findings),
        "It was exported because a person accepted it. Leakage is not excluded.",
        _NOT_ANONYMOUS,
    ]
    return " ".join(sentences)


_NOT_ANONYMOUS = (
    "This is not a finding that the data are anonymous; that decision belongs to the controller."
)


def _not_passed(decision: Decision, findings: Sequence[Finding]) -> list[str]:
    """Returns which audits the reasons come from, without what they say about patients."""
    return [
        f"{f.audit} ({f.name}) was not passed."
        for f in findings
        if any(reason.startswith(f"{f.audit}: ") for reason in decision.reasons)
    ]


def _about(sizes: dict[str, Any], name: str, to: int) -> str:
    if name not in sizes:
        return "an unknown number of"
    return str(sizes[name]) if to == 1 else f"about {round(sizes[name] / to) * to}"


def _incomplete(findings: Sequence[Finding], required: Sequence[str]) -> list[str]:
    """Returns a sentence for every audit that is missing, repeated or without numbers."""
    times = Counter(f.audit for f in findings)
    gaps = [f"{name} is missing." for name in required if not times[name]]
    gaps += [f"{name} occurs {n} times; it must occur once." for name, n in times.items() if n > 1]
    gaps += [
        f"{f.audit} has a number that is missing, not finite or outside its bounds."
        for f in findings
        if not _finite(f)
    ]
    return gaps


def _finite(finding: Finding) -> bool:
    optional = [x for x in (finding.chance, finding.p, finding.p_limit) if x is not None]
    numbers = (finding.value, finding.low, finding.high, finding.limit, *optional)
    return all(map(math.isfinite, numbers)) and finding.low <= finding.value <= finding.high


def _survivors(statistical: Sequence[Finding]) -> list[Finding]:
    """Returns the failed audits that still fail after Holm's correction over all of them."""
    over = holm([1.0 if f.p_limit is None else f.p_limit for f in statistical])
    leak = holm([1.0 if f.p is None else f.p for f in statistical])
    return [
        f
        for f, p_limit, p in zip(statistical, over, leak, strict=True)
        if f.verdict is Verdict.FAIL and (p_limit <= 0.05 or (p < 0.01 and f.value > f.limit))
    ]
