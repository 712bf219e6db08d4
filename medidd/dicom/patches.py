"""Patches: large films are cut into squares, each with a class of its own.

Many signs are small: a film of 2048 pixels, resampled to 64, no longer shows them. So a film is
framed as a square in true proportions, and a grid of squares is cut from it. What a patch shows is
said by regions: boxes or a mask, drawn on the film.

Li et al., ICIP 2020 (arXiv:2104.02857), distil patches of gastric radiographs so.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

LARGEST = 4096
"""Pixels of the largest frame; a film has at most 2**26."""

FRAME = 2048
"""Pixels of the frame, by default."""

NOTHING = "background"
"""Name of the class of patches that show no region, by default."""


@dataclass(frozen=True)
class Patches:
    """How films are cut.

    Attributes:
        size: height and width of a patch, in pixels of the frame.
        stride: pixels from one patch to the next.
        frame: height and width, in pixels, of the square that a film is framed to before it is cut.
        background: class of the patches outside all regions. It may be a class of films: then films
            of this class need no region.
        inside: least share of a patch that a region must cover, so that the patch has its class.
        outside: largest share that regions may cover of a patch of the background. Patches between
            the two are not used: nobody can say what they show.

    Raises:
        ValueError: a number is out of range.
    """

    size: int
    stride: int
    frame: int = FRAME
    background: str = NOTHING
    inside: float = 0.85
    outside: float = 0.01

    def __post_init__(self) -> None:
        if not 16 <= self.frame <= LARGEST:
            raise ValueError(f"film-size: must be from 16 to {LARGEST} pixels")
        if not 8 <= self.size <= self.frame:
            raise ValueError(f"patch-size: must be from 8 pixels to the film's {self.frame}")
        if not 1 <= self.stride <= self.frame:
            raise ValueError(f"stride: must be from 1 pixel to the film's {self.frame}")
        if self.per_film > MOST:
            raise ValueError(
                f"stride: a film would give {self.per_film} patches, and {MOST} is the most; use a "
                "larger stride or patch"
            )
        if not 0 <= self.outside < self.inside <= 1:
            raise ValueError("inside: must be above outside, and at most 1")
        if not self.background.strip():
            raise ValueError("background: is empty; name the class of patches outside regions")

    @property
    def starts(self) -> range:
        """First rows, and first columns, of the patches."""
        return range(0, self.frame - self.size + 1, self.stride)

    @property
    def per_film(self) -> int:
        """Patches of a film."""
        return len(self.starts) ** 2

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "Patches":
        """Returns what ``dataclasses.asdict`` made of one."""
        return cls(**found)


MOST = 4096
"""Most patches of one film."""


@dataclass(frozen=True, repr=False)
class Box:
    """A rectangle on a film, in pixels of the stored film; without a repr: it is of a person.

    Attributes:
        left: first column.
        top: first row.
        width: columns.
        height: rows.
        label: class of what it shows; '' for the class of the film.
    """

    left: float
    top: float
    width: float
    height: float
    label: str = ""


@dataclass(frozen=True, repr=False)
class Region:
    """What a film shows, and where; without a repr, because it is about a person.

    Attributes:
        boxes: rectangles. Without boxes and mask, all patches are background.
        mask: picture as large as the film; what is not 0 has the class of the film. None for none.
        state: what changes if the mask's file changes.
    """

    boxes: tuple[Box, ...] = ()
    mask: Path | None = None
    state: tuple[int, int] = (0, 0)

    @property
    def labels(self) -> set[str]:
        """Classes that the boxes name."""
        return {box.label for box in self.boxes} - {""}

    def told(self) -> list[Any]:
        """Returns everything that decides about patches, for a fingerprint."""
        each = [[b.left, b.top, b.width, b.height, b.label] for b in self.boxes]
        return [each, self.mask is not None, *self.state]
