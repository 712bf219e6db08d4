"""Distillations made to be attacked: the run's own recipe with planted patients. None ever leaves.

The planted patients are called canaries. Half of them are controls whose film is unlike others of
their class and gets a wrong label. The other half are controls whose film is blended with a
pattern. A method remembers such films best. Each of the latter has a different pattern: if all had
the same pattern, the method would learn it from all of them, and it would not show whether one of
them was there.
"""

from collections.abc import Generator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from pipelines.auditing.redistill import redistill
from pipelines.learning.opened_run import OpenedRun
from pipelines.run.progress import Progress
from pipelines.run.seeds import generator
from pipelines.workers.helping import TWO, Workers
from privacy.attacks.tail import atypicality
from privacy.evidence import Canaries
from privacy.release import Films

RUNS = 16
"""Number of distillations; a canary is in about half of them."""
CANARIES = 32
"""Number of planted patients; fewer if there are not enough controls."""
BLOCKS = 7
"""Squares along a side of the pattern, each black or white."""
OPACITY = 0.5
"""Share of the pattern in a film."""


def canary_releases(
    opened: OpenedRun, *, workers: Workers = TWO, beside: bool = False
) -> Generator[Progress, None, Canaries]:
    """Makes the distillations: each has all members, and the canaries that a coin selects.

    Args:
        opened: the run.
        workers: who helps.
        beside: whether this process helps an audit.
    """
    frozen, members = opened.frozen, opened.patients.members
    films = planted(
        opened.patients.controls, opened.recipe.classes, generator(frozen.seed, "canaries")
    )
    coins = torch.rand(RUNS, len(films.ids), generator=generator(frozen.seed, "canary coins"))
    included = coins < 0.5

    def together(drawn: Tensor) -> Films:
        rows = drawn.nonzero().flatten().tolist()
        return members.beside(films.at(rows)) if rows else members

    releases = yield from redistill(
        opened,
        [partial(together, drawn) for drawn in included],
        purpose="canary run",
        stage="planted distillation",
        folder=canary_folder(opened),
        workers=workers,
        beside=beside,
    )
    return Canaries(films, included, releases)


def canary_folder(opened: OpenedRun) -> Path:
    """Returns where planted distillations are made."""
    return opened.run.private / "canaries"


def planted(controls: Films, classes: int, rng: torch.Generator) -> Films:
    """Returns one film of each canary, equally many of each class if there are enough controls.

    The trait "canary" says how the film was changed.
    """
    films = controls.at(controls.first.tolist())
    far = atypicality(films)
    quota = max(1, min(CANARIES, len(films)) // (2 * classes))
    odd: list[int] = []
    others: list[int] = []
    for label in range(classes):
        rows = (films.labels == label).nonzero().flatten()
        by_distance = rows[far[rows].argsort(descending=True)]
        odd += by_distance[:quota].tolist()
        rest = by_distance[quota:]
        others += rest[torch.randperm(len(rest), generator=rng)[:quota]].tolist()
    mislabelled, overlaid = films.at(odd), films.at(others) if others else None
    wrong = (mislabelled.labels + 1) % classes
    kinds = {"canary": ["mislabelled"] * len(odd)}
    made = Films(mislabelled.images, wrong, mislabelled.patients, kinds)
    if overlaid is None:
        return made
    images = (1 - OPACITY) * overlaid.images + OPACITY * patterns(overlaid.images)
    kinds = {"canary": ["pattern"] * len(others)}
    return made.beside(Films(images, overlaid.labels, overlaid.patients, kinds))


def patterns(like: Tensor) -> Tensor:
    """Returns a black and white pattern per image, (n, C, H, W); the same in every hospital."""
    coins = torch.rand(len(like), 1, BLOCKS, BLOCKS, generator=generator(0, "pattern"))
    drawn = interpolate((coins < 0.5).to(like.dtype), size=like.shape[-2:], mode="nearest")
    return drawn.expand_as(like)
