"""What an audit found: a number with bounds, a verdict, and a sentence for a clinician."""

import math
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self


class Verdict(StrEnum):
    """PASS and FAIL need evidence; without evidence the verdict is one of the other two."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"


@dataclass(frozen=True)
class Finding:
    """The result of one audit. Carries nothing about a single patient.

    Attributes:
        audit: its number, such as "A5".
        name: its name in words.
        verdict: what this audit alone concludes.
        value: the measured quantity.
        low: its one-sided 95 % lower bound; the value itself if it is counted, not estimated.
        high: its one-sided 95 % upper bound.
        limit: the policy's threshold for it.
        text: one or two sentences a clinician understands.
        chance: the value that is expected without leakage, if there is one.
        p: chance of this much evidence if the release leaks nothing.
        p_limit: chance of this much evidence if the release leaks exactly up to the limit.
        details: what else the report shows; JSON, and never about a patient.
    """

    audit: str
    name: str
    verdict: Verdict
    value: float
    low: float
    high: float
    limit: float
    text: str
    chance: float | None = None
    p: float | None = None
    p_limit: float | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def exact(
        cls,
        audit: str,
        name: str,
        verdict: Verdict,
        text: str,
        *,
        value: float,
        limit: float,
        details: dict[str, Any],
    ) -> Self:
        """Returns a finding whose number is counted, not estimated: its bounds are the number."""
        return cls(audit, name, verdict, value, value, value, limit, text, details=details)

    def to_json(self) -> dict[str, Any]:
        """Returns a plain dict; JSON has no infinity, so non-finite numbers become None."""
        plain = asdict(self) | {"verdict": self.verdict.value}
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in plain.items()
        }

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Self:
        """Returns the finding that ``to_json`` turned into ``plain``; a missing number is NaN."""
        numbers = {
            key: math.nan if plain[key] is None else float(plain[key])
            for key in ("value", "low", "high", "limit")
        }
        return cls(**plain | numbers | {"verdict": Verdict(plain["verdict"])})
