"""The run's own recipe on other films. Audits compare the run's release with the results."""

from collections.abc import Generator, Iterable
from pathlib import Path

import torch

from medidd.fields import values
from pipelines.learning.asking import asking
from pipelines.learning.experts import about, train_experts
from pipelines.learning.learn import learn
from pipelines.learning.opened_run import OpenedRun
from pipelines.learning.recipe import Recipe
from pipelines.learning.step_time import seconds_per_step, spoken
from pipelines.run.progress import Progress
from pipelines.run.release_file import quantized
from pipelines.run.seeds import derived
from privacy.release import Films, Release


def redistill(
    opened: OpenedRun,
    several: Iterable[Films],
    count: int,
    *,
    purpose: str,
    stage: str,
    folder: Path,
) -> Generator[Progress, None, tuple[Release, ...]]:
    """Learns a release from each of ``several``, as the run learned its own.

    Finished releases stay in ``folder`` and are not learned again.

    Args:
        opened: the run.
        several: films, one set for each release, taken one at a time.
        count: number of sets.
        purpose: name of the seeds.
        stage: name of a release in the progress.
        folder: folder of checkpoints and experts.
    """
    releases = []
    for number, films in enumerate(several):
        if not number:
            missing = sum(not (folder / f"{one}.safetensors").exists() for one in range(count))
            yield Progress(f"{stage}s", 0, count, _estimate(opened, films, missing))
        recipe = yield from on_its_own_experts(
            opened,
            films,
            folder / f"{number}-experts",
            seed=derived(opened.frozen.seed, f"{purpose} experts", number),
            stage=f"experts of {stage} {number + 1}",
        )
        synthetic = yield from learn(
            recipe,
            films,
            stage=f"{stage} {number + 1} of {count}",
            seed=derived(opened.frozen.seed, purpose, number),
            device=opened.frozen.device,
            checkpoint=folder / f"{number}.safetensors",
            log=folder / f"{number}.jsonl",
            asking=asking(opened.frozen.budget, folder / f"{number}-answers"),
        )
        made = quantized(synthetic, {}, recipe.digits)
        releases.append(Release(made.display, made.labels))
    return tuple(releases)


def _estimate(opened: OpenedRun, films: Films, missing: int) -> str:
    """Returns how long the missing releases will take; '' if that is not known."""
    recipe, frozen = opened.recipe, opened.frozen
    if not missing:
        return ""
    largest = int(torch.bincount(films.labels).max())
    try:
        step = seconds_per_step(recipe, largest, frozen.size, frozen.device)
    except (ValueError, FloatingPointError):  # settings that work on films may fail on noise
        return ""
    besides = "" if frozen.experts is None else ", plus their experts"
    return f"about {spoken(missing * recipe.steps * step)}{besides}"


def on_its_own_experts(
    opened: OpenedRun, films: Films, folder: Path, *, seed: int, stage: str
) -> Generator[Progress, None, Recipe]:
    """Returns the run's recipe for other films; its experts, if any, are trained on those films."""
    frozen, recipe = opened.frozen, opened.recipe
    if frozen.experts is None:
        return recipe
    of = about(films, recipe.classes, frozen)
    yield from train_experts(
        values(recipe.method)["network"],
        {**frozen.experts, "seed": seed},
        films,
        recipe.classes,
        of,
        folder,
        device=frozen.device,
        stage=stage,
        asked=asking(frozen.budget, folder / "answers"),
    )
    return recipe.on_experts(folder, of)
