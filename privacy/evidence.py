"""What the audits may look at, and what an audit is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Generator, Tensor

from privacy.finding import Finding
from privacy.nulls import Nulls
from privacy.policy import Policy
from privacy.release import Films, Release

Fit = Callable[[Release], Callable[[Tensor], Tensor]]
"""Trains one network on a release as a recipient would. The result takes images (n, C, H, W) and
returns log-probabilities (n, K)."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that is known when a release is judged.

    Attributes:
        release: decoded from the outgoing files.
        members: films of the patients it was distilled from.
        controls: films of patients kept out of it by a coin toss.
        nulls: null releases; None at level "screen".
        fits: trainings of a recipient, of several architectures.
        start: the name of the start the distillation began from.
        outgoing: every file that leaves, by name.
        manifest: SHA-256 of every file that leaves, in hex, by name.
        decode: reads the release from the outgoing files, as a recipient does.
        is_identifier: whether a token is an identifier of the cohort; None where nobody can tell.
        own: identifiers made for this export, such as new DICOM UIDs.
    """

    release: Release
    members: Films
    controls: Films
    nulls: Nulls | None = None
    fits: Sequence[Fit] = ()
    start: str = ""
    outgoing: Mapping[str, bytes] = field(default_factory=dict)
    manifest: Mapping[str, str] = field(default_factory=dict)
    decode: Callable[[Mapping[str, bytes]], Release] | None = None
    is_identifier: Callable[[str], bool] | None = None
    own: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if shared := set(self.members.ids) & set(self.controls.ids):
            raise ValueError(f"{len(shared)} patients are members and controls at once")
        shapes = {tuple(x.images.shape[1:]) for x in (self.release, self.members, self.controls)}
        if len(shapes) > 1:
            raise ValueError(f"release, members and controls differ in image shape: {shapes}")


class Audit(Protocol):
    """Looks at the evidence and says what it found."""

    def __call__(self, evidence: Evidence, policy: Policy, rng: Generator) -> Finding:
        """Returns the finding; draws from ``rng`` alone."""
        ...
