"""What leaves the hospital, and the films it is judged against.

The audits see only tensors. They need not know where the tensors come from, or which method made
the release.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Digits:
    """How finely the numbers of a release are given. In finer digits something could hide.

    Attributes:
        levels: steps from black to white that images may have, the finest last.
        parts: parts of a label, 100 for hundredths.
        bound: labels lie between minus and plus this; None if they are probabilities, whose rows
            sum to one.
    """

    levels: tuple[int, ...] = (255,)
    parts: int = 100
    bound: int | None = None

    def room(self, images: Tensor, labels: Tensor) -> dict[str, float]:
        """Returns how many bits fit into a release of this shape, by where they are."""
        rows, classes = labels.shape
        states = math.comb(self.parts + classes - 1, classes - 1)
        if self.bound is not None:
            states = (2 * self.bound * self.parts + 1) ** classes
        bits = {
            "all of the images": images.numel() * math.log2(self.levels[-1] + 1),
            "the lowest bit of each intensity, which nobody sees": images.numel(),
            "the labels": rows * math.log2(states),
        }
        return {where: round(float(number), 1) for where, number in bits.items()}


BOUND = 4
"""Greatest absolute label of methods whose labels are not probabilities."""

PROBABILITIES, FREE = Digits(), Digits(bound=BOUND)
"""How releases leave: 8 bits and hundredths."""

FOREIGN = Digits((255, 4095), 1000, BOUND)
"""What is accepted of sets that somebody else made."""


@dataclass(frozen=True, eq=False)
class Release:
    """The synthetic set exactly as a recipient decodes it.

    Attributes:
        images: (m, C, H, W), in the intensity space of the films.
        labels: (m, K), soft, rows sum to one.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        _check("release", self.images, len(self.labels))
        if self.labels.ndim != 2 or not torch.isfinite(self.labels).all():
            raise ValueError("release: labels must be finite and of shape (m, K)")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def classes(self) -> int:
        """K, the number of classes."""
        return self.labels.shape[1]


@dataclass(frozen=True, eq=False)
class Films:
    """Real films of known patients: all members of the training set, or all controls.

    Attributes:
        images: (n, C, H, W), in the intensity space of the release.
        labels: (n,) class indices.
        patients: (n,) the patient of each film; any hashable identifier.
        traits: what else is known about each film, such as sex or device: for each trait, by name,
            (n,) words; a word is empty if it is not known.
    """

    images: Tensor
    labels: Tensor
    patients: Sequence[Hashable]
    traits: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check("films", self.images, len(self.labels))
        if len(self.patients) != len(self.images):
            raise ValueError(f"films: {len(self.images)} images, {len(self.patients)} patient ids")
        if any(len(words) != len(self.images) for words in self.traits.values()):
            raise ValueError("films: each trait needs a word for every image")

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def ids(self) -> tuple[Hashable, ...]:
        """The patients (P,), each once, in the order of their first film."""
        return tuple(dict.fromkeys(self.patients))

    @cached_property
    def patient(self) -> Tensor:
        """The index in ``ids`` of each film's patient, (n,)."""
        place = {one: i for i, one in enumerate(self.ids)}
        return torch.tensor([place[one] for one in self.patients], device=self.images.device)

    @cached_property
    def first(self) -> Tensor:
        """The first film of each patient, (P,) indices."""
        seen = dict(zip(reversed(self.patients), reversed(range(len(self))), strict=True))
        return torch.tensor([seen[one] for one in self.ids], device=self.images.device)

    @cached_property
    def strata(self) -> Tensor:
        """The classes of each patient's films, (P,), as bits: classes 0 and 2 give 5."""
        shown = torch.zeros(len(self.ids), 1 + int(self.labels.max()), dtype=torch.long)
        shown[self.patient.cpu(), self.labels.cpu()] = 1
        return (shown << torch.arange(shown.shape[1])).sum(1).to(self.images.device)

    def per_patient(self, scores: Tensor) -> Tensor:
        """Returns the mean over each patient's films, (P,), of scores (n,)."""
        total = scores.new_zeros(len(self.ids)).index_add(0, self.patient, scores)
        return total / torch.bincount(self.patient, minlength=len(self.ids))

    def of(self, chosen: Sequence[Hashable] | set[Hashable]) -> "Films":
        """Returns the films of the chosen patients."""
        return self.at([i for i, one in enumerate(self.patients) if one in chosen])

    def at(self, rows: Sequence[int]) -> "Films":
        """Returns the films of these rows."""
        keep = list(rows)
        return Films(
            self.images[keep],
            self.labels[keep],
            [self.patients[i] for i in keep],
            {name: [words[i] for i in keep] for name, words in self.traits.items()},
        )

    def beside(self, others: "Films") -> "Films":
        """Returns these films, then the others, with the traits that both have."""
        return Films(
            torch.cat([self.images, others.images]),
            torch.cat([self.labels, others.labels]),
            [*self.patients, *others.patients],
            {
                name: [*words, *others.traits[name]]
                for name, words in self.traits.items()
                if name in others.traits
            },
        )


def _check(what: str, images: Tensor, labels: int) -> None:
    if images.ndim != 4 or not len(images):
        raise ValueError(f"{what}: images must have shape (n, C, H, W), with n of at least 1")
    if len(images) != labels:
        raise ValueError(f"{what}: {len(images)} images, {labels} labels")
    if not torch.isfinite(images).all():
        raise ValueError(f"{what}: an intensity is not finite")
