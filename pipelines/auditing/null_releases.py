"""Null releases: the run's own recipe on people it never saw. They calibrate the attacks.

They are made of the run's controls, or of the films of another folder.
"""

from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from pipelines.auditing.redistill import redistill
from pipelines.learning.beforehand.films import digest
from pipelines.learning.opened_run import OpenedRun
from pipelines.learning.recipe import Recipe
from pipelines.run.errors import Exit, Stop
from pipelines.run.progress import Progress
from pipelines.run.seeds import generator
from pipelines.workers.helping import TWO, Workers
from privacy.nulls import Nulls, folds
from privacy.policy import Policy
from privacy.release import Films, Release

COUNT = 5
"""Number of null releases of an audit."""


def can_calibrate(controls: Films, members: Films, recipe: Recipe, policy: Policy) -> bool:
    """Tells whether null releases of controls are possible and useful; if not, nothing can pass."""
    of_class = torch.bincount(controls.labels, minlength=recipe.classes)
    enough = int(of_class.min()) >= 2 * max(recipe.shown, 1)
    return enough and min(len(controls.ids), len(members.ids)) >= policy.least_controls


def null_releases(
    opened: OpenedRun, *, workers: Workers = TWO, beside: bool = False
) -> Generator[Progress, None, Nulls]:
    """Makes null releases of controls only; each leaves out one fold.

    Args:
        opened: the run.
        workers: who helps.
        beside: whether this process helps an audit.
    """
    frozen, members, controls = opened.frozen, opened.patients.members, opened.patients.controls
    draw = partial(folds, rng=generator(frozen.seed, "folds"), k=COUNT)
    fold_of = draw(controls) | draw(members)
    several = [
        partial(controls.of, {one for one in controls.ids if fold_of[one] != number})
        for number in range(COUNT)
    ]
    folder = null_folder(opened, None)
    return Nulls(
        (yield from _learned(opened, several, folder, workers=workers, beside=beside)), fold_of
    )


def reference_releases(opened: OpenedRun, reference: Films) -> Generator[Progress, None, Nulls]:
    """Makes null releases of other people, each with as many patients per class as controls.

    Raises:
        Stop: a class has too few films.
    """
    controls, shown = opened.patients.controls, opened.recipe.shown
    wanted = _by_class(controls)
    several = [
        partial(
            reference.of,
            _drawn(reference, wanted, generator(opened.frozen.seed, "reference", number)),
        )
        for number in range(COUNT)
    ]
    fewest = min(
        int(torch.bincount(films().labels, minlength=opened.recipe.classes).min())
        for films in several
    )
    if fewest < shown:
        raise Stop(
            f"a null release of the reference has {fewest} films of a class and needs {shown}; "
            "name a folder with more films of each class with --reference",
            Exit.DATA,
        )
    folder = null_folder(opened, reference)
    # Only this process has the reference.
    return Nulls((yield from _learned(opened, several, folder, shared=False)), None)


def null_folder(opened: OpenedRun, reference: Films | None) -> Path:
    """Returns where null releases are made; another reference does not continue those of one."""
    folder = opened.run.private / "nulls"
    return folder if reference is None else folder / f"reference-{digest(reference)}"


def _by_class(films: Films) -> dict[int, list[Any]]:
    """Returns the patients by class; one with films of several classes counts in the lowest."""
    lowest: dict[Any, int] = {}
    for patient, label in zip(films.patients, films.labels.tolist(), strict=True):
        lowest[patient] = min(label, lowest.get(patient, label))
    of_class: dict[int, list[Any]] = {}
    for patient, label in lowest.items():
        of_class.setdefault(label, []).append(patient)
    return of_class


def _drawn(films: Films, like: dict[int, list[Any]], rng: torch.Generator) -> set[Any]:
    """Returns random patients, as many of each class as in ``like``, or all there are."""
    chosen = set()
    for label, patients in sorted(_by_class(films).items()):
        order = torch.randperm(len(patients), generator=rng).tolist()
        chosen |= {patients[place] for place in order[: len(like.get(label, []))]}
    return chosen


def _learned(
    opened: OpenedRun, several: Sequence[Callable[[], Films]], folder: Path, **how: Any
) -> Generator[Progress, None, tuple[Release, ...]]:
    return (
        yield from redistill(
            opened, several, purpose="null", stage="null release", folder=folder, **how
        )
    )
