"""Null releases: the run's own recipe on controls alone, to calibrate the attacks with."""

from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from pipelines.experts import about, train_experts
from pipelines.learn import learn
from pipelines.progress import Progress
from pipelines.recipe import Recipe
from pipelines.seeds import derived, generator
from pipelines.subject import Subject
from pipelines.synthetic import quantized
from privacy.nulls import Nulls, folds
from privacy.policy import Policy
from privacy.release import Films, Release


def can_calibrate(controls: Films, members: Films, recipe: Recipe, policy: Policy) -> bool:
    """Tells whether null releases can be made and would matter: else nothing can pass anyway."""
    of_class = torch.bincount(controls.labels, minlength=recipe.classes)
    enough = int(of_class.min()) >= 2 * max(recipe.shown, 1)
    return enough and min(len(controls.ids), len(members.ids)) >= policy.least_controls


def null_releases(subject: Subject) -> Generator[Progress, None, Nulls]:
    """Makes the null releases: the run's own recipe on controls alone, each fold left out once."""
    frozen, members, controls = subject.frozen, subject.patients.members, subject.patients.controls
    draw = partial(folds, rng=generator(frozen.seed, "folds"))
    fold_of = draw(controls) | draw(members)
    count = max(fold_of.values()) + 1
    releases = []
    for number in range(count):
        chosen = {one for one in controls.ids if fold_of[one] != number}
        folder = subject.run.private / "nulls"
        films = controls.of(chosen)
        recipe = yield from _on_its_own_experts(
            subject, films, folder / f"{number}-experts", number
        )
        synthetic = yield from learn(
            recipe,
            films,
            stage=f"null release {number + 1} of {count}",
            seed=derived(frozen.seed, "null", number),
            device=frozen.device,
            checkpoint=folder / f"{number}.safetensors",
            log=folder / f"{number}.jsonl",
        )
        null = quantized(synthetic, {})
        releases.append(Release(null.display, null.labels))
    return Nulls(tuple(releases), fold_of)


def _on_its_own_experts(
    subject: Subject, films: Films, folder: Path, number: int
) -> Generator[Progress, None, Recipe]:
    """Returns the run's recipe for other films: experts, if it has any, are trained on those."""
    frozen, recipe = subject.frozen, subject.recipe
    if frozen.experts is None:
        return recipe
    method: Any = recipe.method
    seed = derived(frozen.seed, "null experts", number)
    of = about(films, recipe.classes, frozen)
    yield from train_experts(
        method.network,
        {**frozen.experts, "seed": seed},
        films,
        recipe.classes,
        of,
        folder,
        device=frozen.device,
        stage=f"experts of null release {number + 1}",
    )
    return recipe.on_experts(folder, of)
