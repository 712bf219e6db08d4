"""The policy: one number that a hospital chooses, and what follows from it.

A hospital may choose, but not away: below a floor there is no policy. A policy above it that asks
for less than medidd's own is called so on the first page of the report.
"""

import math
import tomllib
from enum import StrEnum
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.stats import norm

FLOOR = ("G1", "G3", "G4", "G7", "G8", "A0", "A1", "A5", "A6")
"""Audits that every policy must require: without one of them, films themselves could leave."""

FOREIGN_FLOOR = ("G1", "G4", "A0", "A1", "A5", "A6")
"""The same for a set that somebody else made; it has no bundle and no ledger."""

LARGEST_RISK = 0.2
"""No policy may allow more; a cell of five people, the least that is usual."""

MOST_CONTROLS = 150
"""As many are held out, so with a larger ``least_controls_tail`` no tail would ever be judged."""

FPR = 0.05  # the false-positive rate at which the residual risk is defined


def risk_of(mu: float) -> float:
    """Returns R, the share exposed beyond chance, if a patient is a shift by mu of a Gaussian."""
    return float((norm.cdf(mu + norm.ppf(FPR)) - FPR) / (1 - FPR))


class Level(StrEnum):
    """How thorough an audit is."""

    SCREEN = "screen"
    STANDARD = "standard"
    FULL = "full"
    FOREIGN = "foreign"
    """For a set that somebody else made: what can be asked without its run. Allows no export."""


class Policy(BaseModel):
    """What a release must show before it leaves.

    Attributes:
        residual_risk: r, share of patients that may be exposed beyond chance at 5 % false alarms.
        least_controls: with fewer controls no average passes.
        least_controls_tail: with fewer controls the most exposed patients are not judged.
        starts_without_films: starts that contain nothing of any patient.
        starts_through_a_model: starts that a model drew from noise, after it was trained on films.
        outgoing: names a file of a release may have; ``*`` is any part of a name in one folder.
        statistical: audits with bounds; their failures are corrected for the number of audits.
        required: audits that must be present, by level.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    residual_risk: float = Field(gt=0, le=LARGEST_RISK)
    least_controls: int = Field(ge=20)
    least_controls_tail: int = Field(ge=59, le=MOST_CONTROLS)
    starts_without_films: tuple[str, ...]
    starts_through_a_model: tuple[str, ...] = ()
    outgoing: tuple[str, ...] = ()
    statistical: tuple[str, ...]
    required: dict[Level, tuple[str, ...]]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for level in Level:
            names = self.required.get(level, ())
            if not names or len(set(names)) != len(names):
                raise ValueError(f"required.{level.value} must name each audit once")
            if "G2" in names and "A5" not in names:
                raise ValueError(
                    f"required.{level.value}: G2 reads only a name; add A5, which checks it"
                )
            if not set(self.statistical) & set(names):
                raise ValueError(f"required.{level.value} names no statistical audit; add one")
            floor = FOREIGN_FLOOR if level is Level.FOREIGN else FLOOR
            if missing := [name for name in floor if name not in names]:
                raise ValueError(
                    f"required.{level.value}: no policy can do without {', '.join(missing)}"
                )
        for name, known in _lists().items():
            if more := set(getattr(self, name)) - set(known):
                raise ValueError(
                    f"{name}: no policy can add to medidd's list, and {', '.join(sorted(more))} "
                    "is not in it"
                )
        return self

    @property
    def is_weaker(self) -> bool:
        """Whether it asks for less than medidd's own policy."""
        own = load_policy()
        return (
            self.residual_risk > own.residual_risk
            or self.least_controls < own.least_controls
            or self.least_controls_tail > own.least_controls_tail
            or any(set(own.required[level]) - set(self.required[level]) for level in Level)
        )

    @property
    def largest_mu(self) -> float:
        """mu*: two unit Gaussians with this distance leave exactly ``residual_risk``."""
        return float(norm.ppf(FPR + (1 - FPR) * self.residual_risk) - norm.ppf(FPR))

    @property
    def largest_auc(self) -> float:
        """AUC*, the AUC of an attack with mu*."""
        return float(norm.cdf(self.largest_mu / math.sqrt(2)))

    @property
    def cell_size(self) -> int:
        """Patients behind each released image: the usual 11 for 0.09, 5 for 0.2, 3 for 0.33."""
        return round(1 / self.residual_risk)


@cache
def _lists() -> dict[str, list[str]]:
    """Returns the lists of medidd's own policy that another one can only shorten."""
    own = tomllib.loads(_text(None))
    shortened = ("starts_without_films", "starts_through_a_model", "outgoing", "statistical")
    return {name: own[name] for name in shortened}


def _text(path: Path | None) -> str:
    return (path or files("privacy").joinpath("policy.toml")).read_text(encoding="utf-8")


def load_policy(path: Path | None = None) -> Policy:
    """Returns the policy in ``path``, or the one that comes with the package.

    Raises:
        ValueError: the file is not TOML, or a key is unknown, missing or out of range; it is named.
    """
    return Policy.model_validate(tomllib.loads(_text(path)))
