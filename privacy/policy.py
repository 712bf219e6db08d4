"""The policy: one number that a hospital chooses, and what follows from it."""

import math
import tomllib
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.stats import norm

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
        outgoing: names a file of a release may have; ``*`` is any part of a name in one folder.
        statistical: audits with bounds; their failures are corrected for the number of audits.
        required: audits that must be present, by level.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    residual_risk: float = Field(gt=0, lt=1)
    least_controls: int = Field(ge=20)
    least_controls_tail: int = Field(ge=59)
    starts_without_films: tuple[str, ...]
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
        return self

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


def load_policy(path: Path | None = None) -> Policy:
    """Returns the policy in ``path``, or the one that comes with the package.

    Raises:
        ValueError: the file is not TOML, or a key is unknown, missing or out of range; it is named.
    """
    text = (path or files("privacy").joinpath("policy.toml")).read_text(encoding="utf-8")
    return Policy.model_validate(tomllib.loads(text))
