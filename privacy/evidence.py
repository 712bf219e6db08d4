"""The evidence that audits may look at, and what an audit is."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from torch import Generator, Tensor

from privacy.finding import Finding
from privacy.nulls import Nulls
from privacy.policy import Policy
from privacy.release import PROBABILITIES, Digits, Films, Release

Fit = Callable[[Release], Callable[[Tensor], Tensor]]
"""Trains one network on a release as a recipient would. The result takes images (n, C, H, W) and
returns log-probabilities (n, K)."""

Statistic = Callable[[Tensor, Tensor], Tensor]
"""What a method matches between synthetic and real images: one vector per image, (n, D). Takes
images (n, C, H, W) and labels (n, K)."""

Match = Callable[[Release], Statistic]
"""Draws one network and returns the statistic under it. If the method trains its networks on the
release, the statistic depends on the release; if not, every release gets the same function."""


Explanation = Callable[[Tensor, Tensor], Tensor]
"""How well one model of films explains each film, (n,), larger is better: minus its denoising loss.
Takes images (n, C, H, W) and labels (n, K). A loss that is drawn takes the same noise for a film
under every model, so that chance cancels where models are compared."""

Explained = Callable[[Release], Explanation]
"""Returns what the model behind a release makes of films. Each release has a model of its own,
trained on the films of that release alone: null releases and those with planted patients, too."""


@dataclass(frozen=True)
class Earlier:
    """An earlier release of the same hospital, as its ledger knows it.

    Attributes:
        kind: "export", or what else was made from these patients.
        release: SHA-256 of the release file.
        patients: the patients it was distilled from, named as in ``Films.patients``.
        private: whether it was made under differential privacy.
        verdict: how its audit ended.
    """

    kind: str
    release: str
    patients: frozenset[Hashable]
    private: bool = False
    verdict: str = ""


@dataclass(frozen=True, eq=False)
class Canaries:
    """Distillations that are made to be attacked, and never leave.

    Attributes:
        films: the planted films, one per canary (planted patient).
        included: whether canary j took part in run i, drawn by fair coins, (runs, canaries), bool.
        releases: the release that each run made.
    """

    films: Films
    included: Tensor
    releases: tuple[Release, ...]

    def __post_init__(self) -> None:
        if self.included.shape != (len(self.releases), len(self.films.ids)):
            raise ValueError("canaries: included must have shape (runs, canaries)")


@dataclass(frozen=True, eq=False)
class Again:
    """The release made once more from the frozen job of its run.

    Attributes:
        release: what came out.
        stated: the learned step sizes that the release states; empty if none are learned.
        learned: those that came out this time.
        elsewhere: why the same job may have rounded differently this time, in words.
        continued: whether it went on from a checkpoint.
    """

    release: Release
    stated: tuple[float, ...] = ()
    learned: tuple[float, ...] = ()
    elsewhere: tuple[str, ...] = ()
    continued: bool = False


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything that is known when a release is judged.

    Attributes:
        release: decoded from the outgoing files.
        members: films of the patients it was distilled from.
        controls: films of patients who were held out of it by a coin toss.
        nulls: null releases; None at level "screen".
        fits: trainings such as a recipient makes, with several architectures.
        matches: what the method matches, under several networks.
        explained: what the model that a release was drawn from makes of a film, for a method that
            learns a model of the films; None for all others. Then ``matches`` are not needed.
        encoder: maps films (n, C, H, W) to vectors (n, D) that are alike for films of one patient;
            None if there is no encoder.
        unit: what counts as one patient: "patient", or "study" or "image" if the user answers for
            that; empty if it is not known.
        start: the name of the start the distillation began from.
        outgoing: every file that leaves, by name.
        manifest: SHA-256 of every file that leaves, in hex, by name.
        decode: reads the release from the outgoing files, as a recipient does.
        is_identifier: whether a token is an identifier of the cohort; None if that is not known.
        own: identifiers made for this export, such as new DICOM UIDs.
        digits: how finely the release may be given.
        constants: each constant of the preprocessing, and whether it is public; None if they are
            not declared.
        declared: what the release file may say of itself; None if nothing is known about that.
        earlier: what was made from this hospital's patients before; None if no ledger is kept.
        canaries: distillations with planted patients; None below level "full".
        again: the release made once more; None if nobody asked for that.
        mu: what a guarantee of differential privacy claims: to any attacker, one patient is at most
            a shift by mu of a unit Gaussian (Dong, Roth & Su 2022, arXiv:1905.02383); None if the
            release has no guarantee.
    """

    release: Release
    members: Films
    controls: Films
    nulls: Nulls | None = None
    fits: Sequence[Fit] = ()
    matches: Sequence[Match] = ()
    explained: Explained | None = None
    encoder: Callable[[Tensor], Tensor] | None = None
    unit: str = ""
    start: str = ""
    outgoing: Mapping[str, bytes] = field(default_factory=dict)
    manifest: Mapping[str, str] = field(default_factory=dict)
    decode: Callable[[Mapping[str, bytes]], Release] | None = None
    is_identifier: Callable[[str], bool] | None = None
    own: frozenset[str] = frozenset()
    digits: Digits = PROBABILITIES
    constants: Mapping[str, bool] | None = None
    declared: Mapping[str, Any] | None = None
    earlier: Sequence[Earlier] | None = None
    canaries: Canaries | None = None
    again: Again | None = None
    mu: float | None = None

    def __post_init__(self) -> None:
        if shared := set(self.members.ids) & set(self.controls.ids):
            raise ValueError(f"{len(shared)} patients are members and controls at once")
        shapes = {tuple(x.images.shape[1:]) for x in (self.release, self.members, self.controls)}
        if len(shapes) > 1:
            raise ValueError(f"release, members and controls differ in image shape: {shapes}")

    @cached_property
    def everybody(self) -> Films:
        """The films of members and controls, members first: an attack scores them together."""
        return self.members.beside(self.controls)


class Audit(Protocol):
    """Looks at the evidence and returns what it found."""

    def __call__(self, evidence: Evidence, policy: Policy, rng: Generator) -> Finding:
        """Returns the finding; draws from ``rng`` alone."""
        ...
